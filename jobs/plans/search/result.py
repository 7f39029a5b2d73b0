"""What a search concludes with."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from jobs.plans.fits import FitResult, PlannedFit
from jobs.plans.results import FitFigures, Interval, Part, Result, Spread, fit_figures, spread
from jobs.plans.search.choice import Choice
from jobs.plans.search.spec import SearchSpec
from jobs.plans.search.tried import Tried
from jobs.states import FitStatus
from training.monitors import Monitor

_FAILED = frozenset({FitStatus.DIVERGED, FitStatus.FAILED, FitStatus.CANCELLED})


class RungScore(Part):
    """Where candidates were compared before their end."""

    epoch: int
    score: float = Field(description="Mean over the divisions of the metric at each fit's best epoch until then.")


class CandidateResult(Part):
    """One setting that was tried."""

    number: int
    label: str
    settings: dict[str, Any] = Field(description="JSON pointer into the spec -> value.")
    status: Literal["finished", "pruned", "failed"] = Field(
        description="finished: scored on every division. pruned: stopped at its last rung, where others did better. failed: a fit did not finish, or the setting could not be trained; it is never chosen."
    )
    message: str | None = Field(description="Why it failed.")
    score: Spread | None = Field(description="The metric over the divisions.")
    values: list[float | None] = Field(description="The metric on each division's validation rows.")
    generalization_gap: float | None = Field(description="Mean over the divisions.")
    num_parameters: int
    rungs: list[RungScore]
    fits: list[int] = Field(description="Numbers of its fits, one per division.")


class ChoiceResult(Part):
    """Which candidate was chosen, and why."""

    chosen: int = Field(description="Number of the candidate.")
    settings: dict[str, Any]
    best: int = Field(description="Number of the candidate with the best mean.")
    rule: Literal["best", "one_standard_error"]
    standard_error: float | None = Field(description="s / sqrt(k) of the best candidate's score; null for the rule best.")
    threshold: float | None = Field(description="The best mean and one standard error: as good as the best.")
    within: list[int] = Field(description="Numbers of the candidates that are as good as the best.")
    best_epoch: int = Field(description="Median over the divisions of the chosen candidate's best epoch, halves up.")


class SearchRefit(Part):
    """The chosen setting on all rows but the test rows."""

    fit: FitFigures
    test: dict[str, Interval] | None = Field(description="Loss and metrics of the test rows, with 95 % intervals; measured here alone.")


class SearchResult(Result):
    """The candidates, the choice, and the refit."""

    plan: Literal["search"] = "search"
    metric: Monitor
    method: Literal["grid", "random", "bayesian"]
    candidates: list[CandidateResult]
    choice: ChoiceResult
    refit: SearchRefit | None


def candidate_result(one: Tried, metric: Monitor) -> CandidateResult:
    """Shape one candidate."""
    score, values = one.score(metric), one.values(metric)
    gaps = [figures.generalization_gap for figures in figures_of(one) if figures.generalization_gap is not None]
    status: Literal["finished", "pruned", "failed"] = "pruned" if one.is_pruned else "failed" if score is None else "finished"
    return CandidateResult(
        number=one.candidate.number,
        label=one.candidate.label,
        settings=one.candidate.settings,
        status=status,
        message=_message(one) if status == "failed" else None,
        score=None if score is None else spread([value for value in values if value is not None]),
        values=values,
        generalization_gap=sum(gaps) / len(gaps) if gaps and len(gaps) == len(values) else None,
        num_parameters=one.num_parameters,
        rungs=[RungScore(epoch=epoch, score=score) for epoch, score in one.rungs],
        fits=[fit.number for fit in one.fits],
    )


def _message(one: Tried) -> str | None:
    if one.refusal is not None:
        return one.refusal
    failed = [result for result in one.results.values() if result.status in _FAILED]
    return next((result.message or f"fit {result.number}: {result.status}" for result in failed), None)


def choice_result(asked: SearchSpec, choice: Choice) -> ChoiceResult:
    """Shape the choice."""
    return ChoiceResult(
        chosen=choice.chosen.candidate.number,
        settings=choice.chosen.candidate.settings,
        best=choice.best.candidate.number,
        rule=asked.choose,
        standard_error=choice.standard_error,
        threshold=choice.threshold,
        within=[one.candidate.number for one in choice.within] or [choice.best.candidate.number],
        best_epoch=choice.chosen.best_epoch(),
    )


def figures_of(one: Tried) -> list[FitFigures]:
    """Shape a candidate's fits; those that were paused and not gone on with are pruned."""
    return [
        FitFigures.model_validate({**figures.model_dump(), "status": FitStatus.PRUNED}) if figures.status is FitStatus.PENDING else figures
        for figures in (fit_figures(fit, one.results[fit.number]) for fit in one.fits if fit.number in one.results)
    ]


def refit_result(planned: PlannedFit, result: FitResult) -> SearchRefit:
    """Shape the refit."""
    return SearchRefit(fit=fit_figures(planned, result), test=intervals_of(result, "test"))


def intervals_of(result: FitResult, part: str) -> dict[str, Interval] | None:
    """Read the figures of one part with their intervals."""
    figures = (result.evaluation or {}).get(part)
    if figures is None:
        return None
    return {name: Interval(**figures[name]) for name in ("loss", "accuracy", "rmse", "r2") if isinstance(figures.get(name), dict)}


def first_failed(tried: Sequence[Tried]) -> FitResult:
    """Find a fit that says why no candidate finished."""
    return next(result for one in tried for result in one.results.values() if result.status in _FAILED)

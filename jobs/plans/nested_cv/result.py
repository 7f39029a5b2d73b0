"""What nested cross-validation concludes with."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from data.splits.build import Division
from jobs.plans.divided import PooledFigures, pooled
from jobs.plans.fits import FitResult, PlannedFit
from jobs.plans.maker import FitMaker
from jobs.plans.results import Interval, Part, Result, Spread, fit_figures, metric_words, shown, shown_mean, spread
from jobs.plans.search.choice import Choice
from jobs.plans.search.result import CandidateResult, ChoiceResult, candidate_result, choice_result, figures_of, intervals_of
from jobs.plans.search.space import key_of
from jobs.plans.search.spec import SearchSpec
from jobs.plans.search.tried import Tried, figure_of, loss_like
from training.monitors import Monitor


class OuterFold(Part):
    """One outer fold: its search, and what its choice was worth."""

    label: str
    place: dict[str, int | float | str]
    inner_score: float = Field(description="Mean over the inner divisions of the chosen candidate's metric: what the search believed.")
    outer_score: float = Field(description="The same metric on the outer validation rows, which the search did not see.")
    optimism: float = Field(description="How much better the search believed to be than it was; positive is too good.")
    outer: dict[str, Interval] = Field(description="Loss and metrics of the outer validation rows, with 95 % intervals.")
    fit: int = Field(description="Number of the fit that was measured on them.")
    label_of_choice: str
    choice: ChoiceResult
    candidates: list[CandidateResult]


class TimesChosen(Part):
    """How often a setting was chosen."""

    label: str
    settings: dict[str, Any]
    count: int


class NestedCvResult(Result):
    """How good the outcome of the search is on rows it has not seen, and how much better it believed to be."""

    plan: Literal["nested_cv"] = "nested_cv"
    metric: Monitor
    outer_score: Spread = Field(description="The metric on the outer validation rows, over the outer folds.")
    inner_score: Spread = Field(description="What the inner searches believed of their choices.")
    optimism: Spread = Field(
        description="outer - inner for losses, inner - outer where more is better, over the outer folds; positive is too good."
    )
    pooled: PooledFigures | None = Field(
        description="Loss and metrics of all outer validation rows together, each from the fit of its fold; null where outputs were not kept."
    )
    folds: list[OuterFold]
    chosen: list[TimesChosen] = Field(description="Settings that were chosen, the most frequent first.")


@dataclass(frozen=True, kw_only=True)
class Nested:
    """An outer fold that was searched and measured."""

    division: Division
    tried: Sequence[Tried]
    choice: Choice
    fit: PlannedFit
    result: FitResult


def nested_result(asked: SearchSpec, maker: FitMaker, nested: Sequence[Nested]) -> NestedCvResult:
    """Conclude from outer folds that all finished."""
    folds = [_fold(asked, one) for one in nested]
    outer, optimism = spread([one.outer_score for one in folds]), spread([one.optimism for one in folds])
    fits = [figures for one in nested for tried in one.tried for figures in figures_of(tried)]
    chosen = _times_chosen(nested)
    return NestedCvResult(
        sentence=_sentence(asked.metric, outer, optimism, chosen),
        fits=[*fits, *(fit_figures(one.fit, one.result) for one in nested)],
        metric=asked.metric,
        outer_score=outer,
        inner_score=spread([one.inner_score for one in folds]),
        optimism=optimism,
        pooled=_pooled(maker, nested),
        folds=folds,
        chosen=chosen,
    )


def _fold(asked: SearchSpec, one: Nested) -> OuterFold:
    inner, outer = one.choice.chosen.score(asked.metric), figure_of(one.result, "test", asked.metric)
    if inner is None or outer is None:
        raise ValueError(f"fit {one.fit.number} lacks {asked.metric}")
    return OuterFold(
        label=one.division.label,
        place=dict(one.fit.place),
        inner_score=inner,
        outer_score=outer,
        optimism=loss_like(asked.metric, outer) - loss_like(asked.metric, inner),
        outer=intervals_of(one.result, "test") or {},
        fit=one.fit.number,
        label_of_choice=one.choice.chosen.candidate.label,
        choice=choice_result(asked, one.choice),
        candidates=[candidate_result(tried, asked.metric) for tried in one.tried],
    )


def _times_chosen(nested: Sequence[Nested]) -> list[TimesChosen]:
    found = {key_of(one.choice.chosen.candidate.settings): one.choice.chosen.candidate for one in nested}
    counts = Counter(key_of(one.choice.chosen.candidate.settings) for one in nested)
    return [TimesChosen(label=found[key].label, settings=found[key].settings, count=count) for key, count in counts.most_common()]


def _pooled(maker: FitMaker, nested: Sequence[Nested]) -> PooledFigures | None:
    if any(one.result.outputs is None for one in nested):
        return None
    return pooled(maker.dataset, [(one.fit, one.result) for one in nested], maker.spec.evaluation.resamples, maker.seed)


def _sentence(metric: Monitor, outer: Spread, optimism: Spread, chosen: Sequence[TimesChosen]) -> str:
    on_average = "on average " if outer.count > 1 else ""
    off = f"{shown(abs(optimism.mean))} too {'optimistic' if optimism.mean > 0 else 'pessimistic'}" if optimism.mean else "the same"
    times = f" {chosen[0].count} of {outer.count} times" if outer.count > 1 else ""
    return (
        f"on rows that it has not seen the search reaches a {metric_words(metric)} of {shown_mean(outer, outer.count, 'outer folds')}; "
        f"{on_average}the inner score was {off}; {chosen[0].label} is chosen{times}"
    )

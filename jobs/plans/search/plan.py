"""The plan `search`: candidates on the split's divisions, a choice by their validation rows, a refit that sees the test rows once."""

import numpy as np

from data.splits.build import Division
from jobs.plans.fits import Conclusion, FitResult, Plan, PlannedFit, Round, failed
from jobs.plans.maker import FitMaker
from jobs.plans.results import ModelOf
from jobs.plans.search.choice import Choice, choose
from jobs.plans.search.halving import Later, Searched
from jobs.plans.search.result import (
    Refit,
    SearchResult,
    candidate_result,
    choice_result,
    figures_of,
    first_failed,
    refit_result,
)
from jobs.plans.search.searching import Ground, most_steps, searched
from jobs.plans.search.spec import SearchPlanSpec
from jobs.states import FailureKind


def plan(spec: SearchPlanSpec, maker: FitMaker) -> Plan:
    """Search, choose, refit; the job needs one candidate of which every fit finished."""
    divisions = maker.divisions()
    test = divisions[0].test
    rest = np.setdiff1d(np.arange(maker.dataset.info.num_rows), test)
    later = Later(fits=1, steps=most_steps(spec, maker, len(rest))) if spec.refit else Later()
    ground = Ground(divisions=divisions, origin="/plan/space")
    found = yield from searched(spec, maker, ground, later)
    choice = choose(spec, found.tried)
    if choice is None:
        return nothing_chosen(found)
    if not spec.refit:
        return _concluded(spec, found, choice, divisions, None, None)
    chosen = choice.chosen
    refit = maker.refit(
        "refit", rest, test, stop_at=chosen.best_epoch(), overrides=chosen.candidate.settings, place={"candidate": chosen.candidate.number}
    )
    [result] = yield Round(fits=[refit], pruned=found.pruned)
    return _concluded(spec, Searched(tried=found.tried), choice, divisions, refit, result)


def nothing_chosen(found: Searched) -> Conclusion:
    """Conclude that no candidate finished."""
    why = first_failed(found.tried)
    if why is not None:
        one = failed(why)
        return Conclusion(result=None, failure=one.failure, message=one.message, retryable=one.retryable, pruned=found.pruned)
    refusal = next((one.refusal for one in found.tried if one.refusal is not None), None)
    return Conclusion(
        result=None, failure=FailureKind.INVALID_DATA, message=f"no candidate could be trained: {refusal}", pruned=found.pruned
    )


def _concluded(
    spec: SearchPlanSpec, found: Searched, choice: Choice, divisions: list[Division], refit: PlannedFit | None, result: FitResult | None
) -> Conclusion:
    last = None if refit is None or result is None else refit_result(refit, result)
    fits = [figures for one in found.tried for figures in figures_of(one)]
    model = None
    if last is not None:
        fits.append(last.fit)
        model = ModelOf(fits=[last.fit.number]) if result is not None and result.is_finished else None
    elif len(divisions) == 1:
        model = ModelOf(fits=[choice.chosen.fits[0].number])
    concluded = SearchResult(
        sentence=_sentence(spec, found, choice, len(divisions), last, None if result is None else result.status.value),
        fits=fits,
        model=model,
        metric=spec.metric,
        method=spec.method,
        candidates=[candidate_result(one, spec.metric) for one in found.tried],
        choice=choice_result(spec, choice),
        refit=last,
    )
    return Conclusion(result=concluded.model_dump(mode="json"), pruned=found.pruned)


def _sentence(spec: SearchPlanSpec, found: Searched, choice: Choice, num_divisions: int, refit: Refit | None, status: str | None) -> str:
    chosen = choice.chosen
    over = f", the mean of {num_divisions} divisions" if num_divisions > 1 else ""
    why = "" if spec.choose == "best" else f", the simplest of {len(choice.within)} within one standard error of the best"
    text = f"Of {len(found.tried)} candidates {chosen.candidate.label} was chosen with {spec.metric} {chosen.score(spec.metric):.4g}{over}{why}"
    if refit is None:
        return f"{text}; it was not fitted again."
    if status != "finished":
        return f"{text}; its refit on all rows but the test rows ended {status}."
    if refit.test is None:
        return f"{text}; it was fitted again on all {refit.fit.num_rows['train']} rows."
    loss = refit.test["loss"]
    rows = refit.fit.num_rows
    return f"{text}; fitted again on {rows['train']} rows, its loss on the {rows['test']} test rows is {loss.value:.4g} ({loss.low:.4g} to {loss.high:.4g})."

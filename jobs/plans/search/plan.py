"""The plan `search`: candidates on the split's divisions, a choice by their validation rows, a refit that sees the test rows once."""

from dataclasses import replace

from data.counting import counted
from data.splits.build import Division
from jobs.plans.fit.plan import all_but_test
from jobs.plans.fits import Conclusion, FitResult, Plan, PlannedFit, Round, failed
from jobs.plans.maker import FitMaker
from jobs.plans.results import ModelOf, metric_words, shown, shown_mean
from jobs.plans.search.choice import Choice, choose
from jobs.plans.search.halving import Later, Searched
from jobs.plans.search.result import (
    SearchRefit,
    SearchResult,
    candidate_result,
    choice_result,
    figures_of,
    first_failed,
    refit_result,
)
from jobs.plans.search.searching import Ground, most_steps, searched
from jobs.plans.search.spec import SearchPlanSpec


def plan(spec: SearchPlanSpec, maker: FitMaker) -> Plan:
    """Search, choose, refit; the job needs one candidate of which every fit finished."""
    divisions = maker.divisions()
    rest, test = all_but_test(maker, divisions[0]), divisions[0].test
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
    return replace(failed(first_failed(found.tried)), pruned=found.pruned)


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


def _sentence(
    spec: SearchPlanSpec, found: Searched, choice: Choice, num_divisions: int, refit: SearchRefit | None, status: str | None
) -> str:
    one = candidate_result(choice.chosen, spec.metric)
    assert one.score is not None
    score = shown_mean(one.score, num_divisions, "divisions")
    why = (
        f", by the rule of one standard error among {counted(len(choice.within), 'candidate')} within it"
        if spec.choose == "one_standard_error"
        else ""
    )
    said = f"of {counted(len(found.tried), 'candidate')} {one.label} is chosen with a {metric_words(spec.metric)} of {score}{why}"
    if refit is None:
        return said
    if status != "finished":
        return f"{said}; its refit on all rows but the test rows {status}"
    rows = refit.fit.num_rows
    said += f"; fitted again on {counted(rows['train'], 'row')}"
    return said if refit.test is None else f"{said} its test loss is {shown(refit.test['loss'])} over {counted(rows['test'], 'row')}"

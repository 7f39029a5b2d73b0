"""The plan `nested_cv`: a search inside each outer fold; the outer validation rows are seen once, by what it chose."""

from collections.abc import Generator
from dataclasses import dataclass

from data.splits.build import Division, filled
from jobs.plans.fits import Conclusion, FitResult, Plan, PlannedFit, Round, unfinished
from jobs.plans.lockstep import lockstep
from jobs.plans.maker import FitMaker
from jobs.plans.nested_cv.result import Nested, nested_result
from jobs.plans.nested_cv.spec import NestedCvPlanSpec
from jobs.plans.search.choice import Choice, choose
from jobs.plans.search.halving import Later, Searched
from jobs.plans.search.plan import nothing_chosen
from jobs.plans.search.searching import Ground, most_steps, searched


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """An outer fold at its end; without a choice no candidate finished."""

    found: Searched
    choice: Choice | None = None
    fit: PlannedFit | None = None
    result: FitResult | None = None


def plan(spec: NestedCvPlanSpec, maker: FitMaker) -> Plan:
    """Search inside every outer fold at the same time; the job needs every outer fit."""
    outer = maker.divisions()
    measured = yield from lockstep([_fold(spec, maker, division, i) for i, division in enumerate(outer, start=1)])
    nested = []
    for division, one in zip(outer, measured, strict=True):
        if one.choice is None:
            return nothing_chosen(one.found)
        assert one.fit is not None
        assert one.result is not None
        failure = unfinished([one.result])
        if failure is not None:
            return failure
        nested.append(Nested(division=division, tried=one.found.tried, choice=one.choice, fit=one.fit, result=one.result))
    return Conclusion(result=nested_result(spec.search, maker, nested).model_dump(mode="json"))


def _fold(spec: NestedCvPlanSpec, maker: FitMaker, outer: Division, number: int) -> Generator[Round, list[FitResult], _Measured]:
    """Search on an outer fold's training rows alone, then measure the choice on its validation rows."""
    split = filled(spec.inner_split, maker.dataset)
    place = dict(outer.place) or {"fold": number}
    ground = Ground(
        divisions=maker.divisions(split, rows=outer.train),
        origin="/plan/search/space",
        label=outer.label,
        place=place,
        fold="inner ",
    )
    found = yield from searched(spec.search, maker, ground, Later(fits=1, steps=most_steps(spec.search, maker, len(outer.train))))
    choice = choose(spec.search, found.tried)
    if choice is None:
        return _Measured(found=found)
    chosen = choice.chosen
    fit = maker.refit(
        f"{outer.label}, {chosen.candidate.label}",
        outer.train,
        outer.val,
        stop_at=chosen.best_epoch(),
        overrides=chosen.candidate.settings,
        place={**place, "candidate": chosen.candidate.number},
        asked=outer.val,
    )
    [result] = yield Round(fits=[fit], pruned=found.pruned)
    return _Measured(found=found, choice=choice, fit=fit, result=result)

"""Plans are replayed from stored results; nothing about a running plan lives in a process."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from data.dataset import Dataset
from jobs.plans.bagging.plan import plan as bagging_plan
from jobs.plans.bagging.spec import BaggingPlanSpec
from jobs.plans.bias_variance.plan import plan as bias_variance_plan
from jobs.plans.bias_variance.spec import BiasVariancePlanSpec
from jobs.plans.boosting.plan import plan as boosting_plan
from jobs.plans.boosting.spec import BoostingPlanSpec
from jobs.plans.comparison.plan import plan as comparison_plan
from jobs.plans.comparison.spec import ComparisonPlanSpec
from jobs.plans.fit.plan import plan as fit_plan
from jobs.plans.fit.spec import FitPlanSpec
from jobs.plans.fits import Conclusion, FitResult, Plan, PlannedFit, Round
from jobs.plans.learning_curve.plan import plan as learning_curve_plan
from jobs.plans.learning_curve.spec import LearningCurvePlanSpec
from jobs.plans.maker import FitMaker
from jobs.plans.nested_cv.plan import plan as nested_cv_plan
from jobs.plans.nested_cv.spec import NestedCvPlanSpec
from jobs.plans.search.plan import plan as search_plan
from jobs.plans.search.spec import SearchPlanSpec
from jobs.spec import JobSpec
from jobs.states import FitStatus

_ENDED = frozenset({FitStatus.FINISHED, FitStatus.DIVERGED, FitStatus.FAILED, FitStatus.CANCELLED, FitStatus.PRUNED})


class ReplayMismatch(ValueError):
    """A replayed plan asks for other fits than those that are stored."""


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """Where a plan stands: `planned` are all fits asked for so far, by number, as they were asked for last.

    `awaited` is the round whose fits are not all known, `index` (from 0) its place among rounds; or there is a conclusion.
    """

    planned: Mapping[int, PlannedFit]
    index: int
    awaited: Round | None
    conclusion: Conclusion | None


def replay(spec: JobSpec, dataset: Dataset, results: Sequence[FitResult]) -> Replayed:
    """Run the plan of a resolved `spec` on `dataset` and the results so far, in any order.

    Raises:
        ReplayMismatch: a stored fit is not the one that the plan asks for under its number.
    """
    return Replay(spec, dataset).go_on(results)


class Replay:
    """One run of a plan, which can go on from where it waits once more is known."""

    def __init__(self, spec: JobSpec, dataset: Dataset) -> None:
        """Start the plan of a resolved spec."""
        self._plan = start(spec, dataset)
        self._awaited = next(self._plan)
        self._index = 0
        self._planned: dict[int, PlannedFit] = {}

    def go_on(self, results: Sequence[FitResult]) -> Replayed:
        """Run on with the results so far, in any order. After its conclusion a plan cannot go on.

        Raises:
            ReplayMismatch: as `replay`.
        """
        known = {result.number: result for result in results}
        while True:
            self._planned |= {fit.number: fit for fit in self._awaited.fits}
            are_known = [_is_known(fit, known) for fit in self._awaited.fits]  # every stored fit is compared
            if not all(are_known):
                return Replayed(planned=dict(self._planned), index=self._index, awaited=self._awaited, conclusion=None)
            try:
                self._awaited = self._plan.send([known[fit.number] for fit in self._awaited.fits])
            except StopIteration as end:
                return Replayed(planned=dict(self._planned), index=self._index, awaited=None, conclusion=end.value)
            self._index += 1


def _is_known(fit: PlannedFit, known: Mapping[int, FitResult]) -> bool:
    result = known.get(fit.number)
    if result is None:
        return False
    if result.row_hash != fit.row_hash:
        raise ReplayMismatch(f"fit {fit.number}: the rows are not those that were planned")
    if result.seed not in {None, fit.seed} or result.overrides not in (None, _as_stored(fit.overrides)):
        raise ReplayMismatch(f"fit {fit.number}: the seed or the settings are not those that were planned")
    return result.status in _ENDED or fit.pause_at in result.rungs


def _as_stored(overrides: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(dict(overrides)))


def start(spec: JobSpec, dataset: Dataset) -> Plan:
    """Start the plan of a resolved spec from its beginning."""
    maker = FitMaker(spec, dataset)
    match spec.plan:
        case FitPlanSpec():
            return fit_plan(spec.plan, maker)
        case ComparisonPlanSpec():
            return comparison_plan(spec.plan, maker)
        case LearningCurvePlanSpec():
            return learning_curve_plan(spec.plan, maker)
        case SearchPlanSpec():
            return search_plan(spec.plan, maker)
        case NestedCvPlanSpec():
            return nested_cv_plan(spec.plan, maker)
        case BaggingPlanSpec():
            return bagging_plan(spec.plan, maker)
        case BoostingPlanSpec():
            return boosting_plan(spec.plan, maker)
        case BiasVariancePlanSpec():
            return bias_variance_plan(spec.plan, maker)
        case _:
            assert_never(spec.plan)

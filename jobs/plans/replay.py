"""Plans are replayed from stored results; nothing about a running plan lives in a process."""

from collections.abc import Sequence
from functools import partial
from typing import assert_never

from data.dataset import Dataset
from jobs.plans.fit.plan import plan as fit_plan
from jobs.plans.fit.spec import FitPlanSpec
from jobs.plans.fits import Conclusion, FitResult, Plan, Round
from jobs.rows import planned_fit
from jobs.spec import JobSpec


def replay(spec: JobSpec, dataset: Dataset, results: Sequence[FitResult]) -> Round | Conclusion:
    """Run the plan of a resolved `spec` on `dataset` and the results so far, in any order.

    Returns the next round, whose fits have no result yet, or the conclusion.
    """
    known = {result.number: result for result in results}
    plan = _start(spec, dataset)
    awaited = next(plan)
    while all(fit.number in known for fit in awaited):
        try:
            awaited = plan.send([known[fit.number] for fit in awaited])
        except StopIteration as end:
            conclusion: Conclusion = end.value
            return conclusion
    return awaited


def _start(spec: JobSpec, dataset: Dataset) -> Plan:
    match spec.plan:
        case FitPlanSpec():
            return fit_plan(partial(planned_fit, spec, dataset))
        case _:
            assert_never(spec.plan)

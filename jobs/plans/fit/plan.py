"""The plan `fit`: one fit on the split's rows; the job's result is that fit's final evaluation."""

from jobs.plans.fits import Conclusion, FitResult, Plan, PlanFit
from jobs.states import FailureKind, FitStatus


def plan(plan_fit: PlanFit) -> Plan:
    """Ask for one fit and conclude with its figures; it needs that fit to finish."""
    [result] = yield [plan_fit(1, "holdout")]
    return _conclude(result)


def _conclude(result: FitResult) -> Conclusion:
    if result.status is FitStatus.DIVERGED:
        return Conclusion(result=None, failure=FailureKind.DIVERGED, message=result.message)
    if result.status is not FitStatus.FINISHED or result.evaluation is None:
        return Conclusion(result=None, failure=FailureKind.INTERNAL, message=result.message or "a fit ended without an evaluation")
    return Conclusion(result={"plan": "fit", "fit": result.number, **result.evaluation})

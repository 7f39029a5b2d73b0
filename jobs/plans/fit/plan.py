"""The plan `fit`: one fit per division; one division gives that fit's final evaluation."""

from functools import partial

from jobs.plans.fit.spec import FitPlanSpec
from jobs.plans.fits import Conclusion, FitRows, Plan, Round, unfinished
from jobs.plans.maker import FitMaker


def plan(spec: FitPlanSpec, maker: FitMaker) -> Plan:  # noqa: ARG001  every plan is started alike
    """Ask for one fit per division; the job needs all of them to finish."""
    fits = [
        maker.fit(one.label, partial(FitRows, train=one.train, val=one.val, test=one.test), place=one.place) for one in maker.divisions()
    ]
    results = yield Round(fits=fits)
    first = results[0]
    return unfinished(results) or Conclusion(result={"plan": "fit", "fit": first.number, **(first.evaluation or {})})

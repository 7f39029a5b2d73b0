"""What plans conclude with. The union grows with each plan folder."""

import logging
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from jobs.plans.bagging.result import BaggingResult
from jobs.plans.bias_variance.result import BiasVarianceResult
from jobs.plans.boosting.result import BoostingResult
from jobs.plans.comparison.result import ComparisonResult
from jobs.plans.fit.result import FitPlanResult
from jobs.plans.learning_curve.result import LearningCurveResult
from jobs.plans.nested_cv.result import NestedCvResult
from jobs.plans.search.result import SearchResult

PlanResult = Annotated[
    FitPlanResult
    | ComparisonResult
    | SearchResult
    | NestedCvResult
    | BaggingResult
    | BoostingResult
    | BiasVarianceResult
    | LearningCurveResult,
    Field(discriminator="plan", title="PlanResult"),
]

_log = logging.getLogger(__name__)
_RESULT: TypeAdapter[PlanResult] = TypeAdapter(PlanResult)
_SINCE_FOLDS = {"sentence": "One network was fitted and evaluated.", "fits": [], "divisions": [], "summary": {}}
"""What a job of one fit did not store before a fit could have folds."""


def read_result(stored: Mapping[str, Any]) -> PlanResult:
    """Read a result as a job stores it, or stored it before the plan had all of today's fields."""
    return _RESULT.validate_python({**_SINCE_FOLDS, **stored} if stored.get("plan") == "fit" else stored)


def readable(stored: Mapping[str, Any] | None) -> PlanResult | None:
    """Read a result if there is one and it has today's shape: what only shows results shows the rest of a job without."""
    try:
        return None if stored is None else read_result(stored)
    except ValidationError:
        _log.exception("a result of the plan %s is of another shape", (stored or {}).get("plan"))
        return None


def as_json(result: PlanResult) -> bytes:
    """Write a result as strict JSON."""
    return _RESULT.dump_json(result)

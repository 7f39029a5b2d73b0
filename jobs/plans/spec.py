"""Plans: which fits make a job and what is concluded. The union grows with each plan folder."""

from typing import Annotated

from pydantic import Field

from jobs.plans.bagging.spec import BaggingPlanSpec
from jobs.plans.bias_variance.spec import BiasVariancePlanSpec
from jobs.plans.boosting.spec import BoostingPlanSpec
from jobs.plans.comparison.spec import ComparisonPlanSpec
from jobs.plans.fit.spec import FitPlanSpec
from jobs.plans.learning_curve.spec import LearningCurvePlanSpec
from jobs.plans.nested_cv.spec import NestedCvPlanSpec
from jobs.plans.search.spec import SearchPlanSpec

PlanSpec = Annotated[
    FitPlanSpec
    | ComparisonPlanSpec
    | SearchPlanSpec
    | NestedCvPlanSpec
    | BaggingPlanSpec
    | BoostingPlanSpec
    | BiasVariancePlanSpec
    | LearningCurvePlanSpec,
    Field(discriminator="name"),
]

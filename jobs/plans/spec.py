"""Plans: which fits make a job and what is concluded. The union grows with each plan folder."""

from typing import Annotated

from pydantic import Field

from jobs.plans.comparison.spec import ComparisonPlanSpec
from jobs.plans.fit.spec import FitPlanSpec
from jobs.plans.learning_curve.spec import LearningCurvePlanSpec

PlanSpec = Annotated[FitPlanSpec | ComparisonPlanSpec | LearningCurvePlanSpec, Field(discriminator="name")]

"""Plans: which fits make a job and what is concluded. The union grows with each plan folder."""

from typing import Annotated

from pydantic import Field

from jobs.plans.bagging.spec import BaggingSpec
from jobs.plans.bias_variance.spec import BiasVarianceSpec
from jobs.plans.boosting.spec import BoostingSpec
from jobs.plans.fit.spec import FitPlanSpec

PlanSpec = Annotated[FitPlanSpec | BaggingSpec | BoostingSpec | BiasVarianceSpec, Field(discriminator="name")]

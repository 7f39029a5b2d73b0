"""Plans whose jobs can be extended: all that they conclude comes of one round of fits, each of which can train on."""

from jobs.plans.bagging.spec import BaggingPlanSpec
from jobs.plans.bias_variance.spec import BiasVariancePlanSpec
from jobs.plans.comparison.spec import ComparisonPlanSpec
from jobs.plans.fit.spec import FitPlanSpec
from jobs.plans.learning_curve.spec import LearningCurvePlanSpec
from jobs.plans.spec import PlanSpec

_EXTENDABLE = (FitPlanSpec, ComparisonPlanSpec, BaggingPlanSpec, BiasVariancePlanSpec, LearningCurvePlanSpec)
"""A refit follows from its round and is trained anew. In searches and boosting whole rounds follow from what others came to."""


def is_extendable(plan: PlanSpec) -> bool:
    """Tell whether a job of this plan can be extended; its first round is then what goes on."""
    return isinstance(plan, _EXTENDABLE)


def needs_every_fit(plan: PlanSpec) -> bool:
    """Tell whether a job of this plan fails with any one of the fits of its first round."""
    return isinstance(plan, FitPlanSpec | BiasVariancePlanSpec)

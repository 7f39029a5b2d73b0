"""What is wrong with a plan before it starts, plan by plan."""

from collections.abc import Iterator
from typing import assert_never

from data.dataset import Dataset
from jobs.limits import Limits
from jobs.plans.bagging.problems import problems as bagging_problems
from jobs.plans.bagging.spec import BaggingPlanSpec
from jobs.plans.bias_variance.problems import problems as bias_variance_problems
from jobs.plans.bias_variance.spec import BiasVariancePlanSpec
from jobs.plans.boosting.problems import problems as boosting_problems
from jobs.plans.boosting.spec import BoostingPlanSpec
from jobs.plans.comparison.problems import problems as comparison_problems
from jobs.plans.comparison.spec import ComparisonPlanSpec
from jobs.plans.fit.problems import problems as fit_problems
from jobs.plans.fit.spec import FitPlanSpec
from jobs.plans.learning_curve.problems import problems as learning_curve_problems
from jobs.plans.learning_curve.spec import LearningCurvePlanSpec
from jobs.plans.nested_cv.problems import problems as nested_cv_problems
from jobs.plans.nested_cv.spec import NestedCvPlanSpec
from jobs.plans.search.problems import problems as search_problems
from jobs.plans.search.spec import SearchPlanSpec
from jobs.problems import Problem
from jobs.spec import JobSpec


def plan_problems(spec: JobSpec, dataset: Dataset, limits: Limits) -> Iterator[Problem]:
    """Find what keeps the plan of a resolved spec from being made."""
    match spec.plan:
        case FitPlanSpec():
            yield from fit_problems(spec, dataset)
        case ComparisonPlanSpec():
            yield from comparison_problems(spec, dataset)
        case LearningCurvePlanSpec():
            yield from learning_curve_problems(spec, dataset)
        case SearchPlanSpec():
            yield from search_problems(spec, dataset, limits)
        case NestedCvPlanSpec():
            yield from nested_cv_problems(spec, dataset, limits)
        case BaggingPlanSpec():
            yield from bagging_problems(spec, dataset)
        case BoostingPlanSpec():
            yield from boosting_problems(spec, dataset)
        case BiasVariancePlanSpec():
            yield from bias_variance_problems(spec, dataset)
        case _:
            assert_never(spec.plan)

"""What is wrong with a plan before it starts, plan by plan."""

from collections.abc import Iterator
from typing import assert_never

from data.dataset import Dataset
from jobs.limits import Limits
from jobs.plans.fit.spec import FitPlanSpec
from jobs.problems import Problem
from jobs.spec import JobSpec


def plan_problems(spec: JobSpec, dataset: Dataset, limits: Limits) -> Iterator[Problem]:  # noqa: ARG001  plans are asked alike
    """Find what keeps the plan of a resolved spec from being made."""
    match spec.plan:
        case FitPlanSpec():
            yield from ()
        case _:
            assert_never(spec.plan)

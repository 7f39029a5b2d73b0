"""What is wrong with a job that asks for boosting and with no other."""

from collections.abc import Iterator

from data.dataset import Dataset
from jobs.plans.boosting.spec import BoostingPlanSpec
from jobs.plans.undivided import division_problems
from jobs.problems import Problem
from jobs.spec import JobSpec


def problems(spec: JobSpec, dataset: Dataset) -> Iterator[Problem]:
    """Check a resolved spec."""
    if isinstance(spec.plan, BoostingPlanSpec):
        yield from division_problems(spec, dataset)

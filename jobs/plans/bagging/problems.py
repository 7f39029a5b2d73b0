"""What is wrong with a job that asks for bagging and with no other."""

from collections.abc import Iterator

from data.counting import counted
from data.dataset import Dataset
from jobs.plans.bagging.plan import sample_size
from jobs.plans.bagging.spec import BaggingPlanSpec
from jobs.plans.undivided import division_problems
from jobs.problems import Problem
from jobs.rows import divisions_of
from jobs.spec import JobSpec


def problems(spec: JobSpec, dataset: Dataset) -> Iterator[Problem]:
    """Check a resolved spec."""
    plan = spec.plan
    if not isinstance(plan, BaggingPlanSpec):
        return
    yield from division_problems(spec, dataset)
    if plan.vote is not None and dataset.info.task == "regression":
        yield Problem("/plan/vote", "does_not_apply", f"a {plan.vote} vote needs classes; numbers are averaged: leave vote out")
    rows = len(divisions_of(spec, dataset)[0].train)
    if not plan.bootstrap and sample_size(plan, rows) == rows:
        message = f"without replacement every member would have the same {counted(rows, 'training row')}: set sample_fraction below 1"
        yield Problem("/plan/sample_fraction" if plan.sample_fraction < 1 else "/plan/bootstrap", "no_effect", message)

"""What plans say that draw their own training sets from one division of the rows."""

from collections.abc import Iterator

from data.dataset import Dataset
from jobs.problems import Problem
from jobs.rows import divisions_of
from jobs.spec import JobSpec


def division_problems(spec: JobSpec, dataset: Dataset) -> Iterator[Problem]:
    """Refuse a split of a resolved spec that divides the rows several times."""
    found = divisions_of(spec, dataset)
    if len(found) > 1:
        message = f"{spec.plan.name} needs one division of the rows and {spec.split.name} makes {len(found)}: use holdout or predefined"
        yield Problem("/split", "needs_one_division", message)

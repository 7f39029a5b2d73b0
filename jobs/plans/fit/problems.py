"""What the plan `fit` cannot be asked for."""

from collections.abc import Iterator

from data.dataset import Dataset
from jobs.applicability import has_validation
from jobs.plans.fit.spec import FitPlanSpec
from jobs.problems import Problem
from jobs.spec import JobSpec
from training.schedules.spec import ReduceOnPlateauSpec


def problems(spec: JobSpec, dataset: Dataset) -> Iterator[Problem]:
    """Refuse to fit again where no validation rows say for how long, or where a schedule would need some."""
    if not (isinstance(spec.plan, FitPlanSpec) and spec.plan.refit):
        return
    if not has_validation(spec, dataset.info):
        message = "refit goes to the best epoch by validation rows, and this split holds none out: set split.val_fraction above 0"
        yield Problem("/plan/refit", "needs_validation", message)
    if isinstance(spec.schedule, ReduceOnPlateauSpec):
        message = "reduce_on_plateau follows validation rows, and a refit trains on them: choose a schedule that is a function of the epoch"
        yield Problem("/plan/refit", "needs_validation", message)

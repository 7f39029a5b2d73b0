"""What is wrong with a job that asks for bias and variance and with no other."""

from collections.abc import Iterator
from itertools import chain

from data.dataset import Dataset
from jobs.plans.bias_variance.plan import Setting, settings
from jobs.plans.bias_variance.spec import BiasVariancePlanSpec
from jobs.plans.maker import with_overrides
from jobs.plans.undivided import division_problems
from jobs.problems import OF_POINTERS, Problem, SpecProblems
from jobs.rows import divisions_of
from jobs.spec import JobSpec
from training.schedules.spec import ReduceOnPlateauSpec

_MOST_ANSWERS = 100_000_000
"""Class probabilities or numbers, over all fits of one value of the axis, that the conclusion holds at once."""
_KEPT = "/training/kept_weights"


def problems(spec: JobSpec, dataset: Dataset) -> Iterator[Problem]:
    """Check a resolved spec."""
    plan = spec.plan
    if not isinstance(plan, BiasVariancePlanSpec):
        return
    yield from division_problems(spec, dataset)
    if any(len(division.val) == 0 for division in divisions_of(spec, dataset)):
        yield Problem("/split", "needs_validation", "bias and variance are measured on validation rows: set split.val_fraction above 0")
    answers = plan.resamples * dataset.info.num_outputs * max(len(division.val) for division in divisions_of(spec, dataset))
    if answers > _MOST_ANSWERS:
        message = f"{plan.resamples} fits give {answers} answers on the validation rows, more than the {_MOST_ANSWERS} held at once"
        yield Problem("/plan/resamples", "too_many_answers", f"{message}: ask for fewer resamples or hold out fewer rows")
    followers = list(_following_problems(spec, ""))
    yield from followers
    found = [_setting_problems(spec, setting, is_quiet=bool(followers)) for setting in settings(plan) if setting.overrides]
    yield from dict.fromkeys(chain.from_iterable(found))
    values = [setting.value for setting in settings(plan)]
    for i, setting in enumerate(settings(plan)):
        if setting.value in values[:i]:
            yield Problem(setting.origin, "repeated", "this value stands twice on the axis")


def _setting_problems(spec: JobSpec, setting: Setting, *, is_quiet: bool) -> Iterator[Problem]:
    """Check one value of the axis. `is_quiet`: what follows validation rows has been reported of the whole spec."""
    if _KEPT in setting.overrides:
        yield Problem(_axis_of(setting), "cannot_vary", f"{_KEPT} is always last here: the validation rows choose nothing")
        return
    try:
        varied = with_overrides(spec, setting.overrides)
    except SpecProblems as error:
        for one in error.problems:
            if one.code in OF_POINTERS and one.pointer in setting.overrides:
                yield Problem(_axis_of(setting), one.code, one.message)
            else:
                yield Problem(setting.origin, one.code, f"{one.pointer}: {one.message}")
        return
    if not is_quiet:
        yield from _following_problems(varied, setting.origin)


def _axis_of(setting: Setting) -> str:
    """Point at the axis itself: what it leads to is at fault, whatever the value."""
    return setting.origin.rpartition("/values/")[0]


def _following_problems(spec: JobSpec, origin: str) -> Iterator[Problem]:
    """Refuse what lets the rows that measure variance have a say in training."""
    if spec.early_stopping is not None:
        message = "the validation rows that measure bias and variance cannot also stop the fits: leave early_stopping out"
        yield Problem(origin or "/early_stopping", "excludes", message)
    if isinstance(spec.schedule, ReduceOnPlateauSpec):
        message = "the validation rows that measure bias and variance cannot also drive a schedule: use one that follows the epoch"
        yield Problem(origin or "/schedule", "excludes", message)

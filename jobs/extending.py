"""An ended job goes on as another one, of more epochs: what is taken over of it, and why it may not go on. Pure.

The aim is the job that would have been, had it been submitted with so many epochs at once. So only what is sure to be the same
there is taken over: the figures of fits that ended for good, and checkpoints. All else is trained from the beginning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from jobs.plans.extendable import is_extendable, needs_every_fit
from jobs.plans.fits import PlannedFit
from jobs.resolve import Resolved
from jobs.spec import JobSpec, MetadataKey, MetadataValue, RunSeconds
from jobs.states import ACTIVE, FailureKind, FitStatus, JobStatus
from models.closed import Spec, Title
from training.records import StopReason
from training.schedules.build import Schedule
from training.spec import MAX_EPOCHS

_MENDABLE = frozenset({FailureKind.TIME_LIMIT.value, FailureKind.WORKER_LOST.value})
"""A job that failed so had nothing wrong with it."""


class Extension(Spec):
    """What is to become of an ended job: the same spec with more epochs."""

    max_epochs: Annotated[
        int,
        Field(
            ge=1,
            le=MAX_EPOCHS,
            description="Epochs of the new job in all, those of the old one included: its curve has rows 0 ... max_epochs.",
        ),
    ]
    name: Annotated[Title, Field(min_length=1, max_length=200)] | None = Field(None, description="null: as the old job.")
    metadata: Annotated[dict[MetadataKey, MetadataValue], Field(max_length=32)] | None = Field(None, description="null: as the old job.")
    time_limit_seconds: RunSeconds | None = Field(None, description="Of the new job alone. Left out: as the old job; null: none.")

    def of(self, spec: JobSpec) -> JobSpec:
        """Give the spec of the new job."""
        more = {"training": spec.training.model_copy(update={"max_epochs": self.max_epochs})}
        said = {"name": self.name, "metadata": self.metadata}
        limit = {"time_limit_seconds": self.time_limit_seconds} if "time_limit_seconds" in self.model_fields_set else {}
        return spec.model_copy(update={**more, **limit, **{name: value for name, value in said.items() if value is not None}})


class CannotExtend(Exception):
    """A job that cannot go on, with a stable code and what to do instead."""

    def __init__(self, code: str, detail: str) -> None:
        """Say why."""
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, kw_only=True)
class EndedFit:
    """A fit of an ended job's first round, as it was stored."""

    number: int
    status: FitStatus
    stop_reason: str | None
    row_hash: str
    seed: int
    overrides: Mapping[str, Any]
    last_epoch: int | None
    checkpoint_url: str | None
    checkpoint_epoch: int | None
    weights_url: str | None
    outputs_url: str | None


@dataclass(frozen=True, kw_only=True)
class EndedJob:
    """A job as it stands, of which it is not sure yet that it has ended. `furthest_epoch` is the last of any of its curves."""

    id: str
    owner: str
    status: JobStatus
    failure_kind: str | None
    spec: JobSpec
    furthest_epoch: int | None
    fits: Mapping[int, EndedFit]


class Taken(StrEnum):
    """What of an old fit goes into the new job."""

    END = "end"  # it is over, and would have been: its curve, figures and weights
    CHECKPOINT = "checkpoint"  # its curve up to there, and what it goes on from
    NOTHING = "nothing"  # it is trained from the beginning


@dataclass(frozen=True, kw_only=True)
class Extended:
    """A new job: resolved, with what each fit of its first round takes over, by number."""

    old: EndedJob
    resolved: Resolved
    taken: Mapping[int, Taken]

    def fits(self, taken: Taken) -> list[PlannedFit]:
        """Give the fits that take this over."""
        return [fit for fit in self.resolved.first_round.fits if self.taken[fit.number] is taken]

    @property
    def to_train(self) -> list[PlannedFit]:
        """Give the fits that are to be trained."""
        return [fit for fit in self.resolved.first_round.fits if self.taken[fit.number] is not Taken.END]


def check_extendable(old: EndedJob) -> None:
    """Refuse a job that no number of epochs can extend.

    Raises:
        CannotExtend: `job_active`, `cannot_extend` or `nothing_to_extend`.
    """
    if old.status in ACTIVE:
        raise CannotExtend("job_active", f"job {old.id} is {old.status.value}: only jobs that have ended can be extended; cancel it first")
    if not is_extendable(old.spec.plan):
        raise CannotExtend(
            "cannot_extend",
            f"in the plan {old.spec.plan.name} later fits follow from what earlier ones came to: submit a new job with more epochs",
        )
    if needs_every_fit(old.spec.plan) and any(fit.status is FitStatus.DIVERGED for fit in old.fits.values()):
        raise CannotExtend(
            "nothing_to_extend", f"a fit of job {old.id} diverged, and would again: submit a new job with a smaller learning rate"
        )
    if old.status is JobStatus.FAILED and old.failure_kind not in _MENDABLE:
        raise CannotExtend(
            "nothing_to_extend", f"job {old.id} failed ({old.failure_kind}), and would again: submit a new job that mends it"
        )


def extend(old: EndedJob, resolved: Resolved) -> Extended:
    """Say what a job of more epochs takes over of `old`, whose spec was `resolved` again with them.

    Raises:
        CannotExtend: `rows_changed`, or `nothing_to_extend`.
    """
    planned = resolved.first_round.fits
    for fit in planned:
        known = old.fits.get(fit.number)
        if known is None or (known.row_hash, known.seed) != (fit.row_hash, fit.seed) or dict(known.overrides) != dict(fit.overrides):
            raise CannotExtend(
                "rows_changed", f"the rows of dataset {old.spec.dataset} are not those that job {old.id} was trained on: submit a new job"
            )
    found = Extended(old=old, resolved=resolved, taken={fit.number: _taken(fit, old.fits[fit.number]) for fit in planned})
    if Taken.CHECKPOINT not in found.taken.values():
        raise CannotExtend("nothing_to_extend", _why_nothing(found))
    return found


def _taken(fit: PlannedFit, known: EndedFit) -> Taken:
    is_over = known.stop_reason == StopReason.EARLY_STOPPING.value or (known.last_epoch or 0) >= fit.spec.training.max_epochs
    if known.status is FitStatus.FINISHED and is_over:
        return Taken.END
    return Taken.NOTHING if known.checkpoint_url is None else Taken.CHECKPOINT


def _why_nothing(found: Extended) -> str:
    fits = found.old.fits.values()
    if all(fit.stop_reason == StopReason.EARLY_STOPPING.value for fit in fits):
        return f"every fit of job {found.old.id} was stopped early and would train no further: submit a new job with more patience"
    if Taken.NOTHING not in found.taken.values():
        return f"no fit of job {found.old.id} would train on: its plan sets max_epochs, or they were stopped early; submit a new job"
    return f"job {found.old.id} left no checkpoint to go on from: submit a new job with more epochs"


def remarks(found: Extended) -> list[str]:
    """Say where the new job is not what a job of so many epochs would have been, and what it trains again."""
    old, said = found.old, []
    foreseeing = [fit for fit in found.fits(Taken.CHECKPOINT) if _foresaw_its_end(fit, old)]
    if foreseeing:
        names = " and ".join(sorted({fit.spec.schedule.name for fit in foreseeing}))
        said.append(
            f"the schedule {names} depends on max_epochs: rates up to epoch {_furthest(foreseeing, old)} were those of a job of "
            f"{old.spec.training.max_epochs} epochs, so the curve is not that of a job submitted with {found.resolved.spec.training.max_epochs}"
        )
    anew = [str(fit.number) for fit in found.fits(Taken.NOTHING)]
    if anew:
        which = f"fit {anew[0]} has" if len(anew) == 1 else f"fits {', '.join(anew[:10])}{' ...' if len(anew) > 10 else ''} have"
        said.append(f"{which} no checkpoint in job {old.id}: trained from the beginning")
    return said


def _furthest(fits: Sequence[PlannedFit], old: EndedJob) -> int:
    return max(old.fits[fit.number].checkpoint_epoch or 0 for fit in fits)


def _foresaw_its_end(fit: PlannedFit, old: EndedJob) -> bool:
    """Tell whether the rates that a fit was trained with would have been others with as many epochs as it is to have."""
    spec, epochs = fit.spec, old.fits[fit.number].checkpoint_epoch or 0
    then, now = (
        Schedule(spec.schedule, 1.0, total) for total in (old.spec.training.max_epochs, spec.training.max_epochs)
    )  # what follows a monitor is in neither, and foresees nothing
    return any(then.rate(epoch) != now.rate(epoch) for epoch in range(1, epochs + 1))

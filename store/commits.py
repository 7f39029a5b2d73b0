"""The one write of a worker: it raises the job's version, proves that the attempt still holds the shard, and inserts.

If either is no longer so, nothing is written and `LeaseLost` is raised. Epochs, ends, pauses and checkpoints of fits, the
shard's end and the job's are one transaction.
"""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from jobs.states import FailureKind, FitStatus, JobStatus, ShardStatus
from store.engine import Database, is_duplicate
from store.errors import LeaseLost
from store.events import ending, tell
from store.jobs import close_job
from store.orders import is_held, pause
from store.shards import OPEN_FITS, Claim, Orders, hold
from store.tables import EpochRow, FitRow, JobRow, ShardRow, table
from training.records import EpochRecord, StopReason

_SHARDS = table(ShardRow)
_FITS = table(FitRow)
_JOBS = table(JobRow)

# What every commit asks for is built once: building a statement costs six times as much as sending it to SQLite.
_OF_FIT = (_FITS.c.job_id == bindparam("of_job"), _FITS.c.number == bindparam("of_number"))
_RAISE = (
    update(_JOBS)
    .where(_JOBS.c.id == bindparam("of_job"), _JOBS.c.status == JobStatus.RUNNING)
    .values(version=_JOBS.c.version + 1)
    .returning(_JOBS.c.version, _JOBS.c.cancel_requested_at, _JOBS.c.pause_requested_at)
)
_RAISE_AND_NOTE = _RAISE.values(environment=func.coalesce(_JOBS.c.environment, bindparam("trained_with", type_=_JOBS.c.environment.type)))
_ADD_EPOCHS = insert(table(EpochRow))
_ADD_STEPS = update(_FITS).where(*_OF_FIT).values(steps_done=_FITS.c.steps_done + bindparam("steps"), last_epoch=bindparam("epoch"))
_CHANGE_FIT = update(_FITS).where(*_OF_FIT)
_END_OWN_FITS = update(_FITS).where(_FITS.c.shard_id == bindparam("of_shard"), _FITS.c.status == FitStatus.RUNNING)
_COUNTED_SHARDS = select(_SHARDS.c.status, func.count()).where(_SHARDS.c.job_id == bindparam("of_job")).group_by(_SHARDS.c.status)


@dataclass(frozen=True, kw_only=True)
class FitEnd:
    """How a fit ended, ready to be stored. `failure` is that of a fit that failed for itself.

    `keeps_checkpoint`: the fit can be gone on with, in another job, from its last checkpoint.
    """

    number: int
    status: FitStatus
    stop_reason: str
    best_epoch: int | None
    last_epoch: int | None
    kept_epoch: int | None
    evaluation: dict[str, Any] | None
    weights_url: str | None
    message: str | None = None
    outputs_url: str | None = None
    failure: dict[str, Any] | None = None
    keeps_checkpoint: bool = False


@dataclass(frozen=True, kw_only=True)
class FitCheckpoint:
    """Where a fit can be gone on with: what it had come to after `epoch` lies under `url`.

    With `figures`, those of its `best_epoch` until then, the fit pauses there and waits for its plan.
    """

    number: int
    epoch: int
    url: str
    figures: Mapping[str, float] | None = None
    best_epoch: int | None = None


@dataclass(frozen=True, kw_only=True)
class Finish:
    """How a job ends. `pruned` are paused fits that its plan does not go on with."""

    status: JobStatus
    result: dict[str, Any] | None = None
    failure: dict[str, Any] | None = None
    pruned: Sequence[int] = ()


def commit(
    db: Database,
    claim: Claim,
    *,
    lease_seconds: float,
    epochs: Sequence[EpochRecord] = (),
    outcomes: Sequence[FitEnd] = (),
    checkpoints: Sequence[FitCheckpoint] = (),
    is_done: bool = False,
    finish: Finish | None = None,
    environment: dict[str, Any] | None = None,
) -> Orders:
    """Write what came about in one transaction, and renew the lease, or end the shard where it `is_done`.

    `finish` ends the shard and the job with it; a cancelled or timed out job only once no other worker holds a shard of
    it. A job whose cancellation was asked for ends cancelled, whatever `finish` says. `environment` (what it was trained
    with) is stored with the first shard that ends.

    Raises:
        LeaseLost: this attempt does not hold the shard any more, or the job has ended; nothing was written.
    """
    ends_shard = is_done or finish is not None
    with db.write() as connection:
        now = db.now(connection)
        noted = {} if environment is None or not ends_shard else {"trained_with": environment}
        job = connection.execute(_RAISE_AND_NOTE if noted else _RAISE, {"of_job": claim.job_id, **noted}).first()
        if job is None:
            raise LeaseLost(claim.shard_id)
        _insert_epochs(connection, claim, job.version, epochs)
        hold(connection, claim, now, lease_seconds, is_done=ends_shard, counts=True)
        # In this order: a fit that ended since names its last checkpoint or none.
        told = [event for checkpoint in checkpoints if (event := _keep_checkpoint(connection, claim, checkpoint)) is not None]
        told += [_end_fit(connection, claim, outcome) for outcome in outcomes]
        is_cancelled, must_advance = job.cancel_requested_at is not None, False
        if ends_shard:
            final = (
                replace(finish or Finish(status=JobStatus.CANCELLED), status=JobStatus.CANCELLED, failure=None) if is_cancelled else finish
            )
            final, must_advance = _close(connection, claim, now, final, lease_seconds)
            told += [] if final is None else ending(final.status, final.failure)
        tell(connection, claim.job_id, job.version, now, told)
        is_pausing = job.pause_requested_at is not None
        if ends_shard and final is None and is_pausing and not is_held(connection, claim.job_id):
            pause(connection, claim.job_id, now)
            must_advance = False
    return Orders(version=job.version, is_cancelled=is_cancelled, is_pausing=is_pausing, must_advance=must_advance)


def _close(
    connection: Connection, claim: Claim, now: dt.datetime, final: Finish | None, lease_seconds: float
) -> tuple[Finish | None, bool]:
    """End a shard: say how the job ends with it, if it does, and whether its plan must be advanced: by this worker, unless it dies."""
    final = final or _timed_out(connection, claim)
    is_unwanted = final is not None and _is_unwanted(final)
    if final is not None and is_unwanted:
        _withdraw(connection, claim, final)
    counts: dict[ShardStatus, int] = {row[0]: row[1] for row in connection.execute(_COUNTED_SHARDS, {"of_job": claim.job_id})}
    if is_unwanted or final is None or counts.get(ShardStatus.RUNNING, 0):  # else the job's end fails all that is open
        _end_own_fits(connection, claim, final)
    if counts.get(ShardStatus.RUNNING, 0):
        return None, False
    if final is not None:
        close_job(connection, claim.job_id, now, final.status, result=final.result, failure=final.failure, pruned=final.pruned)
        return final, False
    if counts.get(ShardStatus.PENDING, 0):
        return None, False
    advances = {"advance_sent_at": now, "advancer": claim.worker, "advancing_until": now + dt.timedelta(seconds=lease_seconds)}
    connection.execute(update(JobRow).where(JobRow.id == claim.job_id).values(**advances))
    return None, True


def _end_own_fits(connection: Connection, claim: Claim, final: Finish | None) -> None:
    """No fit of an ended shard stays open, but for those that paused."""
    left = {"status": FitStatus.FAILED, "stop_reason": FitStatus.FAILED.value}
    if final is not None and _is_unwanted(final):
        left = {"status": FitStatus.CANCELLED, "stop_reason": _unwanted_reason(final)}
    connection.execute(_END_OWN_FITS, {"of_shard": claim.shard_id, **left})


def _withdraw(connection: Connection, claim: Claim, final: Finish) -> None:
    """Let nobody begin what is no longer wanted."""
    waiting = select(_SHARDS.c.id).where(_SHARDS.c.job_id == claim.job_id, _SHARDS.c.status == ShardStatus.PENDING).scalar_subquery()
    connection.execute(
        update(_FITS)
        .where(_FITS.c.shard_id.in_(waiting), _FITS.c.status.in_(OPEN_FITS))
        .values(status=FitStatus.CANCELLED, stop_reason=_unwanted_reason(final))
    )
    connection.execute(
        update(_SHARDS).where(_SHARDS.c.job_id == claim.job_id, _SHARDS.c.status == ShardStatus.PENDING).values(status=ShardStatus.DONE)
    )


def _timed_out(connection: Connection, claim: Claim) -> Finish | None:
    """Fail a job of which any fit was stopped by the time limit, whoever ends last."""
    stopped = select(_FITS.c.number).where(_FITS.c.job_id == claim.job_id, _FITS.c.stop_reason == StopReason.TIME_LIMIT.value).limit(1)
    if connection.execute(stopped).first() is None:
        return None
    return Finish(status=JobStatus.FAILED, failure=time_limit_failure(claim.spec["time_limit_seconds"]))


def time_limit_failure(seconds: float | None, *, is_at_work: bool = False) -> dict[str, Any]:
    """Give the failure of a job whose time limit was reached, `is_at_work` in an epoch that did not end in time."""
    limit = "the worker's own time limit" if seconds is None else f"the time limit of {seconds} s"
    rest = "in an epoch that did not end soon after: no weights were kept of the fits in training" if is_at_work else None
    detail = f"{limit} was reached{'; the weights kept so far can be downloaded' if rest is None else ' ' + rest}"
    return {"kind": FailureKind.TIME_LIMIT.value, "detail": detail, "retryable": False}


def _is_unwanted(final: Finish) -> bool:
    """Tell whether the job ends without what it has not begun: it was cancelled, or its time is over."""
    return final.status is JobStatus.CANCELLED or (final.failure is not None and final.failure["kind"] == FailureKind.TIME_LIMIT.value)


def _unwanted_reason(final: Finish) -> str:
    return (StopReason.CANCELLED if final.status is JobStatus.CANCELLED else StopReason.TIME_LIMIT).value


def _insert_epochs(connection: Connection, claim: Claim, version: int, epochs: Sequence[EpochRecord]) -> None:
    if not epochs:
        return
    try:
        connection.execute(_ADD_EPOCHS, [_epoch_values(claim.job_id, version, record) for record in epochs])
    except IntegrityError as error:
        if not is_duplicate(error):
            raise
        # A commit whose answer was lost with the connection did happen: this attempt no longer knows what it holds.
        raise LeaseLost(claim.shard_id) from error
    for number in sorted({record.fit for record in epochs}):
        own = [record for record in epochs if record.fit == number]
        steps = sum(record.steps for record in own)
        connection.execute(_ADD_STEPS, {"of_job": claim.job_id, "of_number": number, "steps": steps, "epoch": own[-1].epoch})


def _epoch_values(job_id: str, version: int, record: EpochRecord) -> dict[str, Any]:
    metrics = {f"train_{name}": value for name, value in record.train_metrics.items()} | {
        f"val_{name}": value for name, value in record.val_metrics.items()
    }
    figures = {
        "train_loss": record.train_loss,
        "val_loss": record.val_loss,
        **{name: metrics.get(name) for name in ("train_accuracy", "val_accuracy", "train_rmse", "val_rmse", "train_r2", "val_r2")},
        "objective": record.objective,
        "learning_rate": record.learning_rate,
        "seconds": record.seconds,
    }
    for name, value in figures.items():
        if value is not None and not math.isfinite(value):  # SQLite would store NaN as NULL
            raise ValueError(f"{name} of epoch {record.epoch} of fit {record.fit} is not finite")
    return {"job_id": job_id, "fit_number": record.fit, "epoch": record.epoch, "version": version, "steps": record.steps, **figures}


def _end_fit(connection: Connection, claim: Claim, end: FitEnd) -> tuple[str, dict[str, Any]]:
    names = (
        "status", "stop_reason", "best_epoch", "last_epoch", "kept_epoch", "evaluation", "weights_url", "message", "outputs_url", "failure",
    )  # fmt: skip
    values = {name: getattr(end, name) for name in names}
    if not end.keeps_checkpoint:
        values |= {"checkpoint_url": None, "checkpoint_epoch": None}
    connection.execute(_CHANGE_FIT, {"of_job": claim.job_id, "of_number": end.number, **values})
    return "fit", {
        "fit": end.number,
        "status": end.status.value,
        "stop_reason": end.stop_reason,
        "best_epoch": end.best_epoch,
        "message": end.message,
    }


def _keep_checkpoint(connection: Connection, claim: Claim, kept: FitCheckpoint) -> tuple[str, dict[str, Any]] | None:
    own = (_FITS.c.job_id == claim.job_id, _FITS.c.number == kept.number)
    values: dict[str, Any] = {"checkpoint_url": kept.url, "checkpoint_epoch": kept.epoch}
    if kept.figures is not None:
        rungs = connection.execute(select(_FITS.c.rungs).where(*own)).scalar_one()
        values |= {"status": FitStatus.PENDING, "best_epoch": kept.best_epoch, "rungs": {**rungs, str(kept.epoch): dict(kept.figures)}}
    connection.execute(update(_FITS).where(*own).values(**values))
    if kept.figures is None:
        return None
    return "fit", {"fit": kept.number, "status": FitStatus.PENDING.value, "stop_reason": StopReason.PAUSED.value, "epoch": kept.epoch}

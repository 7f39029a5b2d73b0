"""Shards: claimed by compare-and-set, held under a lease, written through a fence. The job's row is always locked first.

The one write of a worker is `commit`: it raises the job's version, proves that the attempt still holds the shard, and
inserts. If either is no longer so, nothing is written and `LeaseLost` is raised.
"""

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, and_, case, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from jobs.states import ACTIVE, FailureKind, FitStatus, JobStatus, ShardStatus
from store.engine import Database, is_duplicate
from store.errors import LeaseLost
from store.events import ending, tell
from store.jobs import bump, end_job, lock
from store.tables import EpochRow, FitRow, JobRow, ShardRow, table
from training.records import EpochRecord

MAX_IDLE_ATTEMPTS = 3
"""Attempts in a row that may end without a new furthest step before the job is given up."""

_SHARDS = table(ShardRow)
_FITS = table(FitRow)
_OPEN = (FitStatus.PENDING, FitStatus.RUNNING)


@dataclass(frozen=True, kw_only=True)
class ClaimedFit:
    """A fit to train."""

    number: int
    label: str
    row_hash: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A shard held by one attempt, and what to train. `elapsed_seconds` is the job's running time before this claim."""

    shard_id: str
    job_id: str
    attempt: int
    worker: str
    spec: dict[str, Any]
    fits: tuple[ClaimedFit, ...]
    version: int
    elapsed_seconds: float


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What the job wants of its worker."""

    version: int
    is_cancelled: bool


@dataclass(frozen=True, kw_only=True)
class FitEnd:
    """How a fit ended, ready to be stored."""

    number: int
    status: FitStatus
    stop_reason: str
    best_epoch: int | None
    last_epoch: int | None
    kept_epoch: int | None
    evaluation: dict[str, Any] | None
    weights_url: str | None
    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class Finish:
    """How a job ends."""

    status: JobStatus
    result: dict[str, Any] | None = None
    failure: dict[str, Any] | None = None


def claim(db: Database, shard_id: str, worker: str, lease_seconds: float) -> Claim | None:
    """Take a shard that waits, or whose lease has run out; None if somebody else has it or its job wants no work.

    A shard taken over starts its unfinished fits again: their epochs are deleted.
    """
    with db.write() as connection:
        job_id = connection.scalar(select(ShardRow.job_id).where(ShardRow.id == shard_id))
        job = None if job_id is None else lock(connection, job_id)
        if job is None or job.status not in ACTIVE or job.cancel_requested_at is not None:
            return None
        now = db.now(connection)
        is_free = or_(
            _SHARDS.c.status == ShardStatus.PENDING, and_(_SHARDS.c.status == ShardStatus.RUNNING, _SHARDS.c.lease_expires_at < now)
        )
        taken = connection.execute(
            update(_SHARDS)
            .where(_SHARDS.c.id == shard_id, is_free, _SHARDS.c.idle_attempts < MAX_IDLE_ATTEMPTS)
            .values(
                status=ShardStatus.RUNNING,
                attempt=_SHARDS.c.attempt + 1,
                idle_attempts=_SHARDS.c.idle_attempts + 1,
                worker=worker,
                lease_expires_at=now + dt.timedelta(seconds=lease_seconds),
            )
            .returning(_SHARDS.c.attempt)
        ).first()
        if taken is None:
            return None
        fits = connection.execute(
            select(_FITS.c.number, _FITS.c.label, _FITS.c.row_hash)
            .where(_FITS.c.shard_id == shard_id, _FITS.c.status.in_(_OPEN))
            .order_by(_FITS.c.number)
        ).all()
        if taken.attempt > 1:
            numbers = [fit.number for fit in fits]
            connection.execute(delete(EpochRow).where(EpochRow.job_id == job.id, EpochRow.fit_number.in_(numbers)))
        connection.execute(
            update(_FITS)
            .where(_FITS.c.shard_id == shard_id, _FITS.c.status.in_(_OPEN))
            .values(status=FitStatus.RUNNING, steps_done=0, last_epoch=None, best_epoch=None)
        )
        started = job.started_at or now
        version = bump(connection, job.id, status=JobStatus.RUNNING, started_at=started, phase="training")
        if job.status is JobStatus.QUEUED:
            tell(connection, job.id, version, now, [("status", {"status": JobStatus.RUNNING.value})])
    return Claim(
        shard_id=shard_id,
        job_id=job.id,
        attempt=taken.attempt,
        worker=worker,
        spec=job.spec,
        fits=tuple(ClaimedFit(number=fit.number, label=fit.label, row_hash=fit.row_hash) for fit in fits),
        version=version,
        elapsed_seconds=(now - started).total_seconds(),
    )


def commit(
    db: Database,
    claim: Claim,
    *,
    lease_seconds: float,
    epochs: Sequence[EpochRecord] = (),
    outcomes: Sequence[FitEnd] = (),
    finish: Finish | None = None,
    environment: dict[str, Any] | None = None,
) -> Orders:
    """Write epochs, ended fits and the job's end in one transaction, and renew the lease.

    A job whose cancellation was asked for ends cancelled, whatever `finish` says. `environment` (what it was trained
    with) is stored with `finish`.

    Raises:
        LeaseLost: this attempt does not hold the shard any more, or the job has ended; nothing was written.
    """
    with db.write() as connection:
        now = db.now(connection)
        job = connection.execute(
            update(JobRow)
            .where(JobRow.id == claim.job_id, JobRow.status == JobStatus.RUNNING)
            .values(version=JobRow.version + 1)
            .returning(JobRow.version, JobRow.cancel_requested_at)
        ).first()
        if job is None:
            raise LeaseLost(claim.shard_id)
        _hold(connection, claim, now, lease_seconds, is_done=finish is not None)
        _insert_epochs(connection, claim, job.version, epochs)
        told = [_end_fit(connection, claim, outcome) for outcome in outcomes]
        is_cancelled = job.cancel_requested_at is not None
        if finish is not None:
            final = replace(finish, status=JobStatus.CANCELLED, failure=None) if is_cancelled else finish
            _finish(connection, claim, now, final, environment)
            told += ending(final.status, final.failure)
        _count_progress(connection, claim)
        tell(connection, claim.job_id, job.version, now, told)
    return Orders(version=job.version, is_cancelled=is_cancelled)


def renew(db: Database, claim: Claim, lease_seconds: float) -> Orders:
    """Keep the shard while an epoch is long, and ask what the job wants.

    Raises:
        LeaseLost: this attempt does not hold the shard any more.
    """
    with db.write() as connection:
        _hold(connection, claim, db.now(connection), lease_seconds, is_done=False)
        job = connection.execute(select(JobRow.version, JobRow.status, JobRow.cancel_requested_at).where(JobRow.id == claim.job_id)).one()
        if job.status is not JobStatus.RUNNING:
            raise LeaseLost(claim.shard_id)
    return Orders(version=job.version, is_cancelled=job.cancel_requested_at is not None)


def release(db: Database, claim: Claim) -> bool:
    """Hand a shard back unharmed: it waits again, and the attempt does not count as idle. False if it was not held any more."""
    with db.write() as connection:
        if lock(connection, claim.job_id) is None:
            return False
        back = connection.execute(
            update(_SHARDS)
            .where(_held(claim))
            .values(
                status=ShardStatus.PENDING,
                worker=None,
                lease_expires_at=None,
                sent_at=None,
                # A claim counted one; progress since then has already set the count back to 0.
                idle_attempts=case((_SHARDS.c.idle_attempts > 0, _SHARDS.c.idle_attempts - 1), else_=0),
            )
            .returning(_SHARDS.c.id)
        ).first()
        if back is not None:
            bump(connection, claim.job_id, phase="waiting for a worker")
    return back is not None


def release_worker(db: Database, worker_prefix: str, shard_id: str | None = None) -> list[str]:
    """End the leases of workers known to be dead, whose ids begin with `worker_prefix` (of one shard, if named); give their shards."""
    with db.write() as connection:
        now = db.now(connection)
        held = [
            _SHARDS.c.worker.startswith(worker_prefix, autoescape=True),
            _SHARDS.c.status == ShardStatus.RUNNING,
            _SHARDS.c.lease_expires_at > now,
        ]
        if shard_id is not None:
            held.append(_SHARDS.c.id == shard_id)
        expired = now - dt.timedelta(milliseconds=1)
        return list(connection.scalars(update(_SHARDS).where(*held).values(lease_expires_at=expired, sent_at=None).returning(_SHARDS.c.id)))


@dataclass(frozen=True, kw_only=True)
class DueShard:
    """A shard whose id must be sent (again)."""

    shard_id: str
    device: str


def due(db: Database, *, grace_seconds: float = 1.0, resend_seconds: float = 600.0) -> list[DueShard]:
    """List shards to send: never sent, sent long ago without being claimed, or with a lease that ran out. Live leases are never touched."""
    with db.read() as connection:
        now = db.now(connection)
        never = and_(_SHARDS.c.sent_at.is_(None), JobRow.created_at < now - dt.timedelta(seconds=grace_seconds))
        waiting = and_(_SHARDS.c.status == ShardStatus.PENDING, or_(never, _SHARDS.c.sent_at < now - dt.timedelta(seconds=resend_seconds)))
        resent = or_(
            _SHARDS.c.sent_at.is_(None), _SHARDS.c.sent_at <= _SHARDS.c.lease_expires_at, _SHARDS.c.sent_at < now - dt.timedelta(seconds=10)
        )
        lapsed = and_(_SHARDS.c.status == ShardStatus.RUNNING, _SHARDS.c.lease_expires_at < now, resent)
        query = (
            select(_SHARDS.c.id, JobRow.device)
            .join(JobRow, JobRow.id == _SHARDS.c.job_id)
            .where(JobRow.status.in_(ACTIVE), or_(waiting, lapsed))
        )
        rows = connection.execute(query.order_by(JobRow.created_at, _SHARDS.c.id).limit(1000)).all()
    return [DueShard(shard_id=row.id, device=row.device) for row in rows]


def mark_sent(db: Database, shard_ids: Sequence[str]) -> None:
    """Note that these shards' ids were handed to the broker."""
    with db.write() as connection:
        connection.execute(update(_SHARDS).where(_SHARDS.c.id.in_(shard_ids)).values(sent_at=db.now(connection)))


def reap(db: Database) -> list[str]:
    """End running jobs that nobody works on: cancelled ones whose worker is gone, and those that cannot progress.

    Returns the ids of the jobs ended.
    """
    with db.read() as connection:
        now = db.now(connection)
        dead = and_(_SHARDS.c.status == ShardStatus.RUNNING, _SHARDS.c.lease_expires_at < now)
        idle = or_(dead, _SHARDS.c.status == ShardStatus.PENDING)
        hopeless = and_(idle, or_(JobRow.cancel_requested_at.is_not(None), _SHARDS.c.idle_attempts >= MAX_IDLE_ATTEMPTS))
        query = (
            select(JobRow.id).distinct().join(_SHARDS, JobRow.id == _SHARDS.c.job_id).where(JobRow.status == JobStatus.RUNNING, hopeless)
        )
        candidates = connection.scalars(query).all()
    return [job_id for job_id in candidates if _reap_job(db, job_id)]


def _reap_job(db: Database, job_id: str) -> bool:
    with db.write() as connection:
        job = lock(connection, job_id)
        now = db.now(connection)
        live = select(func.count()).where(
            _SHARDS.c.job_id == job_id, _SHARDS.c.status == ShardStatus.RUNNING, _SHARDS.c.lease_expires_at >= now
        )
        if job is None or job.status is not JobStatus.RUNNING or connection.execute(live).scalar_one():
            return False
        if job.cancel_requested_at is not None:
            end_job(connection, job_id, now, JobStatus.CANCELLED)
            return True
        tired = select(func.count()).where(
            _SHARDS.c.job_id == job_id, _SHARDS.c.status != ShardStatus.DONE, _SHARDS.c.idle_attempts >= MAX_IDLE_ATTEMPTS
        )
        if not connection.execute(tired).scalar_one():
            return False
        detail = f"{MAX_IDLE_ATTEMPTS} attempts in a row ended without progress: the worker died or stopped answering each time"
        end_job(
            connection, job_id, now, JobStatus.FAILED, failure={"kind": FailureKind.WORKER_LOST.value, "detail": detail, "retryable": True}
        )
        return True


def _held(claim: Claim) -> Any:
    return and_(
        _SHARDS.c.id == claim.shard_id,
        _SHARDS.c.attempt == claim.attempt,
        _SHARDS.c.status == ShardStatus.RUNNING,
        _SHARDS.c.worker == claim.worker,
    )


def _hold(connection: Connection, claim: Claim, now: dt.datetime, lease_seconds: float, *, is_done: bool) -> None:
    """Renew the lease if this attempt still holds the shard: its number is the fence."""
    values = (
        {"status": ShardStatus.DONE, "lease_expires_at": None}
        if is_done
        else {"lease_expires_at": now + dt.timedelta(seconds=lease_seconds)}
    )
    if connection.execute(update(_SHARDS).where(_held(claim)).values(**values)).rowcount == 0:
        raise LeaseLost(claim.shard_id)


def _insert_epochs(connection: Connection, claim: Claim, version: int, epochs: Sequence[EpochRecord]) -> None:
    if not epochs:
        return
    try:
        connection.execute(insert(EpochRow), [_epoch_values(claim.job_id, version, record) for record in epochs])
    except IntegrityError as error:
        if not is_duplicate(error):
            raise
        # A commit whose answer was lost with the connection did happen: this attempt no longer knows what it holds.
        raise LeaseLost(claim.shard_id) from error
    for number in sorted({record.fit for record in epochs}):
        own = [record for record in epochs if record.fit == number]
        steps = sum(record.steps for record in own)
        connection.execute(
            update(_FITS)
            .where(_FITS.c.job_id == claim.job_id, _FITS.c.number == number)
            .values(steps_done=_FITS.c.steps_done + steps, last_epoch=own[-1].epoch)
        )


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
    values = {
        name: getattr(end, name)
        for name in ("status", "stop_reason", "best_epoch", "last_epoch", "kept_epoch", "evaluation", "weights_url", "message")
    }
    connection.execute(update(_FITS).where(_FITS.c.job_id == claim.job_id, _FITS.c.number == end.number).values(**values))
    return "fit", {
        "fit": end.number,
        "status": end.status.value,
        "stop_reason": end.stop_reason,
        "best_epoch": end.best_epoch,
        "message": end.message,
    }


def _finish(connection: Connection, claim: Claim, now: dt.datetime, final: Finish, environment: dict[str, Any] | None) -> None:
    values = {"status": final.status, "finished_at": now, "result": final.result, "failure": final.failure, "phase": final.status.value}
    values |= {"environment": environment}
    connection.execute(update(JobRow).where(JobRow.id == claim.job_id).values(**values))
    left = FitStatus.CANCELLED if final.status is JobStatus.CANCELLED else FitStatus.FAILED
    connection.execute(
        update(_FITS).where(_FITS.c.job_id == claim.job_id, _FITS.c.status.in_(_OPEN)).values(status=left, stop_reason=left.value)
    )


def _count_progress(connection: Connection, claim: Claim) -> None:
    """Remember the furthest step any attempt reached; reaching a new one ends a row of idle attempts."""
    done = select(func.coalesce(func.sum(_FITS.c.steps_done), 0)).where(_FITS.c.shard_id == claim.shard_id).scalar_subquery()
    is_further = done > _SHARDS.c.furthest_step
    values = {
        "furthest_step": case((is_further, done), else_=_SHARDS.c.furthest_step),
        "idle_attempts": case((is_further, 0), else_=_SHARDS.c.idle_attempts),
    }
    connection.execute(update(_SHARDS).where(_SHARDS.c.id == claim.shard_id).values(**values))

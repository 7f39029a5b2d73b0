"""Shards: claimed by compare-and-set, held under a lease. The job's row is always locked first.

What a worker writes while it holds one is in store.commits; what is done about shards that nobody holds, in store.sweeping.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, delete, func, or_, select, update

from jobs.states import CLAIMABLE, FitStatus, JobStatus, ShardStatus
from store.engine import Database
from store.errors import LeaseLost
from store.events import tell
from store.jobs import bump, end_job, lock
from store.orders import pause
from store.tables import EpochRow, FitRow, JobRow, ShardRow, table

MAX_IDLE_ATTEMPTS = 3
"""Attempts in a row that may end without a new furthest step before the shard is given up."""

_SHARDS = table(ShardRow)
_FITS = table(FitRow)
_EPOCHS = table(EpochRow)
OPEN_FITS = (FitStatus.PENDING, FitStatus.RUNNING)

# What every shard asks for is built once: building a statement costs six times as much as sending it to SQLite.
_LOCK_JOB_OF = (
    select(table(JobRow))
    .join(_SHARDS, _SHARDS.c.job_id == table(JobRow).c.id)
    .where(_SHARDS.c.id == bindparam("of_shard"))
    .with_for_update(of=table(JobRow))
)
_TAKE = (
    update(_SHARDS)
    .where(
        _SHARDS.c.id == bindparam("of_shard"),
        or_(
            _SHARDS.c.status == ShardStatus.PENDING,
            and_(
                _SHARDS.c.status == ShardStatus.RUNNING,
                _SHARDS.c.lease_expires_at < bindparam("now", type_=_SHARDS.c.lease_expires_at.type),
            ),
        ),
        _SHARDS.c.idle_attempts < MAX_IDLE_ATTEMPTS,
    )
    .values(attempt=_SHARDS.c.attempt + 1, idle_attempts=_SHARDS.c.idle_attempts + 1)
    .returning(_SHARDS.c.attempt, _SHARDS.c.round)
)
_TO_TRAIN = (
    select(_FITS.c.number, _FITS.c.row_hash, _FITS.c.checkpoint_url, _FITS.c.checkpoint_epoch, _FITS.c.pause_at, _FITS.c.rungs)
    .where(_FITS.c.shard_id == bindparam("of_shard"), _FITS.c.status.in_(OPEN_FITS))
    .order_by(_FITS.c.number)
)
_BEGIN_FITS = (
    update(_FITS)
    .where(_FITS.c.job_id == bindparam("of_job"), _FITS.c.number.in_(bindparam("numbers", expanding=True)))
    .values(status=FitStatus.RUNNING)
)
_OPEN_SHARDS = select(func.count()).where(_SHARDS.c.job_id == bindparam("of_job"), _SHARDS.c.status != ShardStatus.DONE)
_HELD = and_(
    _SHARDS.c.id == bindparam("of_shard"),
    _SHARDS.c.attempt == bindparam("of_attempt"),
    _SHARDS.c.status == ShardStatus.RUNNING,
    _SHARDS.c.worker == bindparam("of_worker"),
)
_HOLD = update(_SHARDS).where(_HELD)
_done = select(func.coalesce(func.sum(_FITS.c.steps_done), 0)).where(_FITS.c.shard_id == bindparam("of_shard")).scalar_subquery()
_HOLD_AND_COUNT = _HOLD.values(
    furthest_step=case((_done > _SHARDS.c.furthest_step, _done), else_=_SHARDS.c.furthest_step),
    idle_attempts=case((_done > _SHARDS.c.furthest_step, 0), else_=_SHARDS.c.idle_attempts),
)
# A claim counted one; progress since then has already set the count back to 0.
_HAND_BACK = _HOLD.values(idle_attempts=case((_SHARDS.c.idle_attempts > 0, _SHARDS.c.idle_attempts - 1), else_=0)).returning(_SHARDS.c.id)
_ASK = select(JobRow.version, JobRow.status, JobRow.cancel_requested_at, JobRow.pause_requested_at).where(JobRow.id == bindparam("of_job"))
_CLAIMED = ("number", "row_hash", "checkpoint_url", "checkpoint_epoch")


@dataclass(frozen=True, kw_only=True)
class ClaimedFit:
    """A fit to train."""

    number: int
    row_hash: str
    checkpoint_url: str | None = None
    checkpoint_epoch: int | None = None


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A shard held by one attempt, and what to train. `elapsed_seconds` is the job's running time before this claim.

    `is_alone`: no other shard of the job is open, so nothing of it can change but by whoever holds this one.
    """

    shard_id: str
    job_id: str
    round: int
    is_alone: bool
    attempt: int
    worker: str
    spec: dict[str, Any]
    fits: tuple[ClaimedFit, ...]
    version: int
    elapsed_seconds: float


def claim(db: Database, shard_id: str, worker: str, lease_seconds: float) -> Claim | None:
    """Take a shard that waits, or whose lease has run out; None if somebody else has it or its job wants no work.

    A shard taken over goes on from the last checkpoint of its unfinished fits: later epochs are deleted.
    """
    with db.write() as connection:
        job = connection.execute(_LOCK_JOB_OF, {"of_shard": shard_id}).first()
        if job is None or job.status not in CLAIMABLE or job.cancel_requested_at is not None or job.pause_requested_at is not None:
            return None
        now = db.now(connection)
        values = {"status": ShardStatus.RUNNING, "worker": worker, "lease_expires_at": now + dt.timedelta(seconds=lease_seconds)}
        taken = connection.execute(_TAKE, {"of_shard": shard_id, "now": now, **values}).first()
        if taken is None:
            return None
        found = connection.execute(_TO_TRAIN, {"of_shard": shard_id}).mappings().all()
        # A fit that an earlier attempt brought to where it pauses waits for its plan: it is not to be trained.
        fits = [ClaimedFit(**{name: fit[name] for name in _CLAIMED}) for fit in found if str(fit["pause_at"]) not in (fit["rungs"] or {})]
        if taken.attempt > 1:
            for fit in fits:
                _rewind(connection, job.id, fit.number, fit.checkpoint_epoch)
        connection.execute(_BEGIN_FITS, {"of_job": job.id, "numbers": [fit.number for fit in fits]})
        is_alone = connection.execute(_OPEN_SHARDS, {"of_job": job.id}).scalar_one() == 1
        started = job.started_at or now
        paused_seconds = job.paused_seconds
        if job.status is JobStatus.QUEUED and job.started_at is not None:  # it was resumed, and nobody has worked at it since
            paused_seconds += max(0.0, (now - job.queued_at).total_seconds())
        change = {"status": JobStatus.RUNNING, "started_at": started, "paused_seconds": paused_seconds, "phase": "training"}
        version = bump(connection, job.id, **change)
        if job.status is JobStatus.QUEUED:
            tell(connection, job.id, version, now, [("status", {"status": JobStatus.RUNNING.value})])
    return Claim(
        shard_id=shard_id,
        job_id=job.id,
        round=taken.round,
        is_alone=is_alone,
        attempt=taken.attempt,
        worker=worker,
        spec=job.spec,
        fits=tuple(fits),
        version=version,
        elapsed_seconds=max(0.0, (now - started).total_seconds() - paused_seconds),
    )


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What the job wants of its worker. `must_advance`: this was the last open shard of a round, and the plan must go on.

    `is_pausing`: the shard is to be handed back between two epochs.
    """

    version: int
    is_cancelled: bool
    is_pausing: bool = False
    must_advance: bool = False


def renew(db: Database, claim: Claim, lease_seconds: float) -> Orders:
    """Keep the shard while an epoch is long, and ask what the job wants.

    Raises:
        LeaseLost: this attempt does not hold the shard any more.
    """
    with db.write() as connection:
        hold(connection, claim, db.now(connection), lease_seconds)
        job = connection.execute(_ASK, {"of_job": claim.job_id}).one()
        if job.status is not JobStatus.RUNNING:
            raise LeaseLost(claim.shard_id)
    return Orders(version=job.version, is_cancelled=job.cancel_requested_at is not None, is_pausing=job.pause_requested_at is not None)


def release(db: Database, claim: Claim) -> bool:
    """Hand a shard back unharmed: it waits again, and the attempt does not count as idle. False if it was not held any more.

    A job that is to be paused pauses with the last shard that comes back, and one that is to be cancelled ends with it.
    """
    with db.write() as connection:
        job = lock(connection, claim.job_id)
        if job is None:
            return False
        back = connection.execute(
            _HAND_BACK, {**_by(claim), "status": ShardStatus.PENDING, "worker": None, "lease_expires_at": None, "sent_at": None}
        ).first()
        if back is not None:
            others = select(_SHARDS.c.id).where(_SHARDS.c.job_id == claim.job_id, _SHARDS.c.status == ShardStatus.RUNNING).limit(1)
            is_at_work = connection.execute(others).first() is not None
            rest = (_FITS.c.shard_id == claim.shard_id, _FITS.c.status == FitStatus.RUNNING)
            connection.execute(update(_FITS).where(*rest).values(status=FitStatus.PENDING))
            if job.cancel_requested_at is not None and not is_at_work:
                end_job(connection, claim.job_id, db.now(connection), JobStatus.CANCELLED)
            elif job.pause_requested_at is not None and not is_at_work:
                pause(connection, claim.job_id, db.now(connection))
            elif job.pause_requested_at is None:
                bump(connection, claim.job_id, phase="training" if is_at_work else "waiting for a worker")
    return back is not None


def release_worker(db: Database, worker_prefix: str, only: str | None = None) -> list[str]:
    """End the leases of workers known to be dead, whose ids begin with `worker_prefix` (on one shard or job, if named).

    Gives the shards they held, and the jobs whose plans they advanced.
    """
    with db.write() as connection:
        now = db.now(connection)
        expired = now - dt.timedelta(milliseconds=1)
        held = [
            _SHARDS.c.worker.startswith(worker_prefix, autoescape=True),
            _SHARDS.c.status == ShardStatus.RUNNING,
            _SHARDS.c.lease_expires_at > now,
        ]
        advanced = [JobRow.advancer.startswith(worker_prefix, autoescape=True), JobRow.advancing_until > now]
        if only is not None:
            held.append(_SHARDS.c.id == only)
            advanced.append(JobRow.id == only)
        jobs = connection.scalars(
            update(JobRow).where(*advanced).values(advancing_until=expired, advance_sent_at=None).returning(JobRow.id)
        ).all()
        shards = connection.scalars(
            update(_SHARDS).where(*held).values(lease_expires_at=expired, sent_at=None).returning(_SHARDS.c.id)
        ).all()
    return [*shards, *jobs]


def hold(
    connection: Connection, claim: Claim, now: dt.datetime, lease_seconds: float, *, is_done: bool = False, counts: bool = False
) -> None:
    """Renew the lease if this attempt still holds the shard, or end it where it `is_done`: the attempt's number is the fence.

    With `counts` the furthest step that any attempt reached is remembered too; reaching a new one ends a row of idle attempts.

    Raises:
        LeaseLost: it does not hold the shard.
    """
    values = (
        {"status": ShardStatus.DONE, "lease_expires_at": None}
        if is_done
        else {"lease_expires_at": now + dt.timedelta(seconds=lease_seconds)}
    )
    held = connection.execute(_HOLD_AND_COUNT if counts else _HOLD, {**_by(claim), **values})
    if held.rowcount == 0:
        raise LeaseLost(claim.shard_id)


def _by(claim: Claim) -> dict[str, Any]:
    """Give what `_HELD` is told."""
    return {"of_shard": claim.shard_id, "of_attempt": claim.attempt, "of_worker": claim.worker}


def _rewind(connection: Connection, job_id: str, number: int, epoch: int | None) -> None:
    """Bring a fit back to its checkpoint, or to its beginning."""
    later = (_EPOCHS.c.job_id == job_id, _EPOCHS.c.fit_number == number)
    connection.execute(delete(_EPOCHS).where(*later, _EPOCHS.c.epoch > (-1 if epoch is None else epoch)))
    steps = select(func.coalesce(func.sum(_EPOCHS.c.steps), 0)).where(*later).scalar_subquery()
    own = (_FITS.c.job_id == job_id, _FITS.c.number == number)
    connection.execute(update(_FITS).where(*own).values(steps_done=steps, last_epoch=epoch, best_epoch=None))

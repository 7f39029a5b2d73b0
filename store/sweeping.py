"""What is done about shards that nobody holds: sent, sent again, given up."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, exists, false, func, or_, select, update

from jobs.messages import CPU_QUEUE, GPU_QUEUE
from jobs.states import CLAIMABLE, FailureKind, FitStatus, JobStatus, ShardStatus
from store.engine import Database, again_if_undone
from store.events import tell
from store.jobs import bump, end_job, lock
from store.orders import pause
from store.rounds import IS_READY
from store.shards import MAX_IDLE_ATTEMPTS, OPEN_FITS
from store.tables import FitRow, JobRow, ShardRow, table

_SHARDS = table(ShardRow)
_FREE = select(_SHARDS.c.id).where(_SHARDS.c.id.in_(bindparam("ids", expanding=True))).with_for_update(skip_locked=True)
_UNCLAIMED = _FREE.where(_SHARDS.c.status == ShardStatus.PENDING, _SHARDS.c.attempt == 0)
_MARK = update(_SHARDS).where(_SHARDS.c.id.in_(bindparam("ids", expanding=True)))


@dataclass(frozen=True, kw_only=True)
class DueShard:
    """A shard whose id must be sent (again)."""

    shard_id: str
    device: str


MOST_IN_FLIGHT = 2
"""Shards of one job that are sent or held at a time, or as many as there are workers if they are more.

The others are sent one by one as these end: a job submitted later takes its turn between them.
"""


RESEND_SECONDS = 600.0
"""After so long a shard that was sent and not claimed is sent again, if its message may be lost."""
MOST_DUE = 1000
"""Shards that a sweeper sends in one round, so that no round is long."""


def in_flight(workers: int) -> int:
    """Give how many shards of one job may be sent or held at a time."""
    return max(MOST_IN_FLIGHT, workers)


def may_be_lost(db: Database, num_messages: int, *, resend_seconds: float = RESEND_SECONDS) -> bool:
    """Tell whether fewer messages are held than there are shards that were sent and wait, one of them for `resend_seconds`."""
    with db.read() as connection:
        is_sent = (_SHARDS.c.status == ShardStatus.PENDING, _SHARDS.c.sent_at.is_not(None))
        oldest = connection.scalar(select(func.min(_SHARDS.c.sent_at)).where(*is_sent))
        if oldest is None or oldest >= db.now(connection) - dt.timedelta(seconds=resend_seconds):
            return False
        if connection.execute(select(func.count()).where(*is_sent)).scalar_one() <= num_messages:
            return False
        wanted = (JobRow.status.in_(CLAIMABLE), JobRow.pause_requested_at.is_(None))
        counted = select(func.count()).select_from(_SHARDS).join(JobRow, JobRow.id == _SHARDS.c.job_id).where(*is_sent, *wanted)
        return connection.execute(counted).scalar_one() > num_messages


def due(
    db: Database,
    *,
    workers: int = 0,
    grace_seconds: float = 1.0,
    lost_seconds: float = 5.0,
    resend_seconds: float = RESEND_SECONDS,
    is_short: bool = True,
    empty_queues: frozenset[str] = frozenset(),
) -> list[DueShard]:
    """List shards to send: never sent, sent without being claimed, or with a lease that ran out. Live leases are never touched.

    A shard sent to a queue that is empty now, and not claimed for `lost_seconds`, was lost with its message; one that is
    neither claimed nor known to be lost is sent again after `resend_seconds`, if the broker `is_short` of
    messages: where thousands wait for hours, it would fill up with what it holds already. Of shards never sent only so many of a job
    are listed that it has `in_flight(workers)` sent or held. At most `MOST_DUE` are listed, those that somebody had begun
    first: the next round lists more.
    """
    with db.read() as connection:
        now = db.now(connection)
        is_pending = _SHARDS.c.status == ShardStatus.PENDING
        # Each of these names a state and an instant, so that an index finds what is due among thousands that wait.
        # A job of the future was made before the clock was set back.
        is_settled = or_(JobRow.created_at < now - dt.timedelta(seconds=grace_seconds), JobRow.created_at > now)
        never = and_(is_pending, _SHARDS.c.sent_at.is_(None), is_settled)
        if GPU_QUEUE in empty_queues and not _has_gpu_jobs(connection):
            empty_queues -= {GPU_QUEUE}  # where there are no GPUs it always is
        queue = case((JobRow.device == "cuda", GPU_QUEUE), else_=CPU_QUEUE)
        is_lost = and_(_SHARDS.c.sent_at < now - dt.timedelta(seconds=lost_seconds), queue.in_(empty_queues))
        is_old = _SHARDS.c.sent_at < now - dt.timedelta(seconds=resend_seconds)
        forgotten = or_(
            and_(is_pending, is_lost) if empty_queues else false(),
            and_(is_pending, is_old) if is_short else false(),
        )
        resent = or_(
            _SHARDS.c.sent_at.is_(None), _SHARDS.c.sent_at <= _SHARDS.c.lease_expires_at, is_old, is_lost if empty_queues else false()
        )
        lapsed = and_(_SHARDS.c.status == ShardStatus.RUNNING, _SHARDS.c.lease_expires_at < now, resent)
        is_new = and_(is_pending, _SHARDS.c.sent_at.is_(None))
        is_late = case((is_pending, 0), else_=1)
        turn = func.row_number().over(partition_by=(_SHARDS.c.job_id, case((is_new, 1), else_=0)), order_by=_SHARDS.c.id)
        found_due = (
            select(
                *(_SHARDS.c.id, _SHARDS.c.job_id, JobRow.device, JobRow.created_at),
                *(case((is_new, turn), else_=0).label("turn"), is_late.label("is_late")),
            )
            .join(JobRow, JobRow.id == _SHARDS.c.job_id)
            .where(JobRow.status.in_(CLAIMABLE), JobRow.pause_requested_at.is_(None), or_(never, forgotten, lapsed))
            .subquery()
        )
        # A job of a thousand shards must not fill the list: others would never be read.
        query = select(found_due).where(found_due.c.turn <= in_flight(workers))
        order = (found_due.c.is_late.desc(), found_due.c.created_at, found_due.c.id)  # what was begun goes on first
        rows = connection.execute(query.order_by(*order).limit(MOST_DUE)).all()
        busy = _busy(connection, {row.job_id for row in rows})
    found = []
    for row in rows:
        if row.turn:
            if busy.get(row.job_id, 0) >= in_flight(workers):
                continue
            busy[row.job_id] = busy.get(row.job_id, 0) + 1
        found.append(DueShard(shard_id=row.id, device=row.device))
    return found


def _has_gpu_jobs(connection: Connection) -> bool:
    found = select(JobRow.id).where(JobRow.device == "cuda", JobRow.status.in_(CLAIMABLE)).limit(1)
    return connection.execute(found).first() is not None


def next_shard(db: Database, job_id: str) -> str | None:
    """Give a shard of this job that was never sent, if there is one: somebody has ended another."""
    with db.read() as connection:
        waiting = (_SHARDS.c.job_id == job_id, _SHARDS.c.status == ShardStatus.PENDING, _SHARDS.c.sent_at.is_(None))
        found: str | None = connection.scalar(select(_SHARDS.c.id).where(*waiting).order_by(_SHARDS.c.id).limit(1))
    return found


def mark_unsent(db: Database, shard_id: str) -> None:
    """Note that the message with this shard's id came to nothing: a worker had it and has left, which counts as an attempt."""
    with db.write() as connection:
        waits = (_SHARDS.c.id == shard_id, _SHARDS.c.status == ShardStatus.PENDING)
        connection.execute(update(_SHARDS).where(*waits).values(sent_at=None, attempt=_SHARDS.c.attempt + 1))


@again_if_undone
def forget_sent(db: Database, *, within: tuple[float, float] | None = None) -> int:
    """Note that the broker lost what it was sent, or what it was sent `within` so many seconds before now: what nobody claimed is due again.

    Gives how many messages that are. Rows that somebody holds are passed over, as in `mark_sent`.
    """
    with db.write() as connection:
        now = db.now(connection)
        oldest, newest = (dt.timedelta(days=3650), dt.timedelta(0)) if within is None else (dt.timedelta(seconds=one) for one in within)
        is_dead = and_(_SHARDS.c.status == ShardStatus.RUNNING, _SHARDS.c.lease_expires_at < now)
        sent = (_SHARDS.c.sent_at.between(now - oldest, now - newest), or_(_SHARDS.c.status == ShardStatus.PENDING, is_dead))
        shards = connection.scalars(select(_SHARDS.c.id).where(*sent).with_for_update(skip_locked=True)).all()
        connection.execute(update(_SHARDS).where(_SHARDS.c.id.in_(shards)).values(sent_at=None))
        nobody = or_(JobRow.advancing_until.is_(None), JobRow.advancing_until < now)
        told = (*IS_READY, nobody, JobRow.advance_sent_at.between(now - oldest, now - newest))
        plans = connection.scalars(select(JobRow.id).where(*told).with_for_update(skip_locked=True)).all()
        connection.execute(update(JobRow).where(JobRow.id.in_(plans)).values(advance_sent_at=None))
    return len(shards) + len(plans)


def _busy(connection: Connection, job_ids: set[str]) -> dict[str, int]:
    """Count each job's shards that are sent or held."""
    is_busy = or_(_SHARDS.c.status == ShardStatus.RUNNING, and_(_SHARDS.c.status == ShardStatus.PENDING, _SHARDS.c.sent_at.is_not(None)))
    counted = select(_SHARDS.c.job_id, func.count()).where(_SHARDS.c.job_id.in_(job_ids), is_busy).group_by(_SHARDS.c.job_id)
    return {row[0]: row[1] for row in connection.execute(counted)}


@again_if_undone
def mark_sent(db: Database, shard_ids: Sequence[str], *, only_unclaimed: bool = False) -> None:
    """Note that these shards' ids were handed to the broker.

    Rows that somebody else holds are passed over, for waiting for several in any order could end in a deadlock: what is
    not noted is sent again, which does no harm. `only_unclaimed` passes over what a worker has had by now, for who notes
    it late: a shard that was handed back meanwhile is to be sent again.
    """
    with db.write() as connection:
        ids = connection.scalars(_UNCLAIMED if only_unclaimed else _FREE, {"ids": list(shard_ids)}).all()
        if ids:
            connection.execute(_MARK, {"ids": ids, "sent_at": db.now(connection)})


def reap(db: Database) -> list[str]:
    """Settle what nobody can bring further: cancelled and pausing jobs whose workers are gone, and shards that never progress.

    A shard given up fails its fits; a job of which no fit is left ends with it, others go on without. Returns their jobs.
    """
    with db.read() as connection:
        now = db.now(connection)
        dead = and_(_SHARDS.c.status == ShardStatus.RUNNING, _SHARDS.c.lease_expires_at < now)
        idle = or_(dead, _SHARDS.c.status == ShardStatus.PENDING)
        is_unwanted = or_(JobRow.cancel_requested_at.is_not(None), JobRow.pause_requested_at.is_not(None))
        hopeless = or_(is_unwanted, _SHARDS.c.idle_attempts >= MAX_IDLE_ATTEMPTS)
        # From running jobs to their shards: the thousands of others that wait are not looked at.
        of_job = exists(select(_SHARDS.c.id).where(_SHARDS.c.job_id == JobRow.id, idle, hopeless))
        query = select(JobRow.id).where(JobRow.status == JobStatus.RUNNING, of_job)
        candidates = connection.scalars(query).all()
    return [job_id for job_id in candidates if _reap_job(db, job_id)]


@again_if_undone
def _reap_job(db: Database, job_id: str) -> bool:
    with db.write() as connection:
        job = lock(connection, job_id)
        now = db.now(connection)
        is_live = and_(_SHARDS.c.status == ShardStatus.RUNNING, _SHARDS.c.lease_expires_at >= now)
        if job is None or job.status is not JobStatus.RUNNING:
            return False
        if job.cancel_requested_at is not None:
            if connection.execute(select(func.count()).where(_SHARDS.c.job_id == job_id, is_live)).scalar_one():
                return False
            end_job(connection, job_id, now, JobStatus.CANCELLED)
            return True
        if job.pause_requested_at is not None:
            return _pause_left(connection, job_id, now, is_live)
        return _give_up(connection, job_id, now, is_live)


def _pause_left(connection: Connection, job_id: str, now: dt.datetime, is_live: ColumnElement[bool]) -> bool:
    """Pause a job that the workers which were to hand it back left by dying."""
    if connection.execute(select(func.count()).where(_SHARDS.c.job_id == job_id, is_live)).scalar_one():
        return False
    left = (_SHARDS.c.job_id == job_id, _SHARDS.c.status == ShardStatus.RUNNING)
    shards = connection.scalars(
        update(_SHARDS).where(*left).values(status=ShardStatus.PENDING, worker=None, lease_expires_at=None).returning(_SHARDS.c.id)
    ).all()
    rest = (FitRow.shard_id.in_(shards), FitRow.status == FitStatus.RUNNING)
    connection.execute(update(FitRow).where(*rest).values(status=FitStatus.PENDING))
    pause(connection, job_id, now)
    return True


def _give_up(connection: Connection, job_id: str, now: dt.datetime, is_live: ColumnElement[bool]) -> bool:
    """Fail the fits of shards that never progress; end the job if none of its fits is left."""
    tired = select(_SHARDS.c.id).where(
        _SHARDS.c.job_id == job_id, _SHARDS.c.status != ShardStatus.DONE, ~is_live, _SHARDS.c.idle_attempts >= MAX_IDLE_ATTEMPTS
    )
    shards = connection.scalars(tired).all()
    if not shards:
        return False
    detail = f"{MAX_IDLE_ATTEMPTS} attempts in a row ended without progress: the worker died or stopped answering each time"
    failure = {"kind": FailureKind.WORKER_LOST.value, "detail": detail, "retryable": True}
    failed = {"status": FitStatus.FAILED, "stop_reason": FitStatus.FAILED.value, "failure": failure, "message": detail}
    given_up = (FitRow.shard_id.in_(shards), FitRow.status.in_(OPEN_FITS))
    numbers = connection.scalars(select(FitRow.number).where(*given_up).order_by(FitRow.number)).all()
    connection.execute(update(FitRow).where(*given_up).values(**failed))
    connection.execute(update(ShardRow).where(ShardRow.id.in_(shards)).values(status=ShardStatus.DONE, lease_expires_at=None))
    left = select(func.count()).where(FitRow.job_id == job_id, FitRow.status != FitStatus.FAILED)
    if connection.execute(left).scalar_one() == 0:
        end_job(connection, job_id, now, JobStatus.FAILED, failure=failure)
    else:
        told = {"status": FitStatus.FAILED.value, "stop_reason": FitStatus.FAILED.value, "message": detail}
        tell(connection, job_id, bump(connection, job_id), now, [("fit", {"fit": number, **told}) for number in numbers])
    return True

"""Who advances a plan between two rounds: one worker at a time, under a lease, and not for ever where it dies of it."""

import datetime as dt

from sqlalchemy import and_, case, func, or_, select, update

from jobs.messages import CPU_QUEUE, GPU_QUEUE
from jobs.states import FailureKind, JobStatus
from store.engine import Database
from store.jobs import end_job, lock
from store.rounds import IS_READY, Standing, is_ready, stands
from store.tables import EventRow, JobRow

MAX_ADVANCE_ATTEMPTS = 3
"""Attempts in a row to advance a plan that may end with their worker before the job is given up."""

_LONGEST_GRACE = dt.timedelta(minutes=10)
_ENDED = {"advancer": None, "advancing_until": None}


def begin_advance(db: Database, job_id: str, worker: str, lease_seconds: float) -> Standing | None:
    """Take a plan to advance it; None where it need not be, or somebody else is at it. Counts an attempt."""
    with db.write() as connection:
        job = lock(connection, job_id)
        if job is None or job.advance_attempts >= MAX_ADVANCE_ATTEMPTS or not is_ready(connection, job_id):
            return None
        now = db.now(connection)
        if job.advancing_until is not None and job.advancing_until >= now and job.advancer != worker:
            return None
        values = {"advancer": worker, "advancing_until": now + dt.timedelta(seconds=lease_seconds)}
        connection.execute(update(JobRow).where(JobRow.id == job_id).values(advance_attempts=JobRow.advance_attempts + 1, **values))
        return stands(connection, job)


def renew_advance(db: Database, job_id: str, worker: str, lease_seconds: float) -> bool:
    """Keep a plan that takes long to be advanced; False if it is no longer this worker's, or the job wants something else."""
    with db.write() as connection:
        until = db.now(connection) + dt.timedelta(seconds=lease_seconds)
        own = (JobRow.id == job_id, JobRow.advancer == worker, *IS_READY)
        return connection.execute(update(JobRow).where(*own).values(advancing_until=until)).rowcount > 0


def leave_advance(db: Database, job_id: str, worker: str, *, is_undone: bool) -> None:
    """Let go of a plan. One that `is_undone` waits to be advanced by somebody else, and this attempt does not count."""
    own = (JobRow.id == job_id, JobRow.advancer == worker)
    back = {"advance_attempts": case((JobRow.advance_attempts > 0, JobRow.advance_attempts - 1), else_=0), "advance_sent_at": None}
    with db.write() as connection:
        connection.execute(update(JobRow).where(*own).values(**_ENDED, **(back if is_undone else {"advance_attempts": 0})))


def mark_unadvanced(db: Database, job_id: str) -> None:
    """Note that a message to advance this job came to nothing."""
    with db.write() as connection:
        connection.execute(update(JobRow).where(JobRow.id == job_id, *IS_READY).values(advance_sent_at=None))


def unadvanced(db: Database, *, grace_seconds: float = 5.0, empty_queues: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
    """List running jobs without an open shard whose plan nobody advances: their ids and devices. Notes that they are told of.

    A job is told of again after `grace_seconds` where its queue is empty, for then its message was lost, and at once where
    who advanced it died. Else after twice as long each time, up to ten minutes: where no worker is there messages must not
    pile up.
    """
    with db.read() as connection:
        now = db.now(connection)
        is_free = or_(JobRow.advancing_until.is_(None), JobRow.advancing_until < now)
        has_died = and_(JobRow.advancing_until.is_not(None), JobRow.advance_sent_at <= JobRow.advancing_until)
        is_due = or_(JobRow.advance_sent_at.is_(None), has_died, JobRow.advance_sent_at < now - dt.timedelta(seconds=grace_seconds))
        since = select(func.max(EventRow.at)).where(EventRow.job_id == JobRow.id).scalar_subquery()
        columns = (JobRow.id, JobRow.device, JobRow.advance_sent_at, JobRow.advancing_until, since.label("since"))
        query = select(*columns).where(and_(*IS_READY, is_free, is_due, JobRow.advance_attempts < MAX_ADVANCE_ATTEMPTS))
        rows = connection.execute(query.order_by(JobRow.advance_sent_at, JobRow.id)).all()
        found = [
            (row.id, row.device)
            for row in rows
            if row.advance_sent_at is None
            or (GPU_QUEUE if row.device == "cuda" else CPU_QUEUE) in empty_queues
            or (row.advancing_until is not None and row.advance_sent_at <= row.advancing_until)
            or _has_waited(row.advance_sent_at, row.since, now)
        ]
    if found:
        with db.write() as connection:
            ids = [job_id for job_id, _ in found]
            connection.execute(update(JobRow).where(JobRow.id.in_(ids)).values(advance_sent_at=db.now(connection)))
    return found


def give_up_plans(db: Database) -> list[str]:
    """End jobs whose plan nobody survives to advance; give their ids."""
    with db.read() as connection:
        is_free = or_(JobRow.advancing_until.is_(None), JobRow.advancing_until < db.now(connection))
        hopeless = (*IS_READY, is_free, JobRow.advance_attempts >= MAX_ADVANCE_ATTEMPTS)
        found = connection.scalars(select(JobRow.id).where(*hopeless)).all()
    detail = f"{MAX_ADVANCE_ATTEMPTS} attempts in a row to go on with the plan after a round ended with the death of their worker"
    failure = {"kind": FailureKind.WORKER_LOST.value, "detail": detail, "retryable": True}
    given_up = []
    for job_id in found:
        with db.write() as connection:
            job, now = lock(connection, job_id), db.now(connection)
            if job is None or not is_ready(connection, job_id) or job.advance_attempts < MAX_ADVANCE_ATTEMPTS:
                continue
            if job.advancing_until is None or job.advancing_until < now:
                end_job(connection, job_id, now, JobStatus.FAILED, failure=failure, **_ENDED)
                given_up.append(job_id)
    return given_up


def _has_waited(sent_at: dt.datetime, since: dt.datetime | None, now: dt.datetime) -> bool:
    waited = dt.timedelta(0) if since is None else sent_at - since
    return sent_at + min(waited, _LONGEST_GRACE) < now

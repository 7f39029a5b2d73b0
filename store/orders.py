"""What a client orders of a job that has not ended: cancel, pause, resume. Each order locks the job's row and may be given twice."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update

from jobs.states import JobStatus, ShardStatus
from store.engine import Database, again_if_undone
from store.errors import Conflict, NotFound
from store.events import tell
from store.jobs import JobState, bump, end_job, lock, read
from store.tables import ShardRow


@again_if_undone
def request_cancel(db: Database, job_id: str) -> JobState:
    """Cancel a job that nobody works at at once; ask the worker of another to. Asking again changes nothing.

    Raises:
        NotFound: no job has this id.
        Conflict: `job_ended`, it succeeded or failed.
    """
    with db.write() as connection:
        row, now = _locked(connection, job_id), db.now(connection)
        match row.status:
            case JobStatus.QUEUED:
                end_job(connection, job_id, now, JobStatus.CANCELLED, cancel_requested_at=now)
            case JobStatus.PAUSED:
                paused = row.paused_seconds + _paused_for(row, now)
                end_job(connection, job_id, now, JobStatus.CANCELLED, cancel_requested_at=now, paused_at=None, paused_seconds=paused)
            case JobStatus.RUNNING if row.cancel_requested_at is None and not is_held(connection, job_id):
                end_job(connection, job_id, now, JobStatus.CANCELLED, cancel_requested_at=now)
            case JobStatus.RUNNING if row.cancel_requested_at is None:
                version = bump(connection, job_id, cancel_requested_at=now, phase="cancelling")
                tell(connection, job_id, version, now, [("cancel_requested", {})])
            case JobStatus.RUNNING | JobStatus.CANCELLED:
                pass
            case JobStatus.SUCCEEDED | JobStatus.FAILED:
                raise Conflict("job_ended", f"job {job_id} is {row.status.value}: only jobs that have not ended can be cancelled")
        return read(connection, job_id)


@again_if_undone
def request_pause(db: Database, job_id: str) -> JobState:
    """Pause a job that nobody works at at once; ask the workers of another to hand it back. Asking again changes nothing.

    Raises:
        NotFound: no job has this id.
        Conflict: `job_ended`, or `job_cancelling`, it ends as soon as its worker has saved its weights.
    """
    with db.write() as connection:
        row, now = _locked(connection, job_id), db.now(connection)
        match row.status:
            case JobStatus.RUNNING if row.cancel_requested_at is not None:
                raise Conflict("job_cancelling", f"job {job_id} is running and about to be cancelled: it cannot be paused")
            case JobStatus.QUEUED:
                pause(connection, job_id, now)
            case JobStatus.RUNNING if not is_held(connection, job_id):
                pause(connection, job_id, now)
            case JobStatus.RUNNING if row.pause_requested_at is None:
                version = bump(connection, job_id, pause_requested_at=now, phase="pausing")
                tell(connection, job_id, version, now, [("pause_requested", {})])
            case JobStatus.RUNNING | JobStatus.PAUSED:
                pass
            case JobStatus.SUCCEEDED | JobStatus.FAILED | JobStatus.CANCELLED:
                raise Conflict("job_ended", f"job {job_id} is {row.status.value}: only queued and running jobs can be paused")
        return read(connection, job_id)


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """A job that goes on, and its shards that wait to be sent."""

    job: JobState
    shard_ids: list[str]


@again_if_undone
def request_resume(db: Database, job_id: str) -> Resumed:
    """Put a paused job back into the queue, or take back that one is to be paused. Asking again changes nothing.

    Raises:
        NotFound: no job has this id.
        Conflict: `job_ended`.
    """
    with db.write() as connection:
        row, now = _locked(connection, job_id), db.now(connection)
        shard_ids: list[str] = []
        match row.status:
            case JobStatus.PAUSED:
                shard_ids = _resume(connection, row, now)
            case JobStatus.RUNNING if row.pause_requested_at is not None:
                shard_ids = _unsent(connection, job_id)  # messages that came meanwhile were turned away
                version = bump(connection, job_id, pause_requested_at=None, phase="training")
                tell(connection, job_id, version, now, [("resumed", {})])
            case JobStatus.QUEUED | JobStatus.RUNNING:
                pass
            case JobStatus.SUCCEEDED | JobStatus.FAILED | JobStatus.CANCELLED:
                raise Conflict("job_ended", f"job {job_id} is {row.status.value}: only paused jobs can be resumed")
        return Resumed(job=read(connection, job_id), shard_ids=shard_ids)


def is_held(connection: Connection, job_id: str) -> bool:
    """Tell whether any worker holds a shard of this job, or did when it died."""
    held = select(ShardRow.id).where(ShardRow.job_id == job_id, ShardRow.status == ShardStatus.RUNNING).limit(1)
    return connection.execute(held).first() is not None


def pause(connection: Connection, job_id: str, now: dt.datetime) -> None:
    """Let a locked job pause of which nobody holds a shard."""
    version = bump(connection, job_id, status=JobStatus.PAUSED, pause_requested_at=None, paused_at=now, phase="paused")
    tell(connection, job_id, version, now, [("status", {"status": JobStatus.PAUSED.value})])


def _unsent(connection: Connection, job_id: str) -> list[str]:
    """Note that no message is under way for the shards that wait; give them."""
    waiting = (ShardRow.job_id == job_id, ShardRow.status == ShardStatus.PENDING)
    return sorted(connection.scalars(update(ShardRow).where(*waiting).values(sent_at=None).returning(ShardRow.id)))


def _resume(connection: Connection, row: Any, now: dt.datetime) -> list[str]:
    shard_ids = _unsent(connection, row.id)
    # Between two rounds there is no shard to be claimed: the plan goes on, which is work too.
    status = JobStatus.QUEUED if shard_ids else JobStatus.RUNNING
    values = {
        "status": status,
        "queued_at": now,
        "paused_at": None,
        "paused_seconds": row.paused_seconds + _paused_for(row, now),
        "advance_sent_at": None,
        "advancer": None,  # whoever was about to advance its plan when it paused has not
        "advancing_until": None,
        "phase": "waiting for a worker",
    }
    version = bump(connection, row.id, **values)
    steps = [JobStatus.QUEUED] if status is JobStatus.QUEUED else [JobStatus.QUEUED, JobStatus.RUNNING]
    tell(connection, row.id, version, now, [("status", {"status": step.value}) for step in steps])
    return shard_ids


def _paused_for(row: Any, now: dt.datetime) -> float:
    """Give how long a paused job has been paused; clocks may be set back."""
    return max(0.0, float((now - row.paused_at).total_seconds()))


def _locked(connection: Connection, job_id: str) -> Any:
    row = lock(connection, job_id)
    if row is None:
        raise NotFound(job_id)
    return row

"""What is done for jobs once: one that waited too long is ended, and the folder of one that ended is tidied."""

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import or_, select, update

from jobs.states import FailureKind, JobStatus
from store.artifacts import Artifacts
from store.engine import Database
from store.jobs import end_job, lock
from store.tables import FitRow, JobRow

_JOBS_AT_ONCE = 100


def expire(db: Database, max_queue_seconds: float) -> list[str]:
    """Fail jobs that have waited in the queue for longer; give their ids."""
    age = dt.timedelta(seconds=max_queue_seconds)
    with db.read() as connection:
        late = (JobRow.status == JobStatus.QUEUED, JobRow.queued_at < db.now(connection) - age)
        found = connection.scalars(select(JobRow.id).where(*late).limit(_JOBS_AT_ONCE)).all()
    detail = f"the job waited in the queue for longer than {max_queue_seconds:g} s, the longest that one may"
    failure = {"kind": FailureKind.TIME_LIMIT.value, "detail": detail, "retryable": True}
    expired = []
    for job_id in found:
        with db.write() as connection:
            job, now = lock(connection, job_id), db.now(connection)
            if job is not None and job.status is JobStatus.QUEUED and job.queued_at < now - age:
                end_job(connection, job_id, now, JobStatus.FAILED, failure=failure)
                expired.append(job_id)
    return expired


def tidy(db: Database, artifacts: Artifacts, *, after_seconds: float = 300.0) -> list[str]:
    """Delete from the folders of jobs that ended so long ago what none of their fits names; give its names.

    A worker that lost its lease, or died while it wrote, may have left files there. Each folder is tidied once, and a hundred at a time.

    Raises:
        ArtifactsUnavailable: the folders that were not tidied are tidied later.
    """
    gone: list[str] = []
    for job_id in untidied(db, after_seconds=after_seconds, limit=_JOBS_AT_ONCE):
        there = artifacts.names(f"jobs/{job_id}")
        nobodys = sorted(set(there) - _named(db, job_id)) if there else []
        artifacts.discard(nobodys)
        gone += nobodys
        with db.write() as connection:
            connection.execute(update(JobRow).where(JobRow.id == job_id).values(tidied_at=db.now(connection)))
    return gone


def untidied(db: Database, *, after_seconds: float = 300.0, limit: int = 1) -> Sequence[str]:
    """List jobs that ended so long ago and were not tidied, those that ended first."""
    with db.read() as connection:
        ended_by = db.now(connection) - dt.timedelta(seconds=after_seconds)
        ended = (JobRow.finished_at < ended_by, JobRow.tidied_at.is_(None))
        return connection.scalars(select(JobRow.id).where(*ended).order_by(JobRow.finished_at).limit(limit)).all()


def _named(db: Database, job_id: str) -> set[str]:
    """Give the files that fits of a job name, or of jobs that go on with it."""
    columns = (FitRow.weights_url, FitRow.outputs_url, FitRow.checkpoint_url)
    query = select(*columns).join(JobRow, JobRow.id == FitRow.job_id).where(or_(JobRow.id == job_id, JobRow.continues == job_id))
    with db.read() as connection:
        return {url for fit in connection.execute(query).all() for url in fit if url is not None}

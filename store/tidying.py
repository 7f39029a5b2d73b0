"""Files in the folders of jobs that have ended and that no row names: what a worker that died had begun, or had not told of."""

import datetime as dt

from sqlalchemy import select, update

from jobs.states import TERMINAL
from store.artifacts import Artifacts
from store.engine import Database
from store.tables import FitRow, JobRow

_JOBS_AT_ONCE = 200


def tidy(db: Database, artifacts: Artifacts, *, age: dt.timedelta = dt.timedelta(hours=1)) -> list[str]:
    """Tidy each job once, `age` after its end: whoever was at work when it ended has stopped by then. Give the files' names."""
    with db.read() as connection:
        ended = (JobRow.status.in_(TERMINAL), JobRow.tidied_at.is_(None), JobRow.finished_at <= db.now(connection) - age)
        ids = connection.scalars(select(JobRow.id).where(*ended).order_by(JobRow.finished_at).limit(_JOBS_AT_ONCE)).all()
        urls = select(FitRow.weights_url, FitRow.outputs_url, FitRow.checkpoint_url).where(FitRow.job_id.in_(ids))
        named = {url for fit in connection.execute(urls) for url in fit if url is not None}
    gone = [name for job_id in ids for name in artifacts.names(f"jobs/{job_id}") if name not in named]
    artifacts.discard(gone)
    if ids:
        with db.write() as connection:
            connection.execute(update(JobRow).where(JobRow.id.in_(ids)).values(tidied_at=db.now(connection)))
    return gone

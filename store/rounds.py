"""A plan between two rounds: what its fits came to, the next round's shards, or the job's end. No coordinator: whoever asks first writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, exists, func, select, update

from jobs.plans.fits import PlannedFit, Round
from jobs.states import FitStatus, JobStatus, ShardStatus
from store.commits import Finish
from store.engine import Database
from store.events import ending, tell
from store.jobs import bump, close_job, insert_shards, lock
from store.shards import OPEN_FITS
from store.tables import FitRow, JobRow, ShardRow, table
from training.records import StopReason

_FITS = table(FitRow)
_SHARDS = table(ShardRow)


@dataclass(frozen=True, kw_only=True)
class StoredResult:
    """What a fit came to, as its plan may know it. `outputs_url` names the artifact with what it was asked."""

    number: int
    status: FitStatus
    row_hash: str
    seed: int
    overrides: dict[str, Any]
    best_epoch: int | None
    kept_epoch: int | None
    evaluation: dict[str, Any] | None
    message: str | None
    failure: dict[str, Any] | None
    rungs: dict[int, dict[str, float]]
    outputs_url: str | None


def results(db: Database, job_id: str) -> list[StoredResult]:
    """List what a job's fits came to, or have come to so far, by number."""
    with db.read() as connection:
        return _results(connection, job_id)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A running job without an open shard: its plan is to be advanced, or the job ended where its time was over."""

    job_id: str
    spec: dict[str, Any]
    device: str
    results: list[StoredResult]
    is_timed_out: bool


def standing(db: Database, job_id: str) -> Standing | None:
    """Read what a plan needs to go on; None where it need not: the job has ended, was cancelled, or has an open shard."""
    with db.read() as connection:
        job = connection.execute(select(JobRow.id, JobRow.spec, JobRow.device).where(JobRow.id == job_id, *IS_READY)).first()
        return None if job is None else stands(connection, job)


def stands(connection: Connection, job: Any) -> Standing:
    """Read what the plan of a job that is ready needs to go on."""
    stopped = (_FITS.c.job_id == job.id, _FITS.c.stop_reason == StopReason.TIME_LIMIT.value)
    is_timed_out = connection.execute(select(_FITS.c.number).where(*stopped).limit(1)).first() is not None
    return Standing(job_id=job.id, spec=job.spec, device=job.device, results=_results(connection, job.id), is_timed_out=is_timed_out)


def begin_round(db: Database, job_id: str, index: int, awaited: Round, shards: Sequence[Sequence[PlannedFit]]) -> list[str]:
    """Insert round `index` of a plan, grouped into `shards`; give their ids. Nothing, if somebody else did, or the job wants no more."""
    with db.write() as connection:
        if lock(connection, job_id) is None or not is_ready(connection, job_id) or _has_round(connection, job_id, index):
            return []
        pruned = _prune(connection, job_id, awaited.pruned)
        ids = insert_shards(connection, job_id, index, shards)
        version = bump(
            connection,
            job_id,
            fits_later=awaited.later_fits,
            steps_later=awaited.later_steps,
            phase=f"round {index + 1}: waiting for a worker",
            **_ADVANCED,
        )
        tell(connection, job_id, version, db.now(connection), [("fit", {"fit": number, **_PRUNED}) for number in pruned])
    return ids


def finish_job(db: Database, job_id: str, final: Finish) -> bool:
    """End a job whose plan has concluded; False if it ended before or wants something else."""
    with db.write() as connection:
        if lock(connection, job_id) is None or not is_ready(connection, job_id):
            return False
        now = db.now(connection)
        close_job(connection, job_id, now, final.status, result=final.result, failure=final.failure, pruned=final.pruned, **_ADVANCED)
        tell(connection, job_id, bump(connection, job_id), now, ending(final.status, final.failure))
    return True


def spent_checkpoints(db: Database, job_id: str) -> list[str]:
    """Forget checkpoints of fits that will not be gone on with; give the files, which are nobody's then."""
    spent = (_FITS.c.job_id == job_id, _FITS.c.status.not_in(OPEN_FITS), _FITS.c.checkpoint_url.is_not(None))
    with db.write() as connection:
        lock(connection, job_id)
        urls = list(connection.scalars(select(_FITS.c.checkpoint_url).where(*spent)))
        connection.execute(update(_FITS).where(*spent).values(checkpoint_url=None, checkpoint_epoch=None))
    return urls


_OPEN_SHARD = exists(select(_SHARDS.c.id).where(_SHARDS.c.job_id == JobRow.id, _SHARDS.c.status != ShardStatus.DONE))
IS_READY = (
    JobRow.status == JobStatus.RUNNING,
    JobRow.cancel_requested_at.is_(None),
    JobRow.pause_requested_at.is_(None),
    ~_OPEN_SHARD,
)


def is_ready(connection: Connection, job_id: str) -> bool:
    """Tell whether a job's plan is to be advanced."""
    return connection.execute(select(JobRow.id).where(JobRow.id == job_id, *IS_READY)).first() is not None


def _has_round(connection: Connection, job_id: str, index: int) -> bool:
    latest = connection.scalar(select(func.max(_SHARDS.c.round)).where(_SHARDS.c.job_id == job_id))
    return latest is None or latest >= index


_ADVANCED = {"advance_attempts": 0, "advancer": None, "advancing_until": None}
_PRUNED = {"status": FitStatus.PRUNED.value, "stop_reason": FitStatus.PRUNED.value}


def _prune(connection: Connection, job_id: str, numbers: Sequence[int]) -> list[int]:
    """Give up those of these fits that are paused; give their numbers."""
    paused = (_FITS.c.job_id == job_id, _FITS.c.number.in_(numbers), _FITS.c.status == FitStatus.PENDING)
    change = update(_FITS).where(*paused).values(status=FitStatus.PRUNED, stop_reason=FitStatus.PRUNED.value).returning(_FITS.c.number)
    return sorted(connection.scalars(change)) if numbers else []


def _results(connection: Connection, job_id: str) -> list[StoredResult]:
    names = (
        "number", "status", "row_hash", "seed", "overrides", "best_epoch", "kept_epoch", "evaluation", "message", "failure", "rungs",
        "outputs_url",
    )  # fmt: skip
    rows = connection.execute(
        select(*(_FITS.c[name] for name in names)).where(_FITS.c.job_id == job_id).order_by(_FITS.c.number)
    ).mappings()
    return [StoredResult(**{**row, "rungs": {int(epoch): figures for epoch, figures in (row["rungs"] or {}).items()}}) for row in rows]

"""Jobs: made, read, counted, ended, deleted. Every write locks the job's row first."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, case, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from jobs.plans.fits import PlannedFit
from jobs.resolve import Resolved
from jobs.states import ACTIVE, FitStatus, JobStatus, ShardStatus
from store.engine import Database, again_if_undone, is_duplicate
from store.errors import Conflict, NotFound
from store.events import ending, tell, transitions
from store.ids import new_id
from store.tables import LOCAL, DatasetRow, FitRow, IdempotencyRow, JobRow, MetadataRow, ShardRow, table

_JOBS = table(JobRow)
_FITS = table(FitRow)
_SHARDS = table(ShardRow)

# What every job asks for is built once: building a statement costs six times as much as sending it to SQLite.
_OF_JOB = _JOBS.c.id == bindparam("of_job")
_READ = select(_JOBS).where(_OF_JOB)
_LOCK = _READ.with_for_update()
_BUMP = update(_JOBS).where(_OF_JOB).values(version=_JOBS.c.version + 1).returning(_JOBS.c.version)
_CLOSE = update(_JOBS).where(_OF_JOB)
_CLOSE_FITS = update(_FITS).where(_FITS.c.job_id == bindparam("of_job"), _FITS.c.status.in_((FitStatus.PENDING, FitStatus.RUNNING)))
_CLOSE_SHARDS = update(_SHARDS).where(_SHARDS.c.job_id == bindparam("of_job"), _SHARDS.c.status != ShardStatus.DONE)
_NUM_QUEUED = select(func.count()).where(_JOBS.c.status == JobStatus.QUEUED)
_IS_WHOLE = _FITS.c.status.in_((FitStatus.FINISHED, FitStatus.DIVERGED, FitStatus.PRUNED))
_DONE = func.sum(case((_IS_WHOLE, _FITS.c.steps_planned), else_=_FITS.c.steps_done))
_COUNTED_FITS = (
    select(_FITS.c.job_id, _FITS.c.status, func.count(), _DONE, func.sum(_FITS.c.steps_done), func.sum(_FITS.c.steps_planned))
    .where(_FITS.c.job_id.in_(bindparam("jobs", expanding=True)))
    .group_by(_FITS.c.job_id, _FITS.c.status)
)
_INSERT_JOB, _INSERT_SHARDS, _INSERT_FITS = insert(_JOBS), insert(_SHARDS), insert(_FITS)
_VERSIONS = select(_JOBS.c.id, _JOBS.c.version, _JOBS.c.status).where(_JOBS.c.id.in_(bindparam("job_ids", expanding=True)))
_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class JobState:
    """A job as it stands. `progress` is steps done of steps planned, 0 ... 1; an ended fit counts whole."""

    id: str
    name: str | None
    status: JobStatus
    plan: str
    dataset: str
    device: str
    spec: dict[str, Any]
    warnings: list[str]
    metadata: dict[str, str]
    version: int
    progress: float
    steps_done: int
    steps_planned: int
    fit_counts: dict[str, int]
    fits_later: int
    created_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    cancel_requested_at: dt.datetime | None
    pause_requested_at: dt.datetime | None
    paused_seconds: float
    continues: str | None
    owner: str
    phase: str
    failure: dict[str, Any] | None
    result: dict[str, Any] | None
    environment: dict[str, Any] | None
    transitions: list[dict[str, str]]

    @property
    def num_fits(self) -> int:
        """Count the fits planned so far, and those that at most come in later rounds of a running plan."""
        return sum(self.fit_counts.values()) + self.fits_later


@dataclass(frozen=True, kw_only=True)
class Created:
    """A job, whether this request made it, and the shards whose ids are to be sent."""

    job: JobState
    is_new: bool
    shard_ids: list[str]


@again_if_undone
def create_job(
    db: Database,
    resolved: Resolved,
    shards: Sequence[Sequence[PlannedFit]] | None = None,
    *,
    owner: str = LOCAL,
    idempotency_key: str | None = None,
    body_hash: str = "",
) -> Created:
    """Insert a job and the fits of its first round in one transaction, queued; `shards` groups them, null is one shard.

    With an idempotency key the same body gives the job made before, however many ask at once.

    Raises:
        Conflict: `idempotency_key_reused`, the key came with another body.
    """

    def make(connection: Connection, now: dt.datetime) -> tuple[str, list[str]]:
        job_id = new_id("job")
        insert_job(connection, resolved, job_id, now, owner)
        shard_ids = insert_shards(connection, job_id, 0, shards or [resolved.first_round.fits])
        tell(connection, job_id, 1, now, newly_queued())
        return job_id, shard_ids

    return made_once(db, make, owner=owner, idempotency_key=idempotency_key, body_hash=body_hash)


def made_once(
    db: Database,
    make: Callable[[Connection, dt.datetime], tuple[str, list[str]]],
    *,
    owner: str,
    idempotency_key: str | None,
    body_hash: str,
) -> Created:
    """Let `make` insert a job in one transaction, and tell its id and shards, unless this key has made one; as `create_job`."""
    try:
        with db.write() as connection:
            known = _known(connection, owner, idempotency_key, body_hash)
            if known is not None:
                return Created(job=known, is_new=False, shard_ids=[])
            now = db.now(connection)
            job_id, shard_ids = make(connection, now)
            if idempotency_key is not None:
                connection.execute(
                    insert(IdempotencyRow).values(owner=owner, key=idempotency_key, body_hash=body_hash, job_id=job_id, created_at=now)
                )
            return Created(job=read(connection, job_id), is_new=True, shard_ids=shard_ids)
    except IntegrityError as error:
        if idempotency_key is None or not is_duplicate(error):
            raise
    with db.read() as connection:  # another request with this key committed first
        known = _known(connection, owner, idempotency_key, body_hash)
        if known is None:
            raise Conflict("idempotency_key_reused", "the job of this Idempotency-Key was deleted while this request ran")
        return Created(job=known, is_new=False, shard_ids=[])


def job_of_key(db: Database, idempotency_key: str, body_hash: str, *, owner: str = LOCAL) -> JobState | None:
    """Read the job that an idempotency key made, if it made one.

    Raises:
        Conflict: `idempotency_key_reused`, the key came with another body.
    """
    with db.read() as connection:
        return _known(connection, owner, idempotency_key, body_hash)


def get_job(db: Database, job_id: str) -> JobState:
    """Read one job.

    Raises:
        NotFound: no job has this id.
    """
    with db.read() as connection:
        return read(connection, job_id)


def job_version(db: Database, job_id: str) -> tuple[int, JobStatus]:
    """Read only a job's version and status.

    Raises:
        NotFound: no job has this id.
    """
    found = job_versions(db, (job_id,))
    if not found:
        raise NotFound(job_id)
    return found[job_id]


def job_versions(db: Database, job_ids: Sequence[str]) -> dict[str, tuple[int, JobStatus]]:
    """Read only the versions and status of jobs, by their key; a job that is gone is left out."""
    found: dict[str, tuple[int, JobStatus]] = {}
    with db.read() as connection:
        for at in range(0, len(job_ids), _AT_ONCE):
            rows = connection.execute(_VERSIONS, {"job_ids": job_ids[at : at + _AT_ONCE]})
            found |= {row[0]: (row[1], row[2]) for row in rows}
    return found


@again_if_undone
def delete_job(db: Database, job_id: str) -> list[str]:
    """Delete an ended job with its fits, curves and events; give the URLs of its artifacts.

    Raises:
        NotFound: no job has this id.
        Conflict: `job_active`, it is queued, running or paused.
    """
    with db.write() as connection:
        row = lock(connection, job_id)
        if row is None:
            raise NotFound(job_id)
        if row.status in ACTIVE:
            raise Conflict("job_active", f"job {job_id} is {row.status.value}: cancel it first")
        files = select(FitRow.weights_url, FitRow.outputs_url, FitRow.checkpoint_url).where(FitRow.job_id == job_id)
        urls = [url for fit in connection.execute(files).all() for url in fit if url is not None]
        connection.execute(delete(JobRow).where(JobRow.id == job_id))
    return urls


def num_queued(db: Database) -> int:
    """Count the jobs that wait."""
    with db.read() as connection:
        return connection.execute(_NUM_QUEUED).scalar_one()


def lock(connection: Connection, job_id: str) -> Any:
    """Read a job's row and hold it until the transaction ends; None if there is none."""
    return connection.execute(_LOCK, {"of_job": job_id}).first()


def bump(connection: Connection, job_id: str, **values: Any) -> int:
    """Raise a locked job's version, with other columns; give the new version."""
    version: int = connection.execute(_BUMP, {"of_job": job_id, **values}).scalar_one()
    return version


def close_job(
    connection: Connection,
    job_id: str,
    now: dt.datetime,
    status: JobStatus,
    *,
    result: dict[str, Any] | None = None,
    failure: dict[str, Any] | None = None,
    pruned: Sequence[int] = (),
    **values: Any,
) -> None:
    """Write a locked job's end: its open fits and shards end with it, and nothing more is to come. Its version and events are the caller's."""
    if pruned:
        unwanted = (_FITS.c.job_id == job_id, _FITS.c.number.in_(pruned))
        connection.execute(update(_FITS).where(*unwanted).values(status=FitStatus.PRUNED, stop_reason=FitStatus.PRUNED.value))
    left = FitStatus.CANCELLED if status is JobStatus.CANCELLED else FitStatus.FAILED
    connection.execute(_CLOSE_FITS, {"of_job": job_id, "status": left, "stop_reason": left.value})
    connection.execute(_CLOSE_SHARDS, {"of_job": job_id, "status": ShardStatus.DONE, "lease_expires_at": None})
    ended = {"status": status, "finished_at": now, "result": result, "failure": failure, "phase": status.value, "pause_requested_at": None}
    ended["failure_kind"] = None if failure is None else failure["kind"]
    connection.execute(_CLOSE, {"of_job": job_id, **ended, **values})


def end_job(
    connection: Connection, job_id: str, now: dt.datetime, status: JobStatus, *, failure: dict[str, Any] | None = None, **values: Any
) -> None:
    """End a locked job that no worker holds: its open fits and shards end with it."""
    close_job(connection, job_id, now, status, failure=failure, **values)
    version = bump(connection, job_id)
    tell(connection, job_id, version, now, ending(status, failure))


def states(connection: Connection, rows: Sequence[Any]) -> list[JobState]:
    """Add fit counts, progress and transitions to job rows, in a constant number of queries."""
    ids = [row.id for row in rows]
    fits: dict[str, list[Any]] = {job_id: [] for job_id in ids}
    for fit in connection.execute(_COUNTED_FITS, {"jobs": ids}):
        fits[fit[0]].append(fit)
    told = transitions(connection, ids)
    return [_state(row, fits[row.id], told[row.id]) for row in rows]


def _counted(status: JobStatus, fit: Any) -> int:
    """Count the steps of a job's fits of one status as progress."""
    if status is JobStatus.FAILED:
        return int(fit[4])
    return int(fit[5] if fit[1] is FitStatus.FAILED and status in ACTIVE else fit[3])


def _state(row: Any, fits: Sequence[Any], told: list[dict[str, str]]) -> JobState:
    planned = sum(int(fit[5]) for fit in fits) + (row.steps_later if row.status in ACTIVE else 0)
    # A running plan goes on without its failed fits: their steps are not to come. A job that failed got as far as it got.
    whole = sum(_counted(row.status, fit) for fit in fits)
    progress = 1.0 if row.status is JobStatus.SUCCEEDED else min(1.0, whole / planned) if planned else 0.0
    return JobState(
        id=row.id,
        name=row.name,
        status=row.status,
        plan=row.plan,
        dataset=row.dataset,
        device=row.device,
        spec=row.spec,
        warnings=row.warnings,
        metadata=row.metadata,
        version=row.version,
        progress=progress,
        steps_done=sum(int(fit[4]) for fit in fits),
        steps_planned=planned,
        fit_counts={fit[1].value: int(fit[2]) for fit in fits},
        fits_later=row.fits_later if row.status in ACTIVE else 0,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        cancel_requested_at=row.cancel_requested_at,
        pause_requested_at=row.pause_requested_at,
        paused_seconds=row.paused_seconds,
        continues=row.continues,
        owner=row.owner,
        phase=row.phase,
        failure=row.failure,
        result=row.result,
        environment=row.environment,
        transitions=told,
    )


def read(connection: Connection, job_id: str) -> JobState:
    """Read one job in a transaction of the caller's.

    Raises:
        NotFound: no job has this id.
    """
    row = connection.execute(_READ, {"of_job": job_id}).first()
    if row is None:
        raise NotFound(job_id)
    return states(connection, [row])[0]


def _known(connection: Connection, owner: str, key: str | None, body_hash: str) -> JobState | None:
    if key is None:
        return None
    query = select(IdempotencyRow.job_id, IdempotencyRow.body_hash).where(IdempotencyRow.owner == owner, IdempotencyRow.key == key)
    row = connection.execute(query).first()
    if row is None:
        return None
    if row.body_hash != body_hash:
        raise Conflict("idempotency_key_reused", "this Idempotency-Key came before with another body")
    return read(connection, row.job_id)


def _hold_dataset(connection: Connection, dataset_id: str) -> str | None:
    """Keep an uploaded dataset from being deleted while a job that names it is made; None for built-in ones."""
    if not dataset_id.startswith("ds_"):
        return None
    query = select(DatasetRow.id).where(DatasetRow.id == dataset_id).with_for_update(read=True)
    if connection.scalar(query) is None:
        raise Conflict("dataset_deleted", f"dataset {dataset_id} was deleted while this request ran")
    return dataset_id


def insert_job(connection: Connection, resolved: Resolved, job_id: str, now: dt.datetime, owner: str, **values: Any) -> None:
    """Insert a queued job's row and metadata; its shards and events are the caller's. `values` are further columns."""
    spec, first = resolved.spec, resolved.first_round
    connection.execute(
        _INSERT_JOB,
        {
            "id": job_id,
            "owner": owner,
            "name": spec.name,
            "status": JobStatus.QUEUED,
            "plan": spec.plan.name,
            "dataset": spec.dataset,
            "uploaded_dataset": _hold_dataset(connection, spec.dataset),
            "device": spec.device,
            "spec": spec.model_dump(mode="json"),
            "warnings": list(resolved.warnings),
            "metadata": dict(spec.metadata),
            "steps_planned": sum(fit.steps_planned for fit in first.fits) + first.later_steps,
            "fits_later": first.later_fits,
            "steps_later": first.later_steps,
            "created_at": now,
            "queued_at": now,
            "time_limit_seconds": spec.time_limit_seconds,
            "phase": "waiting for a worker",
            "version": 1,
            **values,
        },
    )
    if spec.metadata:
        connection.execute(insert(MetadataRow), [{"job_id": job_id, "key": key, "value": value} for key, value in spec.metadata.items()])


def newly_queued() -> list[tuple[str, dict[str, Any]]]:
    """Give the first event of a job."""
    return [("status", {"status": JobStatus.QUEUED.value})]


def insert_shards(connection: Connection, job_id: str, index: int, shards: Sequence[Sequence[PlannedFit]]) -> list[str]:
    """Insert the shards of round `index` and their fits; fits that paused go over to their new shard. Gives the shards' ids."""
    paused = select(FitRow.number, FitRow.steps_done).where(FitRow.job_id == job_id, FitRow.status == FitStatus.PENDING)
    known = {} if index == 0 else {row.number: row.steps_done for row in connection.execute(paused).all()}
    ids = sorted(new_id("shard") for _ in shards)  # they are sent in this order
    rows = [
        {
            "id": shard_id,
            "job_id": job_id,
            "round": index,
            "status": ShardStatus.PENDING,
            "furthest_step": sum(known.get(fit.number, 0) for fit in fits),
        }
        for shard_id, fits in zip(ids, shards, strict=True)
    ]
    if rows:
        connection.execute(_INSERT_SHARDS, rows)
    placed = [(shard_id, fit) for shard_id, fits in zip(ids, shards, strict=True) for fit in fits]
    for shard_id, fit in placed:
        if fit.number in known:
            own = (FitRow.job_id == job_id, FitRow.number == fit.number)
            connection.execute(update(FitRow).where(*own).values(shard_id=shard_id, pause_at=fit.pause_at))
    new = [_fit_values(job_id, shard_id, fit) for shard_id, fit in placed if fit.number not in known]
    if new:
        connection.execute(_INSERT_FITS, new)
    return ids


def _fit_values(job_id: str, shard_id: str, fit: PlannedFit) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "number": fit.number,
        "shard_id": shard_id,
        "label": fit.label,
        "overrides": dict(fit.overrides),
        "place": dict(fit.place),
        "seed": fit.seed,
        "row_hash": fit.row_hash,
        "num_rows": dict(fit.num_rows),
        "num_parameters": fit.num_parameters,
        "status": FitStatus.PENDING,
        "steps_planned": fit.steps_planned,
        "pause_at": fit.pause_at,
        "rungs": {},
    }

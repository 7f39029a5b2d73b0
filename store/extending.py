"""A job that continues another: what it takes over of it is its own before it is first claimed.

Files are copied first, into its own folder, then one transaction makes the job with its rows. So deleting either job harms
nobody, and what a process that died between the two leaves is files without a job, which the sweeper collects.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, func, insert, literal, select, update

from jobs.extending import EndedFit, EndedJob, Extended, Taken, remarks
from jobs.plans.fits import PlannedFit
from jobs.spec import JobSpec
from jobs.states import ShardStatus
from store.artifacts import Artifacts
from store.engine import Database
from store.errors import Conflict, NotFound
from store.events import tell
from store.ids import new_id
from store.jobs import Created, insert_job, insert_shards, lock, made_once, newly_queued
from store.tables import EpochRow, FitRow, JobRow, ShardRow, table

_FITS = table(FitRow)
_EPOCHS = table(EpochRow)
_SHARDS = table(ShardRow)
_ENDS = ("status", "stop_reason", "message", "best_epoch", "last_epoch", "kept_epoch", "evaluation", "failure", "steps_done")
_Files = Mapping[int, dict[str, str]]
"""By number, what a fit's columns name after the copy."""


def read_ended(db: Database, job_id: str) -> EndedJob:
    """Read a job that may be extended, and the fits of its first round.

    Raises:
        NotFound: no job has this id.
    """
    names = tuple(EndedFit.__dataclass_fields__)
    with db.read() as connection:
        job = connection.execute(select(JobRow.owner, JobRow.status, JobRow.failure_kind, JobRow.spec).where(JobRow.id == job_id)).first()
        if job is None:
            raise NotFound(job_id)
        first = select(_SHARDS.c.id).where(_SHARDS.c.job_id == job_id, _SHARDS.c.round == 0).scalar_subquery()
        query = select(*(_FITS.c[name] for name in names)).where(_FITS.c.job_id == job_id, _FITS.c.shard_id.in_(first))
        fits = [EndedFit(**fit) for fit in connection.execute(query).mappings()]
        numbers = [fit.number for fit in fits]
        last = select(func.max(_EPOCHS.c.epoch)).where(_EPOCHS.c.job_id == job_id, _EPOCHS.c.fit_number.in_(numbers))
        furthest = connection.scalar(last)
    return EndedJob(
        id=job_id,
        owner=job.owner,
        status=job.status,
        failure_kind=job.failure_kind,
        spec=JobSpec.model_validate(job.spec),
        furthest_epoch=furthest,
        fits={fit.number: fit for fit in fits},
    )


def extend_job(
    db: Database,
    artifacts: Artifacts,
    found: Extended,
    shards: Sequence[Sequence[PlannedFit]],
    *,
    idempotency_key: str | None = None,
    body_hash: str = "",
) -> Created:
    """Make the job that continues an ended one, queued; `shards` groups the fits that are to be trained.

    Raises:
        NotFound: the old job was deleted meanwhile.
        Conflict: `checkpoint_lost`, a file of it is gone; `idempotency_key_reused`.
        OSError: the store of artifacts cannot be reached.
    """
    job_id = new_id("job")
    files: dict[int, dict[str, str]] = {}
    made: Created | None = None
    try:
        _copy(artifacts, found, job_id, files)

        def make(connection: Connection, now: dt.datetime) -> tuple[str, list[str]]:
            return job_id, _insert(connection, found, job_id, shards, files, now)

        made = made_once(db, make, owner=found.old.owner, idempotency_key=idempotency_key, body_hash=body_hash)
    finally:
        if made is None or not made.is_new:
            artifacts.delete([key for names in files.values() for key in names.values()])
    return made


def _copy(artifacts: Artifacts, found: Extended, job_id: str, files: dict[int, dict[str, str]]) -> None:
    """Copy what the new job's fits take over; `files` tells of each that may be there."""
    for number, taken in found.taken.items():
        old = found.old.fits[number]
        folder = f"jobs/{job_id}/fit-{number}"
        match taken:
            case Taken.END:
                wanted = {"weights_url": f"{folder}.safetensors", "outputs_url": f"{folder}-outputs.npy"}
            case Taken.CHECKPOINT:
                wanted = {"checkpoint_url": f"{folder}-epoch-{old.checkpoint_epoch}-attempt-0.checkpoint"}
            case Taken.NOTHING:
                wanted = {}
        for column, key in wanted.items():
            source = getattr(old, column)
            if source is not None:
                files.setdefault(number, {})[column] = key
                _copy_one(artifacts, found.old.id, source, key)


def _copy_one(artifacts: Artifacts, job_id: str, source: str, key: str) -> None:
    try:
        artifacts.copy(source, key)
    except FileNotFoundError as error:
        raise Conflict("checkpoint_lost", f"a file that job {job_id} left is gone: submit a new job with more epochs") from error


def _insert(
    connection: Connection, found: Extended, job_id: str, shards: Sequence[Sequence[PlannedFit]], files: _Files, now: dt.datetime
) -> list[str]:
    old = lock(connection, found.old.id)
    if old is None:
        raise NotFound(found.old.id)
    # A curve's rows keep the order in which they came about: epoch e was written by version e + 1, before the job was made.
    version = _taken_epoch(found) + 2
    warned = replace(found.resolved, warnings=(*found.resolved.warnings, *remarks(found)))
    insert_job(connection, warned, job_id, now, old.owner, version=version, continues=old.id)
    shard_ids = insert_shards(connection, job_id, 0, shards)
    ended = found.fits(Taken.END)
    if ended:
        [over] = insert_shards(connection, job_id, 0, [ended])
        connection.execute(update(ShardRow).where(ShardRow.id == over).values(status=ShardStatus.DONE))
        _take_ends(connection, found, job_id, files)
    _take_checkpoints(connection, found, job_id, files)
    _take_epochs(connection, found.old.id, job_id)
    _count_steps(connection, job_id)
    told = [("fit", _told(found.old.fits[fit.number])) for fit in ended]
    tell(connection, job_id, version, now, [*told, *newly_queued()])
    return shard_ids


def _taken_epoch(found: Extended) -> int:
    """Give the last epoch of any curve that is taken over."""
    ends = [found.old.fits[fit.number].last_epoch or 0 for fit in found.fits(Taken.END)]
    return max(ends + [found.old.fits[fit.number].checkpoint_epoch or 0 for fit in found.fits(Taken.CHECKPOINT)])


def _take_ends(connection: Connection, found: Extended, job_id: str, files: _Files) -> None:
    numbers = [fit.number for fit in found.fits(Taken.END)]
    query = select(_FITS.c.number, *(_FITS.c[name] for name in _ENDS)).where(_FITS.c.job_id == found.old.id, _FITS.c.number.in_(numbers))
    for fit in connection.execute(query).mappings().all():
        values = {**{name: fit[name] for name in _ENDS}, **files.get(fit["number"], {})}
        connection.execute(update(_FITS).where(_FITS.c.job_id == job_id, _FITS.c.number == fit["number"]).values(**values))


def _take_checkpoints(connection: Connection, found: Extended, job_id: str, files: _Files) -> None:
    for fit in found.fits(Taken.CHECKPOINT):
        epoch = found.old.fits[fit.number].checkpoint_epoch
        values: dict[str, Any] = {**files[fit.number], "checkpoint_epoch": epoch, "last_epoch": epoch}
        connection.execute(update(_FITS).where(_FITS.c.job_id == job_id, _FITS.c.number == fit.number).values(**values))


def _take_epochs(connection: Connection, old_id: str, job_id: str) -> None:
    """Copy the curves of the fits of a new job, as far as they have been taken over, within the database."""
    changed = {"job_id": literal(job_id), "version": _EPOCHS.c.epoch + 1}
    columns = [column.name for column in _EPOCHS.columns]
    rows = (
        select(*(changed.get(name, _EPOCHS.c[name]) for name in columns))
        .join(_FITS, (_FITS.c.job_id == job_id) & (_FITS.c.number == _EPOCHS.c.fit_number))
        .where(_EPOCHS.c.job_id == old_id, _EPOCHS.c.epoch <= _FITS.c.last_epoch)
    )
    connection.execute(insert(EpochRow).from_select(columns, rows))


def _count_steps(connection: Connection, job_id: str) -> None:
    """Count what fits have come to: an attempt that adds nothing to it makes no progress."""
    steps = (
        select(func.coalesce(func.sum(_EPOCHS.c.steps), 0))
        .where(_EPOCHS.c.job_id == job_id, _EPOCHS.c.fit_number == _FITS.c.number)
        .scalar_subquery()
    )
    connection.execute(update(_FITS).where(_FITS.c.job_id == job_id).values(steps_done=steps))
    done = select(func.coalesce(func.sum(_FITS.c.steps_done), 0)).where(_FITS.c.shard_id == _SHARDS.c.id).scalar_subquery()
    connection.execute(update(_SHARDS).where(_SHARDS.c.job_id == job_id).values(furthest_step=done))


def _told(fit: EndedFit) -> dict[str, Any]:
    return {"fit": fit.number, "status": fit.status.value, "stop_reason": fit.stop_reason, "continued": True}

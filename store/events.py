"""The story of a job: changes of state, told once under the version that wrote them, and epochs, derived from their rows."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, union

from jobs.states import TERMINAL, JobStatus
from store.engine import Database
from store.errors import NotFound
from store.tables import EpochRow, EventRow, JobRow, table

_EVENTS = table(EventRow)
_EPOCHS = table(EpochRow)
# What every job asks for is built once: building a statement costs six times as much as sending it to SQLite.
_TELL = insert(_EVENTS)
_CHANGES = (
    select(_EVENTS)
    .where(_EVENTS.c.job_id.in_(bindparam("jobs", expanding=True)), _EVENTS.c.kind == "status")
    .order_by(_EVENTS.c.job_id, _EVENTS.c.version, _EVENTS.c.position)
)


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event. `kind` is status, cancel_requested, pause_requested, resumed, fit, epoch or finished (the last one of a job)."""

    version: int
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class EventPage:
    """Events of whole versions, in order; `version` is the last one covered: the next page starts after it.

    `newest` is the job's version as of this page, and `has_ended` whether the job had ended then.
    """

    events: list[Event]
    version: int
    has_more: bool
    newest: int
    has_ended: bool


def tell(connection: Connection, job_id: str, version: int, at: dt.datetime, told: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Write events of one transaction under its version."""
    if told:
        rows = [
            {"job_id": job_id, "version": version, "position": i, "kind": kind, "at": at, "data": data}
            for i, (kind, data) in enumerate(told)
        ]
        connection.execute(_TELL, rows)


def ending(status: JobStatus, failure: dict[str, Any] | None = None) -> list[tuple[str, dict[str, Any]]]:
    """Give the events of a job's end."""
    return [("status", {"status": status.value}), ("finished", {"status": status.value, "failure": failure})]


def events_after(db: Database, job_id: str, version: int, *, max_versions: int = 500) -> EventPage:
    """Read what was written after `version`, oldest first; a version is never split between pages.

    Where nothing was, that takes one look at the job.

    Raises:
        NotFound: no job has this id.
    """
    with db.read() as connection:
        job = connection.execute(select(JobRow.version, JobRow.status).where(JobRow.id == job_id)).first()
        if job is None:
            raise NotFound(job_id)
        has_ended = job.status in TERMINAL
        if job.version <= version:
            return EventPage(events=[], version=version, has_more=False, newest=job.version, has_ended=has_ended)
        versions = union(
            select(EpochRow.version).where(EpochRow.job_id == job_id, EpochRow.version > version),
            select(EventRow.version).where(EventRow.job_id == job_id, EventRow.version > version),
        ).subquery()
        covered = connection.scalars(select(versions.c.version).order_by(versions.c.version).limit(max_versions + 1)).all()
        if not covered:
            return EventPage(events=[], version=version, has_more=False, newest=job.version, has_ended=has_ended)
        has_more = len(covered) > max_versions
        last = covered[max_versions - 1] if has_more else covered[-1]
        told = connection.execute(
            select(_EVENTS)
            .where(_EVENTS.c.job_id == job_id, _EVENTS.c.version > version, _EVENTS.c.version <= last)
            .order_by(_EVENTS.c.version, _EVENTS.c.position)
        ).all()
        epochs = connection.execute(
            select(_EPOCHS)
            .where(_EPOCHS.c.job_id == job_id, _EPOCHS.c.version > version, _EPOCHS.c.version <= last)
            .order_by(_EPOCHS.c.version, _EPOCHS.c.fit_number, _EPOCHS.c.epoch)
        ).all()
    events = [Event(version=row.version, kind="epoch", data=_epoch(row)) for row in epochs]
    events += [Event(version=row.version, kind=row.kind, data={**row.data, "at": _instant(row.at)}) for row in told]
    # Within one transaction epochs come before what they led to.
    events.sort(key=lambda found: (found.version, found.kind != "epoch"))
    return EventPage(events=events, version=last, has_more=has_more, newest=job.version, has_ended=has_ended)


def transitions(connection: Connection, job_ids: Sequence[str]) -> dict[str, list[dict[str, str]]]:
    """List each job's changes of status with their instants."""
    rows = connection.execute(_CHANGES, {"jobs": list(job_ids)}).all()
    found: dict[str, list[dict[str, str]]] = {job_id: [] for job_id in job_ids}
    for row in rows:
        found[row.job_id].append({"status": row.data["status"], "at": _instant(row.at)})
    return found


def _instant(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def _epoch(row: Any) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in _FIGURES if getattr(row, name) is not None}
    gap = {} if row.val_loss is None else {"generalization_gap": row.val_loss - row.train_loss}
    return {"fit": row.fit_number, "epoch": row.epoch, **values, **gap}


_FIGURES = tuple(column.name for column in _EPOCHS.columns if column.name not in {"job_id", "fit_number", "epoch", "version"})

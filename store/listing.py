"""Pages of jobs: filtered before they are cut, by a keyset that new jobs do not shift."""

import base64
import binascii
import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select

from jobs.states import JobStatus
from store.engine import Database
from store.errors import BadCursor
from store.jobs import JobState, states
from store.tables import JobRow, MetadataRow, table

_JOBS = table(JobRow)
_ID = re.compile(r"[a-z0-9_]{1,40}")
Sort = Literal["created_at", "-created_at"]


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """Which jobs to list; empty means all. `name` is a part of the name, in any case."""

    statuses: frozenset[JobStatus] = frozenset()
    plan: str | None = None
    dataset: str | None = None
    name: str | None = None
    created_after: dt.datetime | None = None
    created_before: dt.datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some jobs, and the cursor of what follows them (None at the end)."""

    items: list[JobState]
    next_cursor: str | None


def list_jobs(
    db: Database, chosen: JobFilter, *, owner: str | None, sort: Sort = "-created_at", cursor: str | None = None, limit: int = 20
) -> Page:
    """List an owner's jobs (None: everybody's) in a constant number of queries, without curves.

    Raises:
        BadCursor: the cursor is not one of this service, or belongs to another sort order.
    """
    is_falling = sort.startswith("-")
    query: Select[Any] = select(_JOBS).where(*_conditions(chosen))
    if owner is not None:
        query = query.where(_JOBS.c.owner == owner)
    if cursor is not None:
        created_at, job_id = _decode(cursor, sort)
        same = and_(_JOBS.c.created_at == created_at, _JOBS.c.id < job_id if is_falling else _JOBS.c.id > job_id)
        further = _JOBS.c.created_at < created_at if is_falling else _JOBS.c.created_at > created_at
        query = query.where(or_(further, same))
    order = [_JOBS.c.created_at.desc(), _JOBS.c.id.desc()] if is_falling else [_JOBS.c.created_at, _JOBS.c.id]
    with db.read() as connection:
        rows = connection.execute(query.order_by(*order).limit(limit + 1)).all()
        items = states(connection, rows[:limit])
    has_more = len(rows) > limit
    return Page(items=items, next_cursor=_encode(items[-1], sort) if has_more else None)


def _conditions(chosen: JobFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if chosen.statuses:
        found.append(_JOBS.c.status.in_(sorted(chosen.statuses)))
    if chosen.plan is not None:
        found.append(_JOBS.c.plan == chosen.plan)
    if chosen.dataset is not None:
        found.append(_JOBS.c.dataset == chosen.dataset)
    if chosen.name is not None:
        found.append(func.lower(_JOBS.c.name).contains(chosen.name.lower(), autoescape=True))
    if chosen.created_after is not None:
        found.append(_JOBS.c.created_at > chosen.created_after)
    if chosen.created_before is not None:
        found.append(_JOBS.c.created_at < chosen.created_before)
    return [*found, *(_has(key, value) for key, value in chosen.metadata.items())]


def _has(key: str, value: str) -> ColumnElement[bool]:
    return exists().where(MetadataRow.job_id == _JOBS.c.id, MetadataRow.key == key, MetadataRow.value == value)


def _encode(last: JobState, sort: Sort) -> str:
    text = json.dumps([sort, last.created_at.isoformat(), last.id])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str, sort: Sort) -> tuple[dt.datetime, str]:
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        made_for, created_at, job_id = found
        instant = dt.datetime.fromisoformat(created_at)
        if instant.tzinfo is not None:
            instant = instant.astimezone(dt.UTC)
    except (ValueError, TypeError, OverflowError, binascii.Error) as error:
        raise BadCursor("this cursor was not made by this service") from error
    if made_for != sort or not isinstance(job_id, str) or _ID.fullmatch(job_id) is None or instant.tzinfo is None:
        raise BadCursor(f"this cursor belongs to another order than {sort}")
    return instant, job_id

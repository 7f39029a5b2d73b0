"""Pages of jobs: filtered before they are cut, by a keyset that new jobs do not shift."""

import base64
import binascii
import datetime as dt
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, String, and_, bindparam, exists, func, or_, select, type_coerce

from jobs.states import JobStatus
from store.engine import Database
from store.errors import BadCursor
from store.jobs import JobState, states
from store.tables import JobRow, MetadataRow, table

_JOBS = table(JobRow)
_WHOLE = select(_JOBS).where(_JOBS.c.id.in_(bindparam("job_ids", expanding=True)))
_AT = type_coerce(_JOBS.c.created_at, String).label("at")
"""As the driver gives it: of a page's instants one is read, that of its end."""
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
    """Some jobs, and the cursor of what follows them (None at the end). `items` lacks those of `job_ids` that the caller knew."""

    job_ids: list[str]
    items: list[JobState]
    next_cursor: str | None


@dataclass(frozen=True, kw_only=True)
class PageQuery:
    """The statement that finds a page's jobs, and one more."""

    statement: Select[Any]
    sort: Sort
    limit: int


def page_query(chosen: JobFilter, *, owner: str | None, sort: Sort, cursor: str | None, limit: int) -> PageQuery:
    """Prepare the query of a page; it may be read as often as one likes.

    Raises:
        BadCursor: the cursor is not one of this service, or belongs to another sort order.
    """
    is_falling = sort.startswith("-")
    query: Select[Any] = select(_JOBS.c.id, _JOBS.c.version, _AT).where(*_conditions(chosen))
    if owner is not None:
        query = query.where(_JOBS.c.owner == owner)
    if cursor is not None:
        created_at, job_id = _decode(cursor, sort)
        same = and_(_JOBS.c.created_at == created_at, _JOBS.c.id < job_id if is_falling else _JOBS.c.id > job_id)
        further = _JOBS.c.created_at < created_at if is_falling else _JOBS.c.created_at > created_at
        # The bound alone would do for neither instant; beside the rest it is where the index is entered.
        bound = _JOBS.c.created_at <= created_at if is_falling else _JOBS.c.created_at >= created_at
        query = query.where(bound, or_(further, same))
    order = [_JOBS.c.created_at.desc(), _JOBS.c.id.desc()] if is_falling else [_JOBS.c.created_at, _JOBS.c.id]
    return PageQuery(statement=query.order_by(*order).limit(limit + 1), sort=sort, limit=limit)


def read_page(db: Database, query: PageQuery, is_known: Callable[[str, int], bool]) -> Page:
    """Read a page, in one statement, and its jobs in a constant number, but for those of whom the caller knows this version."""
    with db.read() as connection:
        rows = connection.execute(query.statement).all()
        shown = rows[: query.limit]
        unknown = [row.id for row in shown if not is_known(row.id, row.version)]
        items = states(connection, connection.execute(_WHOLE, {"job_ids": unknown}).all()) if unknown else []
    place = {row.id: i for i, row in enumerate(shown)}
    return Page(
        job_ids=list(place),
        items=sorted(items, key=lambda job: place[job.id]),
        next_cursor=_encode(shown[-1].id, _instant(shown[-1].at), query.sort) if len(rows) > query.limit else None,
    )


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


def _instant(at: str | dt.datetime) -> dt.datetime:
    """Read an instant as drivers give it: SQLite's text has no zone."""
    found = dt.datetime.fromisoformat(at) if isinstance(at, str) else at
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)


def _encode(job_id: str, created_at: dt.datetime, sort: Sort) -> str:
    text = json.dumps([sort, created_at.isoformat(), job_id])
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

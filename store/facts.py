"""How the service does, as far as the database knows: for `/readyz` and `/metrics`, in a few queries over indexes.

Jobs that have ended are counted apart: they become millions, and readiness must not wait until all are counted.
"""

import datetime as dt
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from jobs.states import ACTIVE, TERMINAL, FailureKind, JobStatus
from store.engine import Database
from store.errors import DatabaseUnavailable
from store.migrate import Schema, schema_of
from store.tables import JobRow, WorkerRow
from store.workers import LIVE_SECONDS, Counts, is_sweeper

_DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What waits, runs and lives. `counters` and `sweepers` hold what each worker and live sweeper has counted since it began."""

    is_ahead: bool
    active: dict[str, int]
    queued_by_device: dict[str, int]
    oldest_queued_seconds: float | None
    workers: list[str]
    workers_by_device: dict[str, int]
    counters: dict[str, Counts]
    sweepers: dict[str, Counts]


@dataclass(frozen=True, kw_only=True)
class EndedJobs:
    """Jobs that have ended and were not deleted, by status; failed ones by kind of failure."""

    counts: dict[str, int]
    failures: dict[str, int]


def service_facts(db: Database) -> Facts:
    """Read all of it in one transaction. `is_ahead`: the database was migrated by a newer release than this.

    Raises:
        DatabaseUnavailable: it cannot be reached, takes no writes, or has not been migrated to what this code needs.
    """
    with db.read() as connection:
        schema = schema_of(connection)
        if schema is Schema.BEHIND:
            raise DatabaseUnavailable("the database has not been migrated to this release: run `holdout migrate`")
        if connection.dialect.name == "postgresql" and connection.scalar(text("SHOW transaction_read_only")) == "on":
            raise DatabaseUnavailable("the database takes no writes")
        now = db.now(connection)
        active = _counts(connection, ACTIVE)
        is_queued = JobRow.status == JobStatus.QUEUED
        queued = connection.execute(select(JobRow.device, func.count()).where(is_queued).group_by(JobRow.device)).all()
        oldest = connection.scalar(select(func.min(JobRow.queued_at)).where(is_queued))
        workers, counters, devices, sweepers = _processes(connection, now)
    return Facts(
        is_ahead=schema is Schema.AHEAD,
        active=active,
        queued_by_device=dict.fromkeys(_DEVICES, 0) | {row[0]: row[1] for row in queued},
        oldest_queued_seconds=None if oldest is None else max(0.0, (now - oldest).total_seconds()),
        workers=workers,
        workers_by_device=dict.fromkeys(_DEVICES[1:], 0) | devices,
        counters=counters,
        sweepers=sweepers,
    )


def ended_jobs(db: Database) -> EndedJobs:
    """Count all jobs that have ended: this takes the longer the more there are.

    Raises:
        DatabaseUnavailable: it cannot be reached.
    """
    with db.read() as connection:
        counts = _counts(connection, TERMINAL)
        failed = select(JobRow.failure_kind, func.count()).where(JobRow.status == JobStatus.FAILED).group_by(JobRow.failure_kind)
        failures = connection.execute(failed).all()
    return EndedJobs(
        counts=counts,
        failures={kind.value: 0 for kind in FailureKind} | {kind or FailureKind.INTERNAL.value: count for kind, count in failures},
    )


def _counts(connection: Connection, statuses: Collection[JobStatus]) -> dict[str, int]:
    query = select(JobRow.status, func.count()).where(JobRow.status.in_(sorted(statuses))).group_by(JobRow.status)
    return dict.fromkeys(sorted(statuses), 0) | {status.value: count for status, count in connection.execute(query).all()}


def _processes(connection: Connection, now: dt.datetime) -> tuple[list[str], dict[str, Counts], dict[str, int], dict[str, Counts]]:
    """Tell who lives. A dead worker's counts are told for as long as its row is there: what it did was done."""
    rows = connection.execute(select(WorkerRow.id, WorkerRow.seen_at, WorkerRow.devices, WorkerRow.counters)).all()
    since = now - dt.timedelta(seconds=LIVE_SECONDS)
    workers = [row for row in rows if not is_sweeper(row.id)]
    live = [row for row in workers if row.seen_at >= since]
    devices = Counter(device for row in live for device in row.devices)
    sweepers = {row.id: row.counters for row in rows if is_sweeper(row.id) and row.seen_at >= since}
    return sorted(row.id for row in live), {row.id: row.counters for row in workers}, dict(devices), sweepers

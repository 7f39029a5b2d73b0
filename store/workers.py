"""Signs of life of workers and sweepers, and what they have counted."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from store.engine import Database
from store.tables import WorkerRow, table
from training.speed import Speed

LIVE_SECONDS = 30.0
"""A worker silent for longer is taken for dead. It beats several times as often."""
EPOCH_BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Limits in seconds under which epochs are counted."""
_SWEEPER = "sweeper:"
_WORKERS = table(WorkerRow)
_LIVE = (
    select(_WORKERS)
    .where(_WORKERS.c.seen_at >= bindparam("since", type_=_WORKERS.c.seen_at.type), ~_WORKERS.c.id.startswith(_SWEEPER, autoescape=True))
    .order_by(_WORKERS.c.id)
)

Counts = dict[str, float]
"""Cumulative counts by name, of one process."""


def sweeper_id(name: str) -> str:
    """Give the id of a sweeper of this name: it is no worker, and is not counted among them."""
    return f"{_SWEEPER}{name}"


def is_sweeper(process_id: str) -> bool:
    """Tell sweepers from workers."""
    return process_id.startswith(_SWEEPER)


@dataclass(frozen=True, kw_only=True)
class WorkerState:
    """A worker that was heard of lately."""

    id: str
    seen_at: dt.datetime
    devices: list[str]
    environment: dict[str, Any]


def beat(db: Database, worker_id: str, devices: list[str], environment: dict[str, Any], counters: Counts | None = None) -> None:
    """Note that this process lives and what it has counted, and forget those silent for an hour."""
    with db.write() as connection:
        now = db.now(connection)
        values = {"seen_at": now, "devices": devices, "environment": environment, "counters": counters or {}}
        if connection.execute(update(WorkerRow).where(WorkerRow.id == worker_id).values(**values)).rowcount == 0:
            connection.execute(insert(WorkerRow).values(id=worker_id, **values))
            connection.execute(delete(WorkerRow).where(WorkerRow.seen_at < now - dt.timedelta(hours=1)))


def live(db: Database, *, within_seconds: float = LIVE_SECONDS) -> list[WorkerState]:
    """List workers heard of within these seconds."""
    with db.read() as connection:
        since = db.now(connection) - dt.timedelta(seconds=within_seconds)
        rows = connection.execute(_LIVE, {"since": since}).all()
    return [WorkerState(id=row.id, seen_at=row.seen_at, devices=row.devices, environment=row.environment) for row in rows]


def speeds(workers: Sequence[WorkerState]) -> list[Speed]:
    """Give what workers measured of themselves, those that did."""
    return [Speed.model_validate(worker.environment["speed"]) for worker in workers if "speed" in worker.environment]


def forget(db: Database, worker_prefix: str) -> None:
    """Forget workers that left, whose ids begin with `worker_prefix`."""
    with db.write() as connection:
        connection.execute(delete(WorkerRow).where(WorkerRow.id.startswith(worker_prefix, autoescape=True)))

"""A clock that was set back leaves instants in the future, where nobody would look for what they belong to. They are set right.

The clock is the database's: that of its machine, and of everybody where the database is embedded.
"""

import datetime as dt
from typing import Any

from sqlalchemy import ColumnElement, select, update

from jobs.states import JobStatus, ShardStatus
from store.engine import Database
from store.tables import Base, JobRow, ShardRow, WorkerRow

_SLACK = dt.timedelta(seconds=1)


def set_right(db: Database, lease_seconds: float) -> int:
    """Set right what lies further in the future than it can have been written to; give the number of rows.

    Who holds a lease has all of it again: a live worker renews it before it ends, that of a dead one ends soon. What was
    sent counts as unsent: it is sent again, which does no harm.
    """
    lease = dt.timedelta(seconds=lease_seconds)
    with db.read() as connection:
        now = db.now(connection)
        found = [one for one in _wrong(now, lease) if connection.execute(select(1).select_from(one[0]).where(*one[1]).limit(1)).first()]
    if not found:
        return 0
    with db.write() as connection:
        now = db.now(connection)
        return sum(connection.execute(update(row).where(*where).values(**values)).rowcount for row, where, values in _wrong(now, lease))


def _wrong(now: dt.datetime, lease: dt.timedelta) -> list[tuple[type[Base], tuple[ColumnElement[bool], ...], dict[str, Any]]]:
    held, waits = ShardRow.status == ShardStatus.RUNNING, ShardRow.status == ShardStatus.PENDING
    is_running, latest = JobRow.status == JobStatus.RUNNING, now + 2 * lease + _SLACK
    return [
        (ShardRow, (held, ShardRow.lease_expires_at > latest), {"lease_expires_at": now + lease, "sent_at": None}),
        (ShardRow, (waits, ShardRow.sent_at > now + _SLACK), {"sent_at": None}),
        (JobRow, (is_running, JobRow.advancing_until > latest), {"advancing_until": now + lease}),
        (JobRow, (is_running, JobRow.advance_sent_at > now + _SLACK), {"advance_sent_at": None}),
        (WorkerRow, (WorkerRow.seen_at > now + _SLACK,), {"seen_at": now}),
    ]

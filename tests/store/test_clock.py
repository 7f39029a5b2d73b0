"""What becomes of instants that lie in the future because a clock was set back."""

import datetime as dt

from sqlalchemy import select, update

from store.clock import set_right
from store.engine import Database
from store.shards import claim, renew
from store.sweeping import due, mark_sent
from store.tables import Base, JobRow, ShardRow, WorkerRow
from store.workers import live
from tests.factories import LEASE, a_claim, a_job

DAY = dt.timedelta(days=1)


def _set_back(db: Database, row: type[Base], *names: str) -> None:
    """Write instants of a day later, as if the clock had been set back by a day since."""
    with db.write() as connection:
        connection.execute(update(row).values(dict.fromkeys(names, db.now(connection) + DAY)))


def _lease(db: Database) -> float:
    with db.read() as connection:
        expires = connection.scalar(select(ShardRow.lease_expires_at))
        assert expires is not None
        return (expires - db.now(connection)).total_seconds()


def test_a_dead_workers_lease_ends_though_the_clock_was_set_back_by_a_day(db: Database) -> None:
    held = a_claim(db, a_job(db))
    _set_back(db, ShardRow, "lease_expires_at", "sent_at")
    assert set_right(db, LEASE) == 1
    assert 0 < _lease(db) <= LEASE
    assert claim(db, held.shard_id, "w/2", LEASE) is None  # whoever holds it may be alive
    renew(db, held, LEASE)
    assert set_right(db, LEASE) == 0


def test_what_was_sent_before_the_clock_was_set_back_is_sent_again(db: Database) -> None:
    created = a_job(db)
    mark_sent(db, created.shard_ids)
    _set_back(db, ShardRow, "sent_at")
    assert due(db) == []
    set_right(db, LEASE)
    _set_back(db, JobRow, "created_at")
    assert [one.shard_id for one in due(db)] == created.shard_ids


def test_what_is_as_it_should_be_is_left_alone(db: Database) -> None:
    held = a_claim(db, a_job(db))
    before = _lease(db)
    mark_sent(db, a_job(db).shard_ids)
    assert set_right(db, LEASE) == 0
    renew(db, held, LEASE)
    assert before <= LEASE


def test_a_worker_heard_of_in_the_future_does_not_live_for_ever(db: Database) -> None:
    with db.write() as connection:
        connection.execute(
            WorkerRow.__table__.insert().values(id="w/1", seen_at=db.now(connection) + DAY, devices=[], environment={}, counters={})
        )
    set_right(db, LEASE)
    assert [worker.id for worker in live(db)] == ["w/1"]
    assert live(db, within_seconds=-1) == []

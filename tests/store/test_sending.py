"""Which shards are sent: of one job only so many at a time, so that a job submitted later takes its turn."""

import contextlib
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, select

from cli.broker import Broker
from jobs.messages import CPU_QUEUE, GPU_QUEUE
from jobs.planning import shards_of
from store import sweeping
from store.engine import Database, create_engine
from store.errors import DatabaseUnavailable
from store.jobs import create_job, num_queued
from store.shards import claim, release
from store.sweeping import MOST_IN_FLIGHT, due, in_flight, mark_sent, mark_unsent, may_be_lost, next_shard, reap
from tests.factories import LEASE, a_job, a_resolved
from worker.queue import make_celery, send
from worker.recall import Recall


@pytest.fixture
def shards(db: Database) -> list[str]:
    """Make a job of ten shards."""
    resolved = a_resolved(plan={"name": "bagging", "members": 10})
    return create_job(db, resolved, [[fit] for fit in resolved.fits]).shard_ids


def _due(db: Database, workers: int = 0) -> list[str]:
    return [shard.shard_id for shard in due(db, workers=workers, grace_seconds=-1)]


def test_of_one_job_only_so_many_shards_are_sent_at_a_time(db: Database, shards: list[str]) -> None:
    assert _due(db) == shards[:MOST_IN_FLIGHT]
    assert _due(db, workers=4) == shards[:4]
    mark_sent(db, shards[:2])
    assert _due(db) == []
    assert _due(db, workers=4) == shards[2:4]
    assert in_flight(0) == MOST_IN_FLIGHT


def test_what_was_handed_back_before_its_sending_was_noted_is_sent_again(db: Database) -> None:
    waiting, claimed = (a_job(db).shard_ids[0] for _ in range(2))
    held = claim(db, claimed, "worker/1", LEASE)
    assert held is not None
    release(db, held)
    mark_sent(db, [waiting, claimed], only_unclaimed=True)
    assert _due(db) == [claimed]


def test_every_job_has_a_turn(db: Database, shards: list[str]) -> None:
    resolved = a_resolved()
    other = create_job(db, resolved).shard_ids
    assert _due(db) == [*shards[:2], *other]


def test_a_shard_that_ended_lets_the_next_be_sent_once(db: Database, shards: list[str]) -> None:
    mark_sent(db, shards[:2])
    held = claim(db, shards[0], "worker/1", LEASE)
    assert held is not None
    assert _due(db) == []
    for shard in shards[2:]:
        assert next_shard(db, held.job_id) == next_shard(db, held.job_id) == shard
        mark_sent(db, [shard])
    assert next_shard(db, held.job_id) is None
    mark_unsent(db, shards[5])
    assert next_shard(db, held.job_id) == shards[5]


def test_fits_of_a_kind_are_cut_into_even_shards_for_all_workers() -> None:
    resolved = a_resolved(plan={"name": "bagging", "members": 10}, network={"name": "mlp", "hidden_units": [8]})
    assert [len(shard) for shard in shards_of(resolved.fits, resolved.info, 1)] == [10]
    assert [len(shard) for shard in shards_of(resolved.fits, resolved.info, 3)] == [3, 4, 3]
    assert [fit.number for shard in shards_of(resolved.fits, resolved.info, 4) for fit in shard] == list(range(1, 11))


def test_fits_of_different_structures_never_share_a_shard() -> None:
    variants = [
        {"label": "sgd", "set": {"/optimizer": {"name": "sgd"}}},
        {"label": "adam", "set": {}},
        {"label": "slow", "set": {"/optimizer/learning_rate": 1e-4}},
    ]
    resolved = a_resolved(plan={"name": "comparison", "variants": variants}, network={"name": "mlp", "hidden_units": [8]})
    assert [[fit.label for fit in shard] for shard in shards_of(resolved.fits, resolved.info, 1)] == [["sgd"], ["adam", "slow"]]


def test_convolutions_train_one_by_one() -> None:
    resolved = a_resolved(dataset="digits", plan={"name": "bagging", "members": 3}, network={"name": "cnn"})
    assert [len(shard) for shard in shards_of(resolved.fits, resolved.info, 1)] == [1, 1, 1]


def test_a_job_of_many_shards_does_not_hide_the_shards_of_others(db: Database) -> None:
    many = a_resolved(plan={"name": "bagging", "members": 40})
    first = create_job(db, many, [[fit] for fit in many.fits]).shard_ids
    other = create_job(db, a_resolved()).shard_ids
    assert _due(db, workers=3) == [*first[:3], *other]
    mark_sent(db, first[:3])
    assert _due(db, workers=3) == other


def test_resamples_of_many_rows_do_not_fill_the_memory_of_one_worker() -> None:
    resolved = a_resolved(plan={"name": "bagging", "members": 10}, network={"name": "mlp", "hidden_units": [8]})
    many = [replace(fit, num_rows={"train": 10**7, "val": 0, "test": 0}, input_shape=(20,)) for fit in resolved.fits]
    assert [len(shard) for shard in shards_of(many, resolved.info, 1)] == [2] * 5
    alike = [replace(fit, row_hash="the same") for fit in many]
    assert [len(shard) for shard in shards_of(alike, resolved.info, 1)] == [10]


def test_what_was_begun_is_sent_before_what_waits_and_no_round_is_endless(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "MOST_DUE", 3)
    waiting = [a_job(db) for _ in range(4)]
    begun = a_job(db)
    assert claim(db, begun.shard_ids[0], "worker/1", -1) is not None
    assert _due(db) == [*begun.shard_ids, *waiting[0].shard_ids, *waiting[1].shard_ids]


def test_a_sweep_reads_no_table_from_end_to_end(sqlite_db: Database) -> None:
    a_job(sqlite_db)
    plans: list[str] = []

    def explain(connection: Any, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith("SELECT"):
            cursor = connection.connection.cursor()
            plans.extend(row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall())

    event.listen(sqlite_db.engine, "before_cursor_execute", explain)
    due(sqlite_db)
    reap(sqlite_db)
    num_queued(sqlite_db)
    assert any("ix_shards_status_sent_at (status=? AND sent_at" in plan for plan in plans)
    assert [plan for plan in plans if plan in {"SCAN shards", "SCAN jobs"}] == []
    assert not any("shards USING INDEX ix_shards_status_lease_expires_at (status=?)" in plan for plan in plans)


def test_who_waits_too_long_for_a_connection_is_told_that_the_database_is_busy(db: Database) -> None:
    engine = create_engine(db.engine.url.render_as_string(hide_password=False))
    small = Database(engine)
    engine.pool._timeout = 0.05  # type: ignore[attr-defined]
    with contextlib.ExitStack() as held:
        for _ in range(engine.pool.size()):  # type: ignore[attr-defined]
            held.enter_context(engine.connect())
        with pytest.raises(DatabaseUnavailable), small.read():
            pass
    with small.read() as connection:
        assert connection.scalar(select(1)) == 1
    small.dispose()


def test_thousands_that_wait_for_long_are_not_sent_again_and_again(db: Database) -> None:
    """The broker holds their messages: only where it holds fewer are they sent once more."""
    waiting = [a_job(db).shard_ids[0] for _ in range(3)]
    assert not may_be_lost(db, 0)
    mark_sent(db, waiting)
    assert not may_be_lost(db, 0)  # they were sent a moment ago
    assert may_be_lost(db, 2, resend_seconds=-1)
    assert not may_be_lost(db, 3, resend_seconds=-1)
    assert claim(db, waiting[0], "worker/1", LEASE) is not None
    assert not may_be_lost(db, 2, resend_seconds=-1)
    assert due(db, resend_seconds=-1, is_short=False) == []
    assert due(db, resend_seconds=-1, is_short=False, lost_seconds=-1, empty_queues=frozenset([GPU_QUEUE])) == []
    lost = due(db, resend_seconds=3600, is_short=False, lost_seconds=-1, empty_queues=frozenset([CPU_QUEUE]))
    assert [shard.shard_id for shard in lost] == waiting[1:]
    assert [shard.shard_id for shard in due(db, resend_seconds=-1)] == waiting[1:]


def test_the_broker_says_how_many_messages_it_holds(broker: Broker) -> None:
    recall, celery = Recall(broker.url), make_celery(broker.url)
    before = recall.look().num_messages
    for _ in range(3):
        send(celery, "shard_of_nobody", "cpu")
    assert recall.look().num_messages == before + 3
    with celery.connection_for_read() as connection:
        message = connection.SimpleQueue(CPU_QUEUE).get(timeout=10)
        assert recall.look().num_messages == before + 3  # handed out, and not acknowledged
        message.ack()
        assert recall.look().num_messages == before + 2
        connection.SimpleQueue(CPU_QUEUE).clear()

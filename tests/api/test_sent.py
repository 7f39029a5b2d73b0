"""Noting that shards were sent, after the answer."""

import time

import pytest
from sqlalchemy import event, select

from api.sent import Sent
from store.engine import Database
from store.tables import ShardRow
from tests.factories import a_job


def test_shards_of_many_requests_are_noted_in_one_transaction(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.sent._TOGETHER_SECONDS", 60.0)
    shards = [a_job(db).shard_ids[0] for _ in range(3)]
    begun: list[object] = []

    def note(connection: object) -> None:
        begun.append(connection)

    event.listen(db.engine, "begin", note)
    sent = Sent(db)
    for shard in shards:
        sent.add(shard)
    sent.write()
    event.remove(db.engine, "begin", note)
    assert len(begun) == 1
    with db.read() as connection:
        assert None not in connection.scalars(select(ShardRow.sent_at)).all()


def test_a_shard_is_noted_though_nobody_asks(db: Database) -> None:
    sent = Sent(db)
    sent.add(a_job(db).shard_ids[0])
    give_up_at = time.monotonic() + 20
    while True:
        with db.read() as connection:
            if connection.scalar(select(ShardRow.sent_at)) is not None:
                return
        assert time.monotonic() < give_up_at
        time.sleep(0.02)

"""The embedded queue's server."""

import json
import stat
from pathlib import Path

import pytest
import redis

from cli.broker import BrokerFailed, start_broker


def test_it_asks_for_its_password_and_hides_it(tmp_path: Path) -> None:
    """B126: nobody else on the machine can put messages in."""
    broker = start_broker(tmp_path / "queue", tmp_path / "log")
    try:
        assert broker.answers()
        with redis.Redis(port=broker.port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        for name in ("broker.json", "valkey.conf"):
            assert stat.S_IMODE((tmp_path / "queue" / name).stat().st_mode) == 0o600
        with redis.Redis.from_url(broker.url) as client:
            assert client.config_get("appendonly") == {"appendonly": "yes"}
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    finally:
        broker.stop()
    assert not broker.is_running


def test_one_left_over_is_used_again_and_what_it_held_survives(tmp_path: Path) -> None:
    first = start_broker(tmp_path / "queue", tmp_path / "log")
    again = start_broker(tmp_path / "queue", tmp_path / "log")
    assert (again.port, again.process) == (first.port, None)
    with redis.Redis.from_url(first.url) as client:
        client.lpush("jobs", "1")
    assert first.process is not None
    first.process.kill()
    first.process.wait()
    assert not again.is_running
    third = start_broker(tmp_path / "queue", tmp_path / "log")
    try:
        with redis.Redis.from_url(third.url) as client:
            assert client.lrange("jobs", 0, -1) == [b"1"]
    finally:
        third.stop()


def test_a_note_that_makes_no_sense_is_ignored(tmp_path: Path) -> None:
    folder = tmp_path / "queue"
    folder.mkdir()
    (folder / "broker.json").write_text(json.dumps({"port": "x"}))
    broker = start_broker(folder, tmp_path / "log")
    broker.stop()


def test_a_server_that_cannot_start_says_where_to_look(tmp_path: Path) -> None:
    broker = start_broker(tmp_path / "queue", tmp_path / "log")
    try:
        twin = start_broker(tmp_path / "twin", tmp_path / "twin.log")
        twin.stop()
        twin.port = broker.port
        with pytest.raises(BrokerFailed, match=r"twin\.log"):
            twin.start()
    finally:
        broker.stop()

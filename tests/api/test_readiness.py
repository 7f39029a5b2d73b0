"""`/readyz` tells the truth, soon, whatever hangs; `/metrics` answers without the database."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection, event, text

from api import readiness
from api.app import create_app
from api.settings import ApiSettings
from cli.broker import Broker, start_broker
from store.engine import Database, create_engine
from store.facts import EndedJobs, ended_jobs, service_facts
from store.migrate import downgrade, upgrade
from store.workers import beat, live, sweeper_id
from tests.api.conftest import NOWHERE, StrictClient, settings_for
from tests.factories import a_diverged_job, a_job, a_succeeded_job
from tests.system import fresh_database

_SOON = 8.0
"""What hangs would hang for ever: the service answers within two seconds, and a busy machine is no fault."""


@contextmanager
def _asked(settings: ApiSettings) -> Iterator[StrictClient]:
    with StrictClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


def _checks(client: StrictClient) -> dict[str, str]:
    began = time.monotonic()
    found: dict[str, str] = client.get("/readyz").json()["checks"]
    assert time.monotonic() - began < _SOON
    return found


def _measured(client: StrictClient) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """Start a queue's server that a test may ill-treat."""
    found = start_broker(tmp_path / "queue", tmp_path / "queue.log")
    yield found
    found.stop()


def test_everything_in_order_is_ready(sqlite_db: Database, tmp_path: Path, own_broker: Broker) -> None:
    settings = settings_for(sqlite_db, tmp_path).model_copy(update={"broker_url": own_broker.url})
    beat(sqlite_db, "w/1", ["cpu"], {})
    with _asked(settings) as client:
        answer = client.get("/readyz")
        found = answer.json()
        assert (answer.status_code, found["status"]) == (200, "ready"), found
        assert set(found["checks"]) == {"database", "broker", "artifacts", "worker"}
        assert (found["workers"], found["workers_by_device"]) == (1, {"cpu": 1, "cuda": 0})
        assert set(found["warnings"]) == {"sweeper"}
        beat(sqlite_db, sweeper_id("host.1"), [], {}, {"rounds": 3})
        found = client.get("/readyz").json()
        assert (found["warnings"], found["workers"]) == ({}, 1)
        assert [worker.id for worker in live(sqlite_db)] == ["w/1"]
        a_job(sqlite_db, device="cuda")
        assert set(client.get("/readyz").json()["warnings"]) == {"devices"}
    assert list((tmp_path / "artifacts").rglob("*.probe")) == []


def test_a_broker_that_answers_pings_and_takes_no_job_is_not_ready(sqlite_db: Database, tmp_path: Path, own_broker: Broker) -> None:
    """B102: full, a copy of another, another password, hanging."""
    settings = settings_for(sqlite_db, tmp_path).model_copy(update={"broker_url": own_broker.url})
    with _asked(settings) as client, redis.Redis.from_url(own_broker.url) as admin:
        assert _checks(client)["broker"] == "ok"
        admin.config_set("maxmemory", "1")
        assert admin.ping()
        assert "full" in _checks(client)["broker"]
        admin.config_set("maxmemory", "0")
        admin.replicaof("127.0.0.1", 1)
        assert admin.ping()
        assert "no writes" in _checks(client)["broker"]
        admin.replicaof("no", "one")
        admin.config_set("requirepass", "another")
        assert "refuses" in _checks(client)["broker"]
        admin.config_set("requirepass", own_broker.password)
        assert own_broker.process is not None
        os.kill(own_broker.process.pid, signal.SIGSTOP)
        try:
            assert _checks(client)["broker"] != "ok"
            assert client.get("/healthz").status_code == 200
        finally:
            os.kill(own_broker.process.pid, signal.SIGCONT)
        assert _checks(client)["broker"] == "ok"


def test_a_database_that_hangs_holds_nobody_and_gathers_no_threads(tmp_path: Path) -> None:
    """A server that takes connections and never speaks: `/readyz`, `/metrics` and `/healthz` answer all the same."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(100)
        url = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/x"
        with _asked(ApiSettings(home=tmp_path, database_url=url, broker_url=NOWHERE)) as client:
            assert "no answer" in _checks(client)["database"]
            for _ in range(3):
                _checks(client)
            assert len([one for one in threading.enumerate() if one.name == "check-database"]) <= 1
            assert _measured(client)["holdout_up", frozenset({("component", "database")})] == 0
            assert client.get("/healthz").status_code == 200


def test_a_database_of_another_schema_is_told_apart(sqlite_db: Database, tmp_path: Path) -> None:
    """One that was not migrated is not ready; one that a newer release migrated is, with a warning: releases are exchanged one by one."""
    settings = settings_for(sqlite_db, tmp_path)
    with _asked(settings) as client:
        assert _checks(client)["database"] == "ok"
        with sqlite_db.write() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        found = client.get("/readyz").json()
        assert (found["checks"]["database"], set(found["warnings"])) == ("ok", {"database", "sweeper"})
        with sqlite_db.write() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0003'")
        assert "holdout migrate" in _checks(client)["database"]
    with _asked(ApiSettings(home=tmp_path / "empty", broker_url=NOWHERE)) as client:
        assert "holdout migrate" in _checks(client)["database"]


def test_a_postgresql_that_is_behind_or_takes_no_writes_is_not_ready(postgres_url: str, tmp_path: Path) -> None:
    url = fresh_database(postgres_url, "readiness")
    upgrade(url)
    settings = ApiSettings(home=tmp_path, database_url=url, broker_url=NOWHERE)
    with _asked(settings) as client:
        assert _checks(client)["database"] == "ok"
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(text("ALTER DATABASE readiness SET default_transaction_read_only = on"))
        connection.commit()
    with _asked(settings) as client:
        assert _checks(client)["database"] == "the database takes no writes"
    with engine.connect() as connection:
        connection.execute(text("ALTER DATABASE readiness RESET default_transaction_read_only"))
        connection.commit()
    engine.dispose()
    downgrade(url, "0003")
    with _asked(settings) as client:
        assert "holdout migrate" in _checks(client)["database"]


def test_artifacts_that_cannot_be_written_are_not_ready(sqlite_db: Database, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = settings_for(sqlite_db, tmp_path, artifacts_url=f"file://{tmp_path}/file/artifacts")
    with _asked(settings) as client:
        assert _checks(client)["artifacts"] == "the artifacts cannot be written (NotADirectoryError)"
        (tmp_path / "file").unlink()
        assert _checks(client)["artifacts"] == "ok"


def test_metrics_tell_what_jobs_workers_and_sweepers_did(db: Database, tmp_path: Path) -> None:
    a_job(db)
    a_job(db, device="cuda")
    a_succeeded_job(db)
    a_diverged_job(db)
    epochs: dict[str, float] = {"epochs": 3, "epoch_seconds": 0.4, "epochs_within:0.01": 1, "epochs_within:0.3": 2}
    beat(db, "w/1", ["cpu"], {}, {"fits:finished": 2, "fits:diverged": 1, "lease_losses": 1, "handed_back": 4, **epochs})
    beat(db, "w/2", ["cpu", "cuda"], {})
    beat(db, sweeper_id("h.1"), [], {}, {"rounds": 7, "sent": 2})
    with _asked(settings_for(db, tmp_path)) as client:
        client.get("/v1/jobs/job_1")
        client.get("/nope")
        client.request("BREW", "/healthz")
        with client.app.state.resources.nudges.listen("job_1"):  # type: ignore[attr-defined]
            found = _measured(client)
    expected: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {
        ("holdout_jobs", (("status", "queued"),)): 2,
        ("holdout_jobs", (("status", "succeeded"),)): 1,
        ("holdout_jobs", (("status", "paused"),)): 0,
        ("holdout_queued_jobs", (("device", "cuda"),)): 1,
        ("holdout_failed_jobs", (("kind", "diverged"),)): 1,
        ("holdout_failed_jobs", (("kind", "out_of_memory"),)): 0,
        ("holdout_workers", ()): 2,
        ("holdout_training_workers", (("device", "cpu"),)): 2,
        ("holdout_sweepers", ()): 1,
        ("holdout_fits_ended_total", (("process", "w/1"), ("status", "finished"))): 2,
        ("holdout_lease_losses_total", (("process", "w/1"),)): 1,
        ("holdout_shards_handed_back_total", (("process", "w/1"),)): 4,
        ("holdout_epoch_seconds_count", (("process", "w/1"),)): 3,
        ("holdout_epoch_seconds_sum", (("process", "w/1"),)): 0.4,
        ("holdout_epoch_seconds_bucket", (("process", "w/1"), ("le", "0.1"))): 1,
        ("holdout_epoch_seconds_bucket", (("process", "w/1"), ("le", "0.3"))): 3,
        ("holdout_sweeper_sent_total", (("process", "sweeper:h.1"),)): 2,
        ("holdout_up", (("component", "database"),)): 1,
        ("holdout_up", (("component", "broker"),)): 0,
        ("holdout_up", (("component", "sweeper"),)): 1,
        ("holdout_event_streams", ()): 1,
        ("holdout_api_requests_total", (("method", "GET"), ("route", "/v1/jobs/{job_id}"), ("status", "404"))): 1,
        ("holdout_api_requests_total", (("method", "GET"), ("route", "unknown"), ("status", "404"))): 1,
        ("holdout_api_request_seconds_count", (("method", "GET"), ("route", "/v1/jobs/{job_id}"))): 1,
    }
    assert {key: found.get((key[0], frozenset(key[1]))) for key in expected} == expected
    assert found["holdout_oldest_queued_seconds", frozenset()] >= 0
    assert {value for (_, labels) in found for name, value in labels if name == "method"} <= {"GET", "OTHER"}


def test_metrics_without_a_database_are_those_of_the_process(tmp_path: Path) -> None:
    gone = ApiSettings(home=tmp_path, database_url="postgresql://nobody@127.0.0.1:1/x", broker_url=NOWHERE)
    with _asked(gone) as client:
        client.get("/v1/jobs")
        found = _measured(client)
        assert found["holdout_up", frozenset({("component", "database")})] == 0
        labels = frozenset({("method", "GET"), ("route", "unknown"), ("status", "503")})
        assert found["holdout_api_requests_total", labels] == 1
        assert ("holdout_up", frozenset({("component", "worker")})) not in found
        assert not any(name.startswith("holdout_jobs") for name, _ in found)


def test_what_is_measured_is_read_from_indexes(db: Database) -> None:
    """However many epochs and jobs there are: no table that grows is read from end to end."""
    a_succeeded_job(db)
    a_job(db)
    ran: list[tuple[str, Any]] = []

    def note(_c: Connection, _cursor: object, statement: str, parameters: Any, _x: object, _many: bool) -> None:
        ran.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    service_facts(db)
    ended_jobs(db)
    event.remove(db.engine, "before_cursor_execute", note)
    statements = [(statement, parameters) for statement, parameters in ran if " jobs" in statement]
    assert len(statements) == 5
    assert not any("epochs" in statement or "fits" in statement or "events" in statement for statement, _ in ran)
    is_sqlite = db.engine.dialect.name == "sqlite"
    with db.read() as connection:
        if not is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # a few rows are read faster without an index
        for statement, parameters in statements:
            plan = connection.exec_driver_sql(f"EXPLAIN {'QUERY PLAN ' if is_sqlite else ''}{statement}", parameters)
            steps = " ".join(str(row) for row in plan)
            assert "ix_jobs_" in steps, steps
            assert "Seq Scan" not in steps, steps


def test_ended_jobs_that_take_long_to_count_hold_nobody_up(sqlite_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of millions: readiness does not ask for them, and metrics have the last count until there is another."""
    slow, real, began = threading.Event(), ended_jobs, list[int]()

    def count(db: Database) -> EndedJobs:
        began.append(len(began))
        if len(began) > 1:
            slow.wait(30)
        return real(db)

    monkeypatch.setattr(readiness, "ended_jobs", count)
    monkeypatch.setattr(readiness, "_ENDED_REST", 0.0)
    a_diverged_job(sqlite_db)
    settings = ApiSettings(home=tmp_path, database_url=str(sqlite_db.engine.url), broker_url=NOWHERE)
    with _asked(settings) as client:
        failed = ("holdout_jobs", frozenset({("status", "failed")}))
        assert _measured(client)[failed] == 1
        a_diverged_job(sqlite_db)
        assert _measured(client)[failed] == 1
        assert client.get("/readyz").json()["checks"]["database"] == "ok"
        assert len(began) == 2
        slow.set()
        give_up_at = time.monotonic() + 30
        while _measured(client)[failed] != 2:
            assert time.monotonic() < give_up_at
        assert ("holdout_failed_jobs", frozenset({("kind", "diverged")})) in _measured(client)

"""Processes die; nothing is lost."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from cli.service import Service
from tests.system import Client, fresh_database, started, without_clock, worker_of

EPOCHS = 200
SPEC = {
    "network": {"name": "mlp", "hidden_units": [64], "dropout": 0.2, "normalization": {"name": "batch_norm"}},
    "training": {"max_epochs": EPOCHS},
}


@contextmanager
def _system(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    url = fresh_database(request.getfixturevalue("postgres_url"), "losses") if kind == "postgresql" else ""
    with pytest.MonkeyPatch.context() as monkeypatch, started(tmp_path / "home", monkeypatch, url) as service:
        yield service


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_killed_worker_costs_time_and_nothing_else(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """B009, B010, B081: SIGKILL of the child, then of the whole worker: rows 0 ... n once each, and the undisturbed curve."""
    with _system(kind, tmp_path, request) as service, Client(service.url) as client:
        undisturbed = client.run(**SPEC)[1]
        job = client.submit(**SPEC)
        client.until_epoch(job["id"], 5)
        os.kill(worker_of(service, job["id"]), signal.SIGKILL)
        time.sleep(0.5)
        client.until_epoch(job["id"], 5)
        worker = service.processes[0]
        assert worker.popen is not None
        for process in [*psutil.Process(worker.popen.pid).children(), psutil.Process(worker.popen.pid)]:
            process.kill()
        client.until(job["id"], "succeeded")
        assert without_clock(client.curve(job["id"])) == undisturbed
        assert undisturbed["epoch"] == list(range(EPOCHS + 1))


def test_a_worker_asked_to_stop_hands_its_shard_back(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with _system("sqlite", tmp_path, request) as service, Client(service.url) as client:
        undisturbed = client.run(**SPEC)[1]
        job = client.submit(**SPEC)
        client.until_epoch(job["id"], 5)
        worker = service.processes[0]
        assert worker.popen is not None
        worker.popen.terminate()
        client.until(job["id"], "succeeded")
        assert without_clock(client.curve(job["id"])) == undisturbed
        assert "shard_handed_back" in worker.log.read_text()


def test_without_the_broker_jobs_are_accepted_and_run_once_it_is_back(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """B047, B102: 201 within two seconds, `/readyz` says what is wrong, and the sweeper sends later."""
    with _system("sqlite", tmp_path, request) as service, Client(service.url) as client:
        client.run("iris", training={"max_epochs": 1})
        service.keeps_broker = False
        service.broker.stop()
        began = time.monotonic()
        jobs = [client.submit("iris", training={"max_epochs": 2})]
        assert time.monotonic() - began < 2
        jobs.append(client.submit("iris", training={"max_epochs": 2}))
        assert time.monotonic() - began < 4
        ready = client.http.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["checks"]["broker"] != "ok"
        time.sleep(1.5)
        assert [client.job(job["id"])["status"] for job in jobs] == ["queued", "queued"]
        service.broker.start()
        for job in jobs:
            client.until(job["id"], "succeeded")
            assert client.curve(job["id"])["epoch"] == [0, 1, 2]


def test_a_cancelled_job_of_a_dead_worker_ends_cancelled(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """B008, B009."""
    with _system("sqlite", tmp_path, request) as service, Client(service.url) as client:
        job = client.submit(training={"max_epochs": 10_000})
        client.until_epoch(job["id"], 2)
        child = psutil.Process(worker_of(service, job["id"]))
        child.suspend()
        client.request("POST", f"/v1/jobs/{job['id']}/cancel")
        child.kill()
        client.until(job["id"], "cancelled")


def test_every_process_is_started_again(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with _system("sqlite", tmp_path, request) as service, Client(service.url) as client:
        assert service.broker.process is not None
        service.broker.process.kill()
        for process in service.processes:
            assert process.popen is not None
            process.popen.kill()
        give_up_at = time.monotonic() + 60
        while True:
            try:
                if client.http.get("/readyz").status_code == 200:
                    break
            except Exception:  # noqa: BLE001  it is coming back
                pass
            assert time.monotonic() < give_up_at
            time.sleep(0.2)
        assert client.run("iris", training={"max_epochs": 1})[0]["status"] == "succeeded"

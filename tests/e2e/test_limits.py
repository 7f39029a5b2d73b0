"""A real worker at its limits: of memory, of time to stop, and beside a broker that hangs."""

import signal
import time
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select

from store.tables import ShardRow
from tests.system import Client, started, worker_of

LARGE = {"network": {"name": "mlp", "hidden_units": [4000, 4000]}, "training": {"max_epochs": 3}}
SLOW = {"network": {"name": "mlp", "hidden_units": [2000, 2000, 2000]}, "training": {"max_epochs": 50, "batch_size": 1}}


def test_a_job_beyond_its_memory_fails_and_the_child_trains_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDOUT_MAX_MEMORY_BYTES", "150000000")
    with started(tmp_path / "home", monkeypatch) as service, Client(service.url) as client:
        small, _ = client.run("iris", training={"max_epochs": 1})
        large = client.until(client.submit(**LARGE)["id"], "failed")
        assert large["failure"]["kind"] == "out_of_memory", large["failure"]
        again, _ = client.run("iris", training={"max_epochs": 1})
        assert worker_of(service, small["id"]) == worker_of(service, again["id"])


def test_a_worker_in_a_long_epoch_is_gone_soon_after_it_was_asked_and_its_shard_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B009: the epoch is cut off, which counts as no attempt."""
    monkeypatch.setenv("HOLDOUT_STOP_SECONDS", "1")
    with started(tmp_path / "home", monkeypatch) as service, Client(service.url) as client:
        job = client.submit(**SLOW)
        client.until(job["id"], "running")
        while not client.curve(job["id"])["epoch"]:  # epoch 0 is short: no step is taken
            time.sleep(0.05)
        time.sleep(1)
        process = service.processes[0]
        assert process.popen is not None
        family = [psutil.Process(process.popen.pid), *psutil.Process(process.popen.pid).children(recursive=True)]
        began = time.monotonic()
        process.popen.terminate()
        _, left = psutil.wait_procs(family, timeout=15)
        assert left == []
        assert time.monotonic() - began < 15
        assert "left_at_work" in process.log.read_text()
        with service.database.read() as connection:
            shard = connection.execute(select(ShardRow.attempt, ShardRow.idle_attempts).where(ShardRow.job_id == job["id"])).one()
        assert shard.idle_attempts <= shard.attempt - 1
        assert client.job(job["id"])["status"] == "running"
        client.request("POST", f"/v1/jobs/{job['id']}/cancel")
        client.until(job["id"], "cancelled")


def test_beside_a_broker_that_hangs_jobs_are_accepted_within_two_seconds_and_run_once_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B102."""
    with started(tmp_path / "home", monkeypatch) as service, Client(service.url) as client:
        client.run("iris", training={"max_epochs": 1})
        assert service.broker.process is not None
        service.broker.process.send_signal(signal.SIGSTOP)
        jobs, took = [], []
        try:
            for _ in range(4):
                began = time.monotonic()
                jobs.append(client.submit("iris", training={"max_epochs": 1}))
                took.append(time.monotonic() - began)
                time.sleep(0.7)
        finally:
            service.broker.process.send_signal(signal.SIGCONT)
        assert max(took) < 2, took
        for job in jobs:
            client.until(job["id"], "succeeded")

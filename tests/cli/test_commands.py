"""The command `holdout`, as a person meets it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from rich.console import Console

import cli.demo
from cli.service import Service
from tests.system import free_port


def _holdout(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli.main", *arguments]
    return subprocess.run(
        command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=240
    )


def test_migrate_makes_the_database_and_may_be_run_again(tmp_path: Path) -> None:
    for _ in range(2):
        done = _holdout("migrate", HOLDOUT_HOME=str(tmp_path))
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "holdout.db").exists()


def test_a_taken_port_is_a_sentence_and_not_a_trace(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = _holdout("up", HOLDOUT_HOME=str(tmp_path), HOLDOUT_PORT=port)
    assert done.returncode == 1
    assert f"port {port} is taken" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_home_in_use_is_refused(service: Service) -> None:
    done = _holdout("up", HOLDOUT_HOME=str(service.home), HOLDOUT_PORT=str(free_port()))
    assert done.returncode == 1
    assert "another holdout already runs" in done.stdout.replace("\n", " ")


def test_a_demo_with_a_failed_job_does_not_exit_with_zero(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    bad: dict[str, Any] = {
        "name": "bad",
        "dataset": "diabetes",
        "optimizer": {"name": "sgd", "learning_rate": 1e20},
        "network": {"name": "mlp", "hidden_units": []},
    }
    monkeypatch.setattr(cli.demo, "JOBS", (bad,))
    assert cli.demo.run_demo(Console(quiet=True), service.url, service.home) == 1


def test_a_refused_job_is_explained(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.demo, "JOBS", ({"name": "bad", "dataset": "nope"},))
    with pytest.raises(cli.demo.JobFailed, match="no dataset has this id"):
        cli.demo.run_demo(Console(quiet=True), service.url, service.home)


def test_the_demo_without_a_terminal_ends_with_zero_and_leaves_nothing_running(tmp_path: Path) -> None:
    port = free_port()
    done = _holdout("demo", HOLDOUT_HOME=str(tmp_path), HOLDOUT_PORT=str(port))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(f"http://127.0.0.1:{port}/ui/jobs/job_") == 3
    assert f"http://127.0.0.1:{port}/docs" in done.stdout
    assert len(list(tmp_path.glob("*.png"))) == 3
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"http://127.0.0.1:{port}/healthz")
    assert max(len(line) for line in done.stdout.splitlines() if "http" not in line and "saved" not in line) <= 80


def _up(home: Path, port: int) -> subprocess.Popen[str]:
    """Start `holdout up` and wait until it serves and says so: an API left over from before may answer earlier."""
    environment = {**os.environ, "HOLDOUT_HOME": str(home), "HOLDOUT_PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "up"], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = process.stdout.readline()  # the test's own time limit ends what never comes
    assert f"serves at http://127.0.0.1:{port}" in said
    assert httpx2.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    return process


def _stopped(process: subprocess.Popen[str], number: signal.Signals) -> str:
    time.sleep(0.5)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    return output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_serves_until_it_is_asked_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    assert "stopping" in _stopped(_up(tmp_path, free_port()), number)


def test_a_supervisor_that_was_killed_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    """SIGKILL of everything's parent: the next `holdout up` on the same home and port comes up and ends the job."""
    port = free_port()
    killed = _up(tmp_path, port)
    job = httpx2.post(
        f"http://127.0.0.1:{port}/v1/jobs", json={"dataset": "iris", "training": {"max_epochs": 3000, "batch_size": "full"}}
    ).json()
    killed.kill()
    killed.communicate()
    process = _up(tmp_path, port)
    status, give_up_at = "", time.monotonic() + 90
    while status != "succeeded":
        assert time.monotonic() < give_up_at, status
        with contextlib.suppress(httpx2.HTTPError):  # the API left over answers until its successor ends it
            status = httpx2.get(f"http://127.0.0.1:{port}/v1/jobs/{job['id']}").json()["status"]
            assert status in {"queued", "running", "succeeded"}
        time.sleep(0.2)
    _stopped(process, signal.SIGTERM)

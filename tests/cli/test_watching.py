"""What is said of a job that is watched and does not go on, or cannot be seen: what becomes of it, and what to do."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
import typer

import holdout.retries
from cli.remote import told
from cli.watching import watch_job
from holdout import Client

RUNNING = {"id": "job_1", "name": None, "status": "running", "phase": "epoch 2", "progress": 0.5, "version": 3, "num_fits": 1}


@pytest.fixture(autouse=True)
def _time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time go on by pauses alone."""
    pauses: list[float] = []
    monkeypatch.setattr("holdout.wire.time.sleep", pauses.append)
    monkeypatch.setattr(holdout.retries.time, "monotonic", lambda: 1000.0 + sum(pauses))


def _watched(answers: Callable[[int], httpx2.Response], timeout: float | None = None) -> int:
    """Watch the job that a service gives as its n-th answer; give the exit code."""
    count = iter(range(10**6))

    def service(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/curves"):
            return httpx2.Response(200, json={"fits": [], "version": 3, "sampled": False})
        return answers(next(count))

    with Client("http://imagined", transport=httpx2.MockTransport(service)) as client:
        job = client.jobs.get("job_1")
        with pytest.raises(typer.Exit) as ended, told(None, "job job_1"):
            watch_job(client, job, timeout=timeout, as_json=False)
    return int(ended.value.exit_code)


def _job(**fields: Any) -> httpx2.Response:
    return httpx2.Response(200, json={**RUNNING, **fields})


def test_a_paused_job_is_said_to_wait_for_its_resumption(capsys: pytest.CaptureFixture[str]) -> None:
    assert _watched(lambda count: _job(status="paused", version=count), timeout=100) == 5
    told = capsys.readouterr().err
    assert told.count("paused: holdout jobs resume job_1 lets it go on\n") == 1
    assert "error: job job_1 is paused, and does not go on by itself\n  do: holdout jobs resume job_1 lets it go on; holdout watch" in told
    assert "it goes on\n" not in told


def test_a_job_about_to_pause_is_told_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    assert _watched(lambda _: _job(pause_requested_at="2026-01-31T12:00:00Z"), timeout=10) == 5
    assert "error: job job_1 is about to pause, and does not go on by itself" in capsys.readouterr().err


@pytest.mark.parametrize(
    "away", [httpx2.Response(503, json={"code": "database_unavailable"}), httpx2.Response(401, json={"code": "no"}), None]
)
def test_who_can_no_longer_see_a_job_is_told_how_to_come_back(capsys: pytest.CaptureFixture[str], away: httpx2.Response | None) -> None:
    def answers(count: int) -> httpx2.Response:
        if count > 3:
            if away is None:
                raise httpx2.ConnectError("refused")
            return httpx2.Response(away.status_code, content=away.content)
        return _job(version=count)

    assert _watched(answers) in {1, 4}
    told = capsys.readouterr().err
    assert "no longer watched; job job_1 goes on by itself\n  holdout watch job_1        takes it up again\n" in told
    assert told.count("error: ") == 1


def test_a_job_that_is_gone_does_not_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    gone = httpx2.Response(404, content=json.dumps({"code": "not_found"}))
    assert _watched(lambda count: gone if count > 3 else _job(version=count)) == 1
    told = capsys.readouterr().err
    assert "there is no job job_1" in told
    assert "goes on" not in told


def test_who_leaves_a_paused_job_is_not_told_that_it_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    def answers(count: int) -> httpx2.Response:
        if count > 3:
            raise KeyboardInterrupt
        return _job(status="paused", version=count)

    assert _watched(answers) == 130
    told = capsys.readouterr().err
    assert "detached; job job_1 is paused\n  holdout jobs resume job_1  lets it go on\n" in told

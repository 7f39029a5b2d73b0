"""The whole system, as `holdout up` runs it: real API, real queue, real worker process."""

import json
import socket
import time
from pathlib import Path
from typing import Any, Self

import httpx2
import pytest
from sqlalchemy import select, text
from sqlalchemy.engine import make_url

from cli.service import Service, running
from store.engine import create_engine
from store.tables import ShardRow
from tests.factories import no_constant

LEASE_SECONDS = "3"


class Client:
    """A strict client: every JSON it reads must be JSON, and no answer may be a 5xx."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self.http = httpx2.Client(base_url=url, timeout=30, headers=None if key is None else {"Authorization": f"Bearer {key}"})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        answer = self.http.request(method, path, **options)
        assert answer.status_code < 500, answer.text
        if "json" in answer.headers.get("content-type", ""):
            json.loads(answer.content, parse_constant=no_constant)
        return answer

    def get(self, path: str, **options: Any) -> Any:
        answer = self.request("GET", path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def submit(self, dataset: str = "digits", **fields: Any) -> dict[str, Any]:
        answer = self.request("POST", "/v1/jobs", json={"dataset": dataset, "seed": 0, **fields})
        assert answer.status_code == 201, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def job(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = self.get(f"/v1/jobs/{job_id}")
        return job

    def until(self, job_id: str, *statuses: str, seconds: float = 120) -> dict[str, Any]:
        give_up_at = time.monotonic() + seconds
        while (job := self.job(job_id))["status"] not in statuses:
            assert time.monotonic() < give_up_at, job
            assert job["status"] in {"queued", "running"}, job
            time.sleep(0.02)
        return job

    def until_epoch(self, job_id: str, epoch: int, seconds: float = 60) -> None:
        give_up_at = time.monotonic() + seconds
        while (self.curve(job_id)["last_epoch"] or 0) < epoch:
            assert time.monotonic() < give_up_at
            time.sleep(0.02)

    def curve(self, job_id: str) -> dict[str, Any]:
        [curve] = self.get(f"/v1/jobs/{job_id}/curves?max_points=100000")["fits"]
        found: dict[str, Any] = curve
        return found

    def fit(self, job_id: str) -> dict[str, Any]:
        fit: dict[str, Any] = self.get(f"/v1/jobs/{job_id}/fits/1")
        return fit

    def run(self, dataset: str = "digits", **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Submit, wait for success; give the job and its curve without the clock."""
        job = self.until(self.submit(dataset, **fields)["id"], "succeeded")
        return job, without_clock(self.curve(job["id"]))


def without_clock(curve: dict[str, Any]) -> dict[str, Any]:
    return {name: values for name, values in curve.items() if name != "seconds"}


def worker_of(service: Service, job_id: str) -> int:
    """Give the process id of the child that holds a job's shard."""
    with service.database.read() as connection:
        worker = connection.scalar(select(ShardRow.worker).where(ShardRow.job_id == job_id))
    return int(str(worker).rpartition("/")[2])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def started(home: Path, monkeypatch: pytest.MonkeyPatch, database_url: str = "") -> Any:
    monkeypatch.setenv("HOLDOUT_LEASE_SECONDS", LEASE_SECONDS)
    if database_url:
        monkeypatch.setenv("HOLDOUT_DATABASE_URL", database_url)
    return running(home, free_port())


def fresh_database(server_url: str, name: str) -> str:
    """Create an empty PostgreSQL database of this name on a test server; give its URL."""
    engine = create_engine(server_url).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)

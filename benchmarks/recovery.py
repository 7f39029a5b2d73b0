"""What losses cost: seconds until another worker goes on with the job of one that was killed, and jobs submitted while the queue is down.

A job is taken over from a child that its parent sees die, from a worker that its supervisor sees die, and from one that
nobody watches, as on a machine that is gone: there the lease must run out. Each time another worker is idle.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx2
from rich.console import Console
from rich.table import Table
from sqlalchemy import select
from traffic import free_port

from cli import commands
from cli.service import Service, running
from store.tables import ShardRow
from store.workers import live
from worker.settings import WorkerSettings

_LONG = {"dataset": "digits", "network": {"name": "mlp", "hidden_units": [64]}, "training": {"max_epochs": 10_000}}
_SHORT = {"dataset": "iris", "network": {"name": "mlp", "hidden_units": [8]}, "training": {"max_epochs": 2}}
_SEEN, _GONE = "embedded", "unwatched"
_SUBMIT_SECONDS = 1.0


class _System:
    """A service whose supervisor watches one worker, and a second worker that nobody watches."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.http = httpx2.Client(base_url=service.url, timeout=20)
        self._starts = 0
        self._second: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill_second()
        self.http.close()

    def until_two_are_live(self) -> None:
        """Start the second worker where it is dead; wait for both."""
        if self._second is None:
            self._starts += 1
            environment = {**os.environ, **self.service.processes[0].environment, "HOLDOUT_WORKER_NAME": f"{_GONE}{self._starts}"}
            with (self.service.home / "logs" / "second.log").open("ab") as log:
                self._second = subprocess.Popen(
                    [sys.executable, *commands.worker()], env=environment, stdout=log, stderr=log, start_new_session=True
                )
        first = self.service.processes[0]
        names = (f"{first.worker_name}/", f"{_GONE}{self._starts}/")
        _wait_for(lambda: all(any(one.id.startswith(name) for one in live(self.service.database)) for name in names))

    def kill_second(self) -> None:
        if self._second is not None:
            os.killpg(self._second.pid, signal.SIGKILL)
            self._second.wait()
            self._second = None

    def submit(self, spec: dict[str, Any]) -> str:
        answer = self.http.post("/v1/jobs", json=spec)
        answer.raise_for_status()
        job_id: str = answer.json()["id"]
        return job_id

    def cancel(self, job_id: str) -> None:
        self.http.post(f"/v1/jobs/{job_id}/cancel").raise_for_status()
        _wait_for(lambda: self.status(job_id) == "cancelled")

    def status(self, job_id: str) -> str:
        status: str = self.http.get(f"/v1/jobs/{job_id}").json()["status"]
        return status

    def holder(self, job_id: str) -> str:
        """Name the worker that holds a job's shard now."""
        with self.service.database.read() as connection:
            query = select(ShardRow.worker).where(ShardRow.job_id == job_id, ShardRow.status == "running")
            return connection.scalar(query) or ""

    def job_of(self, name: str) -> str:
        """Let a worker of this name train a long job while the other is idle; give the job."""
        jobs = [self.submit(_LONG) for _ in range(2)]
        _wait_for(lambda: all(self.holder(job_id) for job_id in jobs))
        [wanted] = [job_id for job_id in jobs if self.holder(job_id).startswith(name)]
        for job_id in jobs:
            if job_id != wanted:
                self.cancel(job_id)
        return wanted


def _wait_for(is_so: Callable[[], bool], seconds: float = 120) -> float:
    """Wait; give how long it took."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > seconds:
            raise RuntimeError(f"it was not so after {seconds:.0f} s")
        time.sleep(0.02)
    return time.monotonic() - began


def _takeover(system: _System, how: str) -> float:
    """Kill a worker in this way while it trains; give the seconds until another holds its job."""
    system.until_two_are_live()
    job_id = system.job_of(_GONE if how == "nobody" else _SEEN)
    held = system.holder(job_id)
    if how == "parent":
        os.kill(int(held.rpartition("/")[2]), signal.SIGKILL)
    elif how == "supervisor":
        worker = system.service.processes[0].popen
        assert worker is not None
        os.killpg(worker.pid, signal.SIGKILL)
    else:
        system.kill_second()
    seconds = _wait_for(lambda: system.holder(job_id) not in {"", held})
    system.cancel(job_id)
    return seconds


def _without_queue(system: _System, seconds: float) -> tuple[list[str], list[float], float]:
    """Submit while the queue's server is down; give the jobs, the seconds of each POST, and until all have ended once it is up."""
    service = system.service
    service.keeps_broker = False
    service.broker.stop()
    jobs, posts, until = [], [], time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        jobs.append(system.submit(_SHORT | {"seed": len(jobs)}))
        posts.append(time.monotonic() - began)
        time.sleep(_SUBMIT_SECONDS)
    service.broker.start()
    service.keeps_broker = True
    return jobs, posts, _wait_for(lambda: all(system.status(job_id) == "succeeded" for job_id in jobs))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="workers killed in each way (default 5)")
    parser.add_argument("--outage", type=float, default=60.0, help="seconds without the queue (default 60)")
    options = parser.parse_args()
    console = Console()
    os.environ.update(HOLDOUT_CONCURRENCY="1")
    lease = WorkerSettings().lease_seconds
    table = Table(
        "who sees it", "killed", "median, s", "slowest, s", "target, s", title=f"A killed worker's job is taken over, lease {lease:.0f} s"
    )
    with tempfile.TemporaryDirectory(prefix="hlost") as home, running(Path(home), free_port()) as service, _System(service) as system:
        for how, target in (("parent", 2.0), ("supervisor", 2.0), ("nobody", 2 * lease)):
            found = [_takeover(system, how) for _ in range(options.rounds)]
            table.add_row(how, str(len(found)), f"{statistics.median(found):.2f}", f"{max(found):.2f}", f"{target:.0f}")
        console.print(table)
        jobs, posts, took = _without_queue(system, options.outage)
        console.print(
            f"queue down for {options.outage:.0f} s: all {len(jobs)} submissions accepted, median {statistics.median(posts) * 1e3:.0f} ms, "
            f"slowest {max(posts) * 1e3:.0f} ms; all succeeded {took:.1f} s after it was back"
        )


if __name__ == "__main__":
    main()

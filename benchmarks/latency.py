"""From POST to succeeded, beside `python benchmarks/train.py`, in one run on one machine.

A one-epoch digits job through the whole embedded service (HTTP, database, queue, worker process) against a bare script
that starts Python, imports torch and trains the same epoch. Both are timed alternately; medians are compared.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
from rich.console import Console
from rich.table import Table
from traffic import free_port

from cli.service import running

JOBS = 50
SCRIPT_RUNS = 10
WARM_UPS = 3
TARGET = 0.1


def digits_job(epochs: int) -> dict[str, Any]:
    """Give the spec that all these benchmarks train: 64-128-64-10, batches of 32, Adam, a hold-out split."""
    network = {"name": "mlp", "hidden_units": [128, 64]}
    return {"dataset": "digits", "network": network, "training": {"max_epochs": epochs}, "seed": 0}


def submit(client: httpx2.Client, spec: Mapping[str, Any]) -> str:
    """Post a job; give its path."""
    return str(client.post("/v1/jobs", json=spec).raise_for_status().headers["Location"])


def timed_job(client: httpx2.Client, spec: Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
    """Time a job from before its POST until its client is told of its end; give the job, too.

    Raises:
        RuntimeError: it did not succeed.
    """
    began = time.perf_counter()
    path = submit(client, spec)
    with client.stream("GET", f"{path}/events") as events:
        for line in events.iter_lines():
            if line == "event: finished":
                break
    seconds = time.perf_counter() - began
    job: dict[str, Any] = client.get(path).json()
    if job["status"] != "succeeded":
        raise RuntimeError(f"a job ended {job['status']}: {job['failure']}")
    return seconds, job


def script_seconds() -> float:
    """Time the bare script."""
    began = time.perf_counter()
    subprocess.run([sys.executable, Path(__file__).with_name("train.py")], check=True, capture_output=True)
    return time.perf_counter() - began


def job_and_script_seconds(client: httpx2.Client, jobs: int, script_runs: int) -> tuple[list[float], list[float]]:
    """Time one-epoch jobs and the script by turns, after some jobs that are not counted."""
    spec = digits_job(1)
    for _ in range(WARM_UPS):
        timed_job(client, spec)
    timed: list[float] = []
    scripts: list[float] = []
    for i in range(jobs):
        timed.append(timed_job(client, spec)[0])
        if i % max(1, jobs // script_runs) == 0:
            scripts.append(script_seconds())
    return timed, scripts


def _row(name: str, seconds: list[float]) -> tuple[str, ...]:
    cuts = statistics.quantiles(seconds, n=20)
    return (name, str(len(seconds)), f"{statistics.median(seconds):.3f}", f"{min(seconds):.3f}", f"{cuts[-1]:.3f}")


def main() -> None:
    """Measure and print the table."""
    with (
        tempfile.TemporaryDirectory() as home,
        running(Path(home), free_port()) as service,
        httpx2.Client(base_url=service.url, timeout=60) as client,
    ):
        jobs, scripts = job_and_script_seconds(client, JOBS, SCRIPT_RUNS)
    table = Table(title="POST to succeeded, one-epoch digits job, warm embedded worker (seconds)")
    for heading in ("what", "runs", "median", "min", "p95"):
        table.add_column(heading)
    table.add_row(*_row("job through the service", jobs))
    table.add_row(*_row("python train.py", scripts))
    ratio = statistics.median(jobs) / statistics.median(scripts)
    console = Console()
    console.print(table)
    console.print(f"ratio of medians {ratio:.3f} (target at most {TARGET})")


if __name__ == "__main__":
    main()

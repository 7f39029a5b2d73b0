"""From POST to succeeded, beside `python benchmarks/train.py`, in one run on one machine.

A one-epoch digits job through the whole embedded service (HTTP, database, queue, worker process) against a bare script
that starts Python, imports torch and trains the same epoch. Both are timed alternately; medians are compared.
"""

import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx2
from rich.console import Console
from rich.table import Table

from cli.service import running

JOBS = 50
SCRIPT_RUNS = 10
SPEC = {"dataset": "digits", "network": {"name": "mlp", "hidden_units": [128, 64]}, "training": {"max_epochs": 1}, "seed": 0}
TARGET = 0.1


def _job_seconds(client: httpx2.Client) -> float:
    began = time.perf_counter()
    answer = client.post("/v1/jobs", json=SPEC).raise_for_status()
    url = answer.headers["Location"]
    with client.stream("GET", f"{url}/events") as events:
        for line in events.iter_lines():
            if line == "event: finished":
                break
    seconds = time.perf_counter() - began
    job = client.get(url).json()
    if job["status"] != "succeeded":
        raise RuntimeError(f"a job ended {job['status']}: {job['failure']}")
    return seconds


def _script_seconds() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, Path(__file__).with_name("train.py")], check=True, capture_output=True)
    return time.perf_counter() - began


def _row(name: str, seconds: list[float]) -> tuple[str, ...]:
    cuts = statistics.quantiles(seconds, n=20)
    return (name, str(len(seconds)), f"{statistics.median(seconds):.3f}", f"{min(seconds):.3f}", f"{cuts[-1]:.3f}")


def main() -> None:
    """Measure and print the table."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    jobs: list[float] = []
    scripts: list[float] = []
    with (
        tempfile.TemporaryDirectory() as home,
        running(Path(home), port) as service,
        httpx2.Client(base_url=service.url, timeout=60) as client,
    ):
        for _ in range(3):
            _job_seconds(client)
        for i in range(JOBS):
            jobs.append(_job_seconds(client))
            if i % (JOBS // SCRIPT_RUNS) == 0:
                scripts.append(_script_seconds())
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

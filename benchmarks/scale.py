"""What a job costs each part of the system, how throughput grows with workers, and what large queues, many ended jobs and long curves cost.

    python benchmarks/scale.py                               # SQLite and PostgreSQL, 1 and 2 children, some ten minutes on two cores
    python benchmarks/scale.py --databases sqlite --children 1 --jobs 20 --queued 0 --ended 1000 --fits 2 --epochs 100

The costs (CPU seconds and bytes a job) are what docs/scale.md extends to many machines.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from load import database
from rich.console import Console
from rich.table import Table
from rows import lengthen, repeat
from sqlalchemy import func, select, text
from traffic import Connection, free_port

from cli.service import Service, running
from store.engine import Database
from store.tables import JobRow

_CONNECTIONS = 4
_NETWORK = {"name": "mlp", "hidden_units": [128, 64]}
_TERMINAL = {"succeeded", "failed", "cancelled"}
_ASKED = 20


@dataclass(frozen=True)
class _Drained:
    """So many jobs, submitted at once: jobs a second, and CPU milliseconds a job of each process."""

    database: str
    children: int
    epochs: int
    jobs: int
    jobs_a_second: float
    cpu_ms: dict[str, float]
    bytes_a_job: float
    commits_a_job: float | None
    """Of PostgreSQL: transactions of all kinds, reads among them."""


def _spec(epochs: int, seed: int) -> dict[str, Any]:
    return {"dataset": "digits", "network": _NETWORK, "training": {"max_epochs": epochs}, "seed": seed}


async def _submitted(port: int, epochs: int, count: int) -> tuple[list[str], list[float]]:
    """Submit jobs over several connections; give their ids and the seconds of each POST."""
    left, found, seconds = iter(range(count)), [], []

    async def post_all() -> None:
        async with Connection(port) as connection:
            for seed in left:
                began = time.perf_counter()
                answer = await connection.post("/v1/jobs", _spec(epochs, seed))
                seconds.append(time.perf_counter() - began)
                if answer.status != 201:
                    raise RuntimeError(answer.body.decode())
                found.append(answer.json()["id"])

    await asyncio.gather(*(post_all() for _ in range(_CONNECTIONS)))
    return found, seconds


def _unfinished(db: Database) -> int:
    with db.read() as connection:
        return connection.scalar(select(func.count()).select_from(JobRow).where(JobRow.status.not_in(_TERMINAL))) or 0


def _cpu(service: Service, postgres: psutil.Process | None) -> dict[str, float]:
    """CPU seconds of every process and its children so far."""
    found = {one.name: psutil.Process(one.popen.pid) for one in service.processes if one.popen is not None}
    if service.broker.process is not None:
        found["queue"] = psutil.Process(service.broker.process.pid)
    if postgres is not None:
        found["postgresql"] = postgres
    return {name: _cpu_of(process) for name, process in found.items()}


def _cpu_of(process: psutil.Process) -> float:
    used = process.cpu_times()
    total = used.user + used.system + used.children_user + used.children_system
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            mine = child.cpu_times()
            total += mine.user + mine.system
    return total


def _bytes(db: Database) -> float:
    with db.read() as connection:
        if connection.dialect.name == "postgresql":
            return float(connection.scalar(text("SELECT pg_database_size(current_database())")) or 0)
        pages = connection.scalar(text("PRAGMA page_count")) or 0
        return float(pages * (connection.scalar(text("PRAGMA page_size")) or 0))


def _commits(db: Database) -> float | None:
    if db.engine.dialect.name != "postgresql":
        return None
    time.sleep(1.5)  # until its processes have told of theirs
    with db.read() as connection:
        return float(connection.scalar(text("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")) or 0)


def _drained(service: Service, port: int, kind: str, children: int, epochs: int, jobs: int) -> _Drained:
    """Submit jobs and wait until they have ended."""
    db, postgres = service.database, _postgres() if kind == "postgresql" else None
    commits = _commits(db)
    before, size, began = _cpu(service, postgres), _bytes(db), time.monotonic()
    asyncio.run(_submitted(port, epochs, jobs))
    while _unfinished(db):
        time.sleep(0.25)
    seconds, after, taken = time.monotonic() - began, _cpu(service, postgres), _bytes(db) - size
    made = _commits(db)
    return _Drained(
        database=kind,
        children=children,
        epochs=epochs,
        jobs=jobs,
        jobs_a_second=jobs / seconds,
        cpu_ms={name: (after[name] - before[name]) / jobs * 1e3 for name in before},
        bytes_a_job=taken / jobs,
        commits_a_job=None if commits is None or made is None else (made - commits) / jobs,
    )


def _postgres() -> psutil.Process | None:
    for process in psutil.process_iter(["name", "ppid"]):
        if process.info["name"] == "postgres" and (parent := process.parent()) is not None and parent.name() != "postgres":
            return process
    return None


async def _timed(port: int, path: str) -> tuple[float, int]:
    """Median seconds of a GET, and its bytes."""
    seconds, size = [], 0
    async with Connection(port) as connection:
        for _ in range(_ASKED):
            began = time.perf_counter()
            answer = await connection.get(path)
            seconds.append(time.perf_counter() - began)
            if answer.status != 200:
                raise RuntimeError(answer.body.decode())
            size = len(answer.body)
    return statistics.median(seconds), size


async def _ended(port: int, spec: dict[str, Any]) -> str:
    async with Connection(port) as connection:
        answer = await connection.post("/v1/jobs", spec)
        if answer.status != 201:
            raise RuntimeError(answer.body.decode())
        job_id: str = answer.json()["id"]
        while (await connection.get(f"/v1/jobs/{job_id}")).json()["status"] not in _TERMINAL:  # noqa: ASYNC110  what changes is elsewhere
            await asyncio.sleep(0.02)
        return job_id


def _long_curve(service: Service, port: int, fits: int, epochs: int) -> dict[str, Any]:
    """Give what a job of many fits with curves of many epochs takes: bytes a row, and what reading it costs."""
    plan = {"split": {"name": "holdout"}, "plan": {"name": "bagging", "members": fits}}
    spec = {"dataset": "iris", "network": {"name": "mlp", "hidden_units": [4]}, "training": {"max_epochs": 1}, "seed": 0, **plan}
    job_id = asyncio.run(_ended(port, spec))
    size = _bytes(service.database)
    rows = lengthen(service.database, job_id, epochs)
    taken = (_bytes(service.database) - size) / rows
    found = {
        "job": f"/v1/jobs/{job_id}",
        "one curve": f"/v1/jobs/{job_id}/curves?fits=1",
        "one curve, 500 points": f"/v1/jobs/{job_id}/curves?fits=1&max_points=500",
        "all curves, 200 points": f"/v1/jobs/{job_id}/curves?max_points=200",
    }
    measured = {name: asyncio.run(_timed(port, path)) for name, path in found.items()}
    return {"rows": rows, "bytes_a_row": taken, "reads": {name: {"ms": one * 1e3, "bytes": size} for name, (one, size) in measured.items()}}


def _full(service: Service, port: int, jobs: int) -> dict[str, Any]:
    """Give what reads and a new job cost before and after so many jobs have ended."""
    job_id = asyncio.run(_ended(port, _spec(1, 0)))
    first = _costs(service, port)
    size = _bytes(service.database)
    repeat(service.database, job_id, jobs)
    taken = (_bytes(service.database) - size) / jobs
    return {"bytes_a_job_without_its_curve": taken, "before": first, "after": _costs(service, port)}


def _costs(service: Service, port: int) -> dict[str, float]:
    """Milliseconds of reads, of a POST, and of a whole job of one epoch."""
    paths = {
        "newest 100": "/v1/jobs?limit=100",
        "newest 100 that failed": "/v1/jobs?limit=100&status=failed",
        "by a name that none has": "/v1/jobs?limit=100&name=nowhere",
        "metrics": "/metrics",
        "readyz": "/readyz",
    }
    found = {name: asyncio.run(_timed(port, path))[0] * 1e3 for name, path in paths.items()}
    _, posts = asyncio.run(_submitted(port, 1, _ASKED))
    while _unfinished(service.database):
        time.sleep(0.05)
    began = time.perf_counter()
    for seed in range(_ASKED // 2):
        asyncio.run(_ended(port, _spec(1, seed)))
    return found | {"POST": statistics.median(posts) * 1e3, "a job of one epoch": (time.perf_counter() - began) / (_ASKED // 2) * 1e3}


def _queue(service: Service, port: int, jobs: int) -> dict[str, Any]:
    """Submit many jobs; give what the last ones cost, and the list while they wait."""
    began = time.monotonic()
    _, seconds = asyncio.run(_submitted(port, 1, jobs))
    rate, fifth = jobs / (time.monotonic() - began), max(1, jobs // 5)
    listed, _ = asyncio.run(_timed(port, "/v1/jobs?limit=100"))
    waiting = _unfinished(service.database)
    return {
        "posts_a_second": rate,
        "last_fifth_over_first": statistics.median(seconds[-fifth:]) / statistics.median(seconds[:fifth]),
        "waiting": waiting,
        "list_ms": listed * 1e3,
    }


@contextlib.contextmanager
def _system(kind: str, children: int) -> Iterator[tuple[Service, int]]:
    port = free_port()
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hscale")))
        url = stack.enter_context(database(kind, home))
        os.environ.update(HOLDOUT_DATABASE_URL=url, HOLDOUT_CONCURRENCY=str(children), HOLDOUT_MAX_QUEUED_JOBS="1000000")
        service = stack.enter_context(running(home, port))
        asyncio.run(_ended(port, _spec(1, 0)))  # the worker is up
        yield service, port


def _throughput(found: list[_Drained]) -> Table:
    table = Table(
        "database",
        "children",
        "epochs",
        "jobs",
        "jobs/s",
        "epochs/s",
        "CPU ms a job",
        "bytes a job",
        "transactions a job",
        title="Jobs of one digits MLP, submitted at once: from the first POST to the last end",
    )
    for one in found:
        costs = ", ".join(f"{name} {value:.1f}" for name, value in one.cpu_ms.items())
        table.add_row(
            one.database,
            str(one.children),
            str(one.epochs),
            str(one.jobs),
            f"{one.jobs_a_second:.1f}",
            f"{one.jobs_a_second * one.epochs:.0f}",
            costs,
            f"{one.bytes_a_job:.0f}",
            "" if one.commits_a_job is None else f"{one.commits_a_job:.1f}",
        )
    return table


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--children", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--jobs", type=int, default=300, help="one-epoch jobs; a fifth as many of 50 epochs (default 300)")
    parser.add_argument("--queued", type=int, default=10_000, help="jobs that wait at once; 0: leave out (default 10000)")
    parser.add_argument("--ended", type=int, default=100_000, help="jobs that have ended; 0: leave out (default 100000)")
    parser.add_argument("--fits", type=int, default=100, help="fits of the job with long curves; 0: leave out (default 100)")
    parser.add_argument("--epochs", type=int, default=10_000, help="epochs of each of them (default 10000)")
    parser.add_argument("--json", type=Path, help="write what was measured there")
    options = parser.parse_args()
    console = Console(width=160)
    drained: list[_Drained] = []
    others: dict[str, dict[str, Any]] = {}
    for kind in options.databases:
        for children in options.children:
            with _system(kind, children) as (service, port):
                for epochs, jobs in ((1, options.jobs), (50, max(1, options.jobs // 5))):
                    drained.append(_drained(service, port, kind, children, epochs, jobs))
                if children == options.children[-1]:
                    if options.fits:
                        others[f"{kind}: {options.fits} curves of {options.epochs} epochs"] = _long_curve(
                            service, port, options.fits, options.epochs
                        )
                    if options.ended:
                        others[f"{kind}: {options.ended} jobs that have ended"] = _full(service, port, options.ended)
                    if options.queued:
                        others[f"{kind}: {options.queued} jobs submitted at once"] = _queue(service, port, options.queued)
    console.print(_throughput(drained))
    for title, found in others.items():
        console.print(title, json.dumps(found, indent=2), sep="\n", markup=False)
    if options.json is not None:
        options.json.write_text(json.dumps({"throughput": [asdict(one) for one in drained], "others": others}, indent=2))


if __name__ == "__main__":
    main()

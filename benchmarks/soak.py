"""Many one-epoch jobs on one worker of one child: does its memory grow? Jobs/s are printed too.

Memory is read while no job runs: the child's own (USS: what would be free if it ended), its share of all (PSS) and what is
resident (RSS); and the resident memory of the worker's parent, the sweeper, the API and the queue's server. What came
before `--warm` jobs is warm-up. Jobs are submitted a few hundred ahead, so that the queue's limit refuses none.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table
from traffic import Connection, free_port

from cli.service import Service, running

TARGET = 0.10
_AHEAD = 200
_POSTERS = 4
# Not one kind of job only: what is kept of a structure, an optimizer or a dataset must be bounded too.
_SPECS = (
    {"dataset": "digits", "network": {"name": "mlp", "hidden_units": [32]}},
    {"dataset": "iris", "network": {"name": "mlp", "hidden_units": [16, 8]}, "optimizer": {"name": "adam"}},
    {"dataset": "digits", "network": {"name": "mlp", "hidden_units": [64], "dropout": 0.2}, "optimizer": {"name": "sgd"}},
    {"dataset": "diabetes", "network": {"name": "mlp", "hidden_units": [8]}, "optimizer": {"name": "rmsprop"}},
)


@dataclass
class _Sample:
    """Megabytes after so many jobs."""

    jobs: int
    at: float
    child: int
    uss: float
    pss: float
    rss: float
    others: dict[str, float]


@dataclass
class _Soak:
    """Submits jobs and waits for their ends."""

    port: int
    service: Service
    ended: int = 0
    submitted: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    samples: list[_Sample] = field(default_factory=list)

    async def run(self, jobs: int, every: int) -> None:
        """Run so many jobs; sample the memory each `every` of them, once these have ended."""
        self._sample()
        while self.ended < jobs:
            until = min(jobs, self.ended + every)
            pending = iter(range(self.ended, until))
            await asyncio.gather(*(self._work(pending) for _ in range(_POSTERS)))
            self._sample()

    async def _work(self, pending: Iterator[int]) -> None:
        """Submit jobs a few ahead of their ends; wait for those submitted."""
        async with Connection(self.port) as connection:
            mine: list[str] = []
            for number in pending:
                answer = await connection.post("/v1/jobs", _spec(number))
                if answer.status != 201:
                    raise RuntimeError(answer.body.decode())
                mine.append(answer.json()["id"])
                if len(mine) >= _AHEAD // _POSTERS:
                    await self._end(connection, mine.pop(0))
            for job_id in mine:
                await self._end(connection, job_id)

    async def _end(self, connection: Connection, job_id: str) -> None:
        tag = ""
        while True:
            answer = await connection.get(f"/v1/jobs/{job_id}", If_None_Match=tag)
            if answer.status == 200:
                tag, status = answer.headers["etag"], answer.json()["status"]
                if status not in {"queued", "running"}:
                    break
            await asyncio.sleep(0.05)
        self.ended += 1
        self.statuses[status] = self.statuses.get(status, 0) + 1

    def _sample(self) -> None:
        found = {one.name: psutil.Process(one.popen.pid) for one in self.service.processes if one.popen is not None}
        [child] = found["worker"].children()
        taken = child.memory_full_info()
        if self.service.broker.process is not None:
            found["queue"] = psutil.Process(self.service.broker.process.pid)
        others = {name: process.memory_info().rss / 1e6 for name, process in found.items()}
        self.samples.append(_Sample(self.ended, time.monotonic(), child.pid, taken.uss / 1e6, taken.pss / 1e6, taken.rss / 1e6, others))


def _spec(number: int) -> dict[str, object]:
    return {**_SPECS[number % len(_SPECS)], "training": {"max_epochs": 1}, "seed": number}


def _table(samples: list[_Sample]) -> Table:
    names = list(samples[0].others)
    table = Table(
        "jobs",
        "jobs/s",
        "child USS, MB",
        "PSS",
        "RSS",
        *(f"{name} RSS" for name in names),
        title="Memory of one worker's child and of the others",
    )
    for before, one in zip([samples[0], *samples], samples, strict=False):
        rate = f"{(one.jobs - before.jobs) / (one.at - before.at):.1f}" if one.jobs > before.jobs else ""
        table.add_row(str(one.jobs), rate, *(f"{value:.1f}" for value in (one.uss, one.pss, one.rss, *one.others.values())))
    return table


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--every", type=int, default=500, help="jobs between two samples (default 500)")
    parser.add_argument("--warm", type=int, default=500, help="jobs that are warm-up (default 500)")
    options = parser.parse_args()
    console = Console()
    os.environ.update(HOLDOUT_CONCURRENCY="1")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="hsoak") as home, running(Path(home), port) as service:
        soak = _Soak(port, service)
        asyncio.run(soak.run(options.jobs, options.every))
    console.print(_table(soak.samples))
    console.print(f"jobs by status {soak.statuses}; the child was {'one' if len({one.child for one in soak.samples}) == 1 else 'REPLACED'}")
    warm = [one for one in soak.samples if one.jobs >= options.warm]
    for name in ("uss", "pss", "rss"):
        growth = max(getattr(one, name) for one in warm) / getattr(warm[0], name) - 1
        console.print(
            f"{name.upper()} of the child after warm-up: at most {growth:+.1%} (target {TARGET:+.0%}): {'holds' if growth <= TARGET else 'DOES NOT HOLD'}"
        )
    if set(soak.statuses) != {"succeeded"}:
        raise SystemExit("some jobs did not succeed")


if __name__ == "__main__":
    main()

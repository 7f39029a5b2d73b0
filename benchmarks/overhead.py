"""What the service costs beyond training, on SQLite and on PostgreSQL, measured by turns in one run.

* A digits job through the whole system (HTTP, database, queue, worker process) beside the training core on the same rows
  in a process like a worker's: what is longer about the job is the service's. Once between the API's own instants, created
  to finished, and once as a client sees it, from before its POST to the event of the end. Seconds of CPU of all processes
  of the system (but PostgreSQL's) beside those of training alone tell the same on a machine that others share.
* A one-epoch job, from POST to succeeded, beside `python benchmarks/train.py` (as latency.py).
* Epochs of one job stored a second by a worker's ledger: in flushes of as many as such a fit trains in 0.2 s, and one by one.
* Jobs accepted a second over eight connections, while nothing trains.
* Two jobs at once on two children of one worker, each beside a job alone there.
"""

import argparse
import contextlib
import datetime as dt
import json
import multiprocessing
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx2
import psutil
import torch
from latency import TARGET, WARM_UPS, digits_job, job_and_script_seconds, submit, timed_job
from load import database
from rich.console import Console
from rich.table import Table
from traffic import free_port

from cli.service import Service, running
from data.builtin import BUILTINS
from jobs.materialize import materialize
from jobs.resolve import resolve
from jobs.spec import JobSpec
from store.artifacts import Artifacts
from store.engine import Database, create_engine
from store.jobs import create_job
from store.migrate import upgrade
from store.shards import claim
from training.loop import Stack, train
from training.records import EpochRecord
from training.warmup import warm_up
from worker.ledger import Ledger
from worker.patience import PatientFiles
from worker.place import Workplace

_OVERHEAD, _TOGETHER = 0.10, 1.15
_FLUSH = 10
_STORED_EPOCHS = 2_000
_CONNECTIONS = 8
_AGAIN = "again"


@dataclass
class _Figures:
    """What was measured on one database, in seconds unless a name says otherwise."""

    alone: list[float] = field(default_factory=list)
    alone_cpu: list[float] = field(default_factory=list)
    served_cpu: list[float] = field(default_factory=list)
    served: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    one_epoch: list[float] = field(default_factory=list)
    script: list[float] = field(default_factory=list)
    stored_per_second: float = 0.0
    stored_one_by_one_per_second: float = 0.0
    accepted_per_second: float = 0.0
    single: list[float] = field(default_factory=list)
    together: list[float] = field(default_factory=list)

    @property
    def both(self) -> tuple[list[float], list[float]]:
        """Give the seconds of each of every two jobs at once."""
        return self.together[::2], self.together[1::2]

    @property
    def ratios(self) -> dict[str, float]:
        """Give what the targets are about."""
        alone = statistics.median(self.alone)
        return {
            "overhead_served": statistics.median(self.served) / alone - 1,
            "overhead_seen": statistics.median(self.seen) / alone - 1,
            "overhead_cpu": statistics.fmean(self.served_cpu) / statistics.fmean(self.alone_cpu) - 1,
            "one_epoch": statistics.median(self.one_epoch) / statistics.median(self.script),
            "together": max(map(statistics.median, self.both)) / statistics.median(self.single),
        }


@contextlib.contextmanager
def _service(url: str, folder: Path, children: int) -> Iterator[Service]:
    """Run the whole system on a database, with one worker of so many children."""
    own = {"HOLDOUT_DATABASE_URL": url, "HOLDOUT_CONCURRENCY": str(children)}
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    try:
        with running(folder / f"home-{children}", free_port()) as service:
            yield service
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _train_alone(orders: Connection, epochs: int) -> None:
    """Train as a worker's child does, whenever told to; tell how long it took. The end of orders is the end."""
    torch.set_num_threads(1)
    warm_up()
    planned = resolve(JobSpec.model_validate(digits_job(epochs))).first_round.fits[0]
    fit = materialize(planned, BUILTINS.load("digits")).fit
    with contextlib.suppress(EOFError):
        while orders.recv() == _AGAIN:
            began, began_cpu = time.perf_counter(), time.process_time()
            for _ in train(Stack([fit])):
                pass
            orders.send((time.perf_counter() - began, time.process_time() - began_cpu))


@contextlib.contextmanager
def _trainer(epochs: int) -> Iterator[Connection]:
    """Start a process that trains alone."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_train_alone, args=(there, epochs))
    process.start()
    try:
        yield here
    finally:
        here.send("stop")
        process.join()


def _alone(trainer: Connection) -> tuple[float, float]:
    trainer.send(_AGAIN)
    seconds, cpu = trainer.recv()
    return seconds, cpu


def _cpu_seconds(service: Service) -> float:
    """Sum what all processes of the system have computed so far."""
    roots = [process.popen.pid for process in service.processes if process.popen is not None]
    if service.broker.process is not None:
        roots.append(service.broker.process.pid)
    everybody = [process for pid in roots for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))]
    return sum(times.user + times.system for times in (process.cpu_times() for process in everybody))


def _job(client: httpx2.Client, epochs: int) -> tuple[float, float]:
    """Run a job; give its seconds between the API's instants, and as the client saw it."""
    seen, job = timed_job(client, digits_job(epochs))
    created, finished = (dt.datetime.fromisoformat(job[name]) for name in ("created_at", "finished_at"))
    return (finished - created).total_seconds(), seen


def _epoch(number: int) -> EpochRecord:
    return EpochRecord(
        fit=1,
        epoch=number,
        train_loss=0.5 / (1 + number),
        val_loss=0.6 / (1 + number),
        train_metrics={"accuracy": 0.9},
        val_metrics={"accuracy": 0.8},
        objective=0.5,
        learning_rate=0.001,
        seconds=0.01,
        steps=40,
    )


def _stored_per_second(url: str, folder: Path, at_once: int, epochs: int) -> float:
    """Store epochs of one job through a worker's ledger."""
    upgrade(url)
    db, artifacts = Database(create_engine(url)), Artifacts(f"file://{folder}/files")
    try:
        created = create_job(db, resolve(JobSpec.model_validate(digits_job(epochs))))
        held = claim(db, created.shard_ids[0], "benchmark/1", 600.0)
        if held is None:
            raise RuntimeError("a new shard could not be claimed")
        place = Workplace(
            db=db,
            artifacts=artifacts,
            datasets=BUILTINS,
            worker_id="benchmark/1",
            lease_seconds=600.0,
            flush_seconds=0.2,
            nudge=lambda _: None,
        )
        ledger = Ledger(place, held, PatientFiles(artifacts, 1.0, lambda: None))
        began = time.perf_counter()
        for start in range(0, epochs, at_once):
            for number in range(start, min(start + at_once, epochs)):
                ledger.add(_epoch(number))
            ledger.write()
        return epochs / (time.perf_counter() - began)
    finally:
        db.dispose()


def _accepted_per_second(service: Service, jobs: int) -> float:
    """Post jobs over several connections while the worker stands still."""
    worker = next(process for process in service.processes if process.name == "worker")
    spec = digits_job(1)
    if worker.popen is None:
        raise RuntimeError("there is no worker")
    os.killpg(worker.popen.pid, signal.SIGSTOP)
    try:
        with httpx2.Client(base_url=service.url, timeout=60) as client, ThreadPoolExecutor(_CONNECTIONS) as posters:
            for _ in posters.map(lambda _: submit(client, spec), range(_CONNECTIONS)):
                pass
            began = time.perf_counter()
            paths = list(posters.map(lambda _: submit(client, spec), range(jobs)))
            rate = jobs / (time.perf_counter() - began)
            for path in paths:
                client.post(f"{path}/cancel").raise_for_status()
    finally:
        os.killpg(worker.popen.pid, signal.SIGCONT)
    return rate


def _measure(kind: str, arguments: argparse.Namespace) -> _Figures:
    found = _Figures()
    with tempfile.TemporaryDirectory() as name, database(kind, Path(name)) as url:
        folder = Path(name)
        with (
            _trainer(arguments.epochs) as trainer,
            _service(url, folder, children=1) as service,
            httpx2.Client(base_url=service.url, timeout=600) as client,
        ):
            for _ in range(WARM_UPS):
                _job(client, arguments.epochs)
                _alone(trainer)
            for _ in range(arguments.rounds):
                seconds, cpu = _alone(trainer)
                found.alone.append(seconds)
                found.alone_cpu.append(cpu)
                before = _cpu_seconds(service)
                served, seen = _job(client, arguments.epochs)
                found.served_cpu.append(_cpu_seconds(service) - before)
                found.served.append(served)
                found.seen.append(seen)
            found.one_epoch, found.script = job_and_script_seconds(client, 2 * arguments.rounds, max(1, arguments.rounds // 3))
            found.accepted_per_second = _accepted_per_second(service, arguments.posts)
        with (
            _service(url, folder, children=2) as service,
            httpx2.Client(base_url=service.url, timeout=600) as client,
            ThreadPoolExecutor(2) as pair,
        ):
            specs = 2 * [digits_job(arguments.epochs)]
            run = partial(timed_job, client)
            for _ in range(WARM_UPS):
                list(pair.map(run, specs))
            for _ in range(arguments.rounds):
                found.single.append(run(specs[0])[0])
                found.together += [seconds for seconds, _ in pair.map(run, specs)]
        found.stored_per_second = _stored_per_second(url, folder, _FLUSH, _STORED_EPOCHS)
        found.stored_one_by_one_per_second = _stored_per_second(url, folder, 1, _STORED_EPOCHS // 10)
    return found


def _spread(seconds: Sequence[float]) -> str:
    low, middle, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def _table(kind: str, found: _Figures, epochs: int) -> Table:
    table = Table(title=f"{kind}: medians in seconds, with quartiles")
    for heading in ("what", "the service", "beside", "ratio", "target"):
        table.add_column(heading)
    ratios = found.ratios
    limit = f"<= {_OVERHEAD:.0%} more"
    table.add_row(
        f"{epochs} epochs, created to finished", _spread(found.served), _spread(found.alone), f"{ratios['overhead_served']:+.1%}", limit
    )
    table.add_row(f"{epochs} epochs, seen by a client", _spread(found.seen), _spread(found.alone), f"{ratios['overhead_seen']:+.1%}", limit)
    cpu = (f"{statistics.fmean(seconds):.3f}" for seconds in (found.served_cpu, found.alone_cpu))
    table.add_row(f"{epochs} epochs, mean seconds of CPU", *cpu, f"{ratios['overhead_cpu']:+.1%}", "")
    table.add_row(
        "1 epoch, beside python train.py", _spread(found.one_epoch), _spread(found.script), f"{ratios['one_epoch']:.3f}", f"<= {TARGET}"
    )
    table.add_row(
        f"epochs stored a second, {_FLUSH} in a flush",
        f"{found.stored_per_second:.0f}",
        "",
        "",
        "",
    )
    table.add_row(
        "epochs stored a second, one by one",
        f"{found.stored_one_by_one_per_second:.0f}",
        "",
        "",
        "",
    )
    table.add_row(f"jobs accepted a second, {_CONNECTIONS} connections", f"{found.accepted_per_second:.0f}", "", "", "")
    for name, seconds in zip(("one", "other"), found.both, strict=True):
        ratio = statistics.median(seconds) / statistics.median(found.single)
        table.add_row(
            f"two jobs at once, the {name}, beside one alone", _spread(seconds), _spread(found.single), f"{ratio:.2f}", f"<= {_TOGETHER}"
        )
    return table


def _as_json(found: _Figures) -> dict[str, Any]:
    return {**vars(found), "ratios": found.ratios}


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--databases", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite", "postgresql"])
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--posts", type=int, default=200)
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    results = {}
    for kind in arguments.databases:
        found = _measure(kind, arguments)
        Console().print(_table(kind, found, arguments.epochs))
        results[kind] = _as_json(found)
        if arguments.json is not None:
            arguments.json.write_text(json.dumps({"epochs": arguments.epochs, "databases": results}, indent=1))


if __name__ == "__main__":
    main()

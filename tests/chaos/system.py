"""The whole system under chaos: database, broker, two APIs, two workers, two sweepers, and who starts them again."""

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import select

from cli import commands
from cli.broker import Broker, BrokerFailed, start_broker
from jobs.states import ShardStatus
from store.artifacts import Artifacts
from store.engine import Database, create_engine
from store.errors import DatabaseUnavailable
from store.migrate import upgrade
from store.tables import ShardRow
from tests.chaos.databases import ChaosDatabase, Postgres, Sqlite
from tests.chaos.processes import MARK, Process
from tests.system import free_port

LEASE_SECONDS = 2.0
CHILDREN = 2
"""Of each worker."""


@dataclass
class System:
    """A running system."""

    home: Path
    run: str
    kind: str
    database: ChaosDatabase
    broker: Broker
    processes: list[Process]
    urls: list[str]
    db: Database
    artifacts: Artifacts
    stopping: threading.Event = field(default_factory=threading.Event)
    tending: threading.RLock = field(default_factory=threading.RLock)
    restarts: dict[str, int] = field(default_factory=dict)

    def of(self, kind: str) -> list[Process]:
        """List the processes of a kind: api, worker, sweeper."""
        return [process for process in self.processes if process.kind == kind]

    def rows(self, query: Any) -> list[Any]:
        """Read from the database, however often it is away."""
        give_up_at = time.monotonic() + 60
        while True:
            try:
                with self.db.read() as connection:
                    return list(connection.execute(query).all())
            except DatabaseUnavailable:
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(0.1)

    def holders(self) -> dict[int, str]:
        """Give the children that hold a shard now, by process id."""
        found = self.rows(select(ShardRow.worker, ShardRow.id).where(ShardRow.status == ShardStatus.RUNNING))
        return {int(str(row.worker).rpartition("/")[2]): row.id for row in found if row.worker is not None}

    def tend(self) -> None:
        """Start again what died, as a container's restart policy does. Leases are left to run out."""
        while not self.stopping.wait(0.1):
            with self.tending:
                if not self.broker.is_running:
                    self._count("broker")
                    with contextlib.suppress(BrokerFailed):
                        self.broker.start()
                for process in self.processes:
                    if process.is_running:
                        continue
                    self._count(process.kind)
                    process.start()

    def _count(self, kind: str) -> None:
        self.restarts[kind] = self.restarts.get(kind, 0) + 1


@contextlib.contextmanager
def running(home: Path, kind: str) -> Iterator[System]:
    """Start everything in `home`; on leaving whatever still runs is killed."""
    run = uuid.uuid4().hex
    os.environ[MARK] = run  # what is started from here on carries it
    try:
        database = Postgres(home / "pg") if kind == "postgresql" else Sqlite(home / "db")
        (home / "logs").mkdir()
        broker = start_broker(home / "queue", home / "logs" / "broker.log")
    finally:
        del os.environ[MARK]
    upgrade(database.url)
    system = _system(home, kind, run, database, broker)
    for process in system.processes:
        process.start()
    tender = threading.Thread(target=system.tend, name="tend", daemon=True)
    tender.start()
    try:
        _wait_until_ready(system)
        yield system
    finally:
        system.stopping.set()
        tender.join()
        for process in system.processes:
            process.signal_group(9)
        system.db.dispose()
        broker.stop()
        database.stop()


def _system(home: Path, kind: str, run: str, database: ChaosDatabase, broker: Broker) -> System:
    ports = [free_port(), free_port()]
    environment = {
        "HOLDOUT_HOME": str(home),
        "HOLDOUT_DATABASE_URL": database.url,
        "HOLDOUT_BROKER_URL": broker.url,
        "HOLDOUT_ARTIFACTS_URL": f"file://{home / 'artifacts'}",
        "HOLDOUT_LEASE_SECONDS": str(LEASE_SECONDS),
        "HOLDOUT_CONCURRENCY": str(CHILDREN),
        "HOLDOUT_CHECKPOINT_SECONDS": "0.3",
        "HOLDOUT_BEAT_SECONDS": "1",
        "HOLDOUT_COLLECT_SECONDS": "5",
        "OMP_NUM_THREADS": "1",
        "MIMALLOC_ARENA_EAGER_COMMIT": "0",
        "PYTHONUNBUFFERED": "1",
        MARK: run,
    }
    arguments = {
        "api": [commands.api("127.0.0.1", port) for port in ports],
        "worker": [commands.worker()] * 2,
        "sweeper": [commands.sweeper()] * 2,
    }
    processes = []
    for role, starts in arguments.items():
        for i, own in enumerate(starts, start=1):
            # One of each pair lives by a clock that can be set. An embedded database has its clients' clock: there it is everybody's.
            clock = home / (f"clock-{role}" if kind == "postgresql" else "clock") if i == 2 or kind == "sqlite" else None
            processes.append(Process(f"{role}{i}", role, own, environment, home / "logs" / f"{role}{i}.log", clock))
    return System(
        home=home,
        run=run,
        kind=kind,
        database=database,
        broker=broker,
        processes=processes,
        urls=[f"http://127.0.0.1:{port}" for port in ports],
        db=Database(create_engine(database.url)),
        artifacts=Artifacts(environment["HOLDOUT_ARTIFACTS_URL"]),
    )


def _wait_until_ready(system: System) -> None:
    give_up_at = time.monotonic() + 120
    for url in system.urls:
        while True:
            with contextlib.suppress(httpx2.HTTPError):
                answer = httpx2.get(f"{url}/readyz", timeout=5)
                if answer.status_code == 200 and answer.json()["workers"] >= 2 * CHILDREN:
                    break
            if time.monotonic() > give_up_at:
                raise RuntimeError(f"the system was not ready in time; see {system.home / 'logs'}")
            time.sleep(0.1)

"""The whole system in one place: queue, worker, sweeper and API as processes of one supervisor."""

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psutil

from cli import commands
from cli.broker import Broker, BrokerFailed, start_broker
from store.engine import Database, create_engine
from store.errors import DatabaseUnavailable
from store.migrate import upgrade
from store.settings import StoreSettings
from store.shards import release_worker
from store.workers import forget

_READY_SECONDS = 60.0
_STOP_SECONDS = 30.0
_TOO_OFTEN = 5
_TOO_SOON_SECONDS = 5.0
"""A process started this often that lived no longer than this will not come up."""


class ServiceFailed(RuntimeError):
    """The service cannot start or went down; the text is for the person who started it."""


@dataclass
class _Process:
    """A process that is started again when it dies."""

    name: str
    arguments: list[str]
    environment: dict[str, str]
    log: Path
    notes: Path
    popen: subprocess.Popen[bytes] | None = None
    starts: int = 0
    started_at: float = 0.0

    def start(self) -> None:
        self.starts += 1
        self.started_at = time.monotonic()
        environment = {**os.environ, **self.environment, "HOLDOUT_WORKER_NAME": self.worker_name}
        with self.log.open("ab") as output:
            self.popen = subprocess.Popen(
                [sys.executable, *self.arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.notes.mkdir(exist_ok=True)
        (self.notes / self.name).write_text(f"{self.popen.pid} {psutil.Process(self.popen.pid).create_time()}")

    @property
    def worker_name(self) -> str:
        """Differs from start to start, so that the leases of one that died can be told from its successor's."""
        return f"embedded-{os.getpid()}-{self.name}-{self.starts}"

    @property
    def is_running(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.popen is not None and self.is_running:
            self.popen.send_signal(number)

    def wait(self, seconds: float) -> None:
        """Wait for the end, then make sure of it and of all it started."""
        if self.popen is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()


@dataclass
class Service:
    """A running system."""

    home: Path
    url: str
    database: Database
    broker: Broker
    processes: list[_Process]
    keeps_broker: bool = True
    stopping: threading.Event = field(default_factory=threading.Event)
    failure: str | None = None

    def watch(self) -> None:
        """Start dead processes again until the service stops; a dead worker's shards are free at once."""
        while not self.stopping.wait(0.1):
            try:
                self._tend()
            except DatabaseUnavailable:
                continue
            except (BrokerFailed, ServiceFailed) as error:
                self.failure = str(error)
                self.stopping.set()

    def _tend(self) -> None:
        if self.keeps_broker and not self.broker.is_running:
            self.broker.start()
        for process in self.processes:
            if process.is_running:
                continue
            if process.starts >= _TOO_OFTEN and time.monotonic() - process.started_at < _TOO_SOON_SECONDS:
                raise ServiceFailed(f"the {process.name} process keeps dying; {process.log} says why")
            if process.name == "worker":
                process.wait(0)
                release_worker(self.database, process.worker_name)
                forget(self.database, process.worker_name)
            process.start()


@contextlib.contextmanager
def running(home: Path, port: int) -> Iterator[Service]:
    """Start everything in `home` and serve on loopback; stop it in order on leaving.

    Raises:
        ServiceFailed: the port is taken, `home` is in use, or a process did not come up.
    """
    home = home.absolute()
    logs = home / "logs"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)  # everybody's rows, files and logs
    logs.mkdir(exist_ok=True)
    with _only_one(home):
        _end_left_over(home / "processes")
        _check_port(port)
        broker = start_broker(home / "queue", logs / "queue.log")
        try:
            settings = StoreSettings(home=home)
            upgrade(settings.database_url)
            service = _service(home, port, settings, broker, logs)
            with _supervised(service):
                yield service
        finally:
            broker.stop()


def _service(home: Path, port: int, settings: StoreSettings, broker: Broker, logs: Path) -> Service:
    environment = {
        "HOLDOUT_HOME": str(home),
        "HOLDOUT_DATABASE_URL": settings.database_url,
        "HOLDOUT_ARTIFACTS_URL": settings.artifacts_url,
        "HOLDOUT_BROKER_URL": broker.url,
        "OMP_NUM_THREADS": "1",
        "MIMALLOC_ARENA_EAGER_COMMIT": "0",  # Arrow's allocator: take memory as it is used, not 32 MB at once
        "PYTHONUNBUFFERED": "1",
    }
    arguments = {"worker": commands.worker(), "sweeper": commands.sweeper(), "api": commands.api("127.0.0.1", port)}
    processes = [_Process(name, own, environment, logs / f"{name}.log", home / "processes") for name, own in arguments.items()]
    return Service(
        home=home,
        url=f"http://127.0.0.1:{port}",
        database=Database(create_engine(settings.database_url)),
        broker=broker,
        processes=processes,
    )


@contextlib.contextmanager
def _supervised(service: Service) -> Iterator[None]:
    for process in service.processes:
        process.start()
    watcher = threading.Thread(target=service.watch, name="watch", daemon=True)
    watcher.start()
    try:
        _wait_until_ready(service)
        yield
    finally:
        service.stopping.set()
        watcher.join()
        for process in service.processes:
            process.stop()
        for process in service.processes:
            process.wait(_STOP_SECONDS)
        service.database.dispose()


def _wait_until_ready(service: Service) -> None:
    give_up_at = time.monotonic() + _READY_SECONDS
    with httpx2.Client(timeout=2) as client:
        while time.monotonic() < give_up_at and not service.stopping.is_set():
            with contextlib.suppress(httpx2.HTTPError):
                if client.get(f"{service.url}/readyz").status_code == 200:
                    return
            time.sleep(0.05)
    raise ServiceFailed(service.failure or f"the service was not ready after {_READY_SECONDS:.0f} s; see {service.home / 'logs'}")


def _end_left_over(notes: Path) -> None:
    """End what a supervisor that was killed left running in this home."""
    for note in notes.glob("*"):
        with contextlib.suppress(psutil.NoSuchProcess, ValueError):
            number, created_at = note.read_text().split()
            process = psutil.Process(int(number))
            if process.create_time() == float(created_at):
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(_STOP_SECONDS)


@contextlib.contextmanager
def _only_one(home: Path) -> Iterator[None]:
    with (home / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServiceFailed(f"another holdout already runs in {home}: stop it, or choose another HOLDOUT_HOME") from None
        yield


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise ServiceFailed(f"port {port} is taken: set HOLDOUT_PORT to a free one") from None

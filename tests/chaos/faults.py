"""The faults that are injected into processes, database and disk. Each is a function that says what it did; messages has those of the broker."""

import random
import resource
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import httpx2
import psutil
from sqlalchemy import select

from store.tables import IdempotencyRow
from tests.chaos import messages
from tests.chaos.client import ChaosClient
from tests.chaos.databases import Postgres
from tests.chaos.jobs import Load
from tests.chaos.processes import Process, send
from tests.chaos.system import LEASE_SECONDS, System

_PATIENCE_SECONDS = 120.0
"""How long a fault waits for what it is to strike: after others, processes may have to come up first."""


@dataclass
class Scene:
    """What a fault may touch."""

    system: System
    load: Load
    rng: random.Random


def kill_child(scene: Scene) -> str:
    """SIGKILL a worker's child that holds a shard."""
    pid, shard = _held(scene)
    send(pid, signal.SIGKILL)
    return f"child {pid} with {shard}"


def out_of_memory(scene: Scene) -> str:
    """Kill as the kernel does when memory runs out: the largest of the workers' children."""
    sizes = {pid: size for pid in _children(scene) if (size := _memory(pid)) > 0}
    if not sizes:
        raise NothingToDisturb("all children died at this moment")
    pid = max(sizes, key=lambda one: sizes[one])
    send(pid, signal.SIGKILL)
    return f"child {pid} of {sizes[pid] // 2**20} MB"


def kill_parent(scene: Scene) -> str:
    """SIGKILL a worker's parent alone: its children are orphans at work."""
    worker = scene.rng.choice(scene.system.of("worker"))
    worker.signal(signal.SIGKILL)
    return worker.worker_name


def kill_worker(scene: Scene) -> str:
    """SIGKILL a worker, parent and children, as when its machine goes."""
    worker = scene.rng.choice(scene.system.of("worker"))
    with scene.system.tending:  # nobody starts it again between the two
        worker.signal_group(signal.SIGKILL)
    return worker.worker_name


def kill_api(scene: Scene) -> str:
    """SIGKILL an API."""
    api = scene.rng.choice(scene.system.of("api"))
    api.signal(signal.SIGKILL)
    return api.name


def kill_api_before_send(scene: Scene) -> str:
    """SIGKILL an API that has committed a job and not sent its id: the broker hangs meanwhile."""
    system, broker = scene.system, scene.system.broker.process
    index, name = _answering(scene), scene.load.next_name()
    api = system.of("api")[index]
    direct = ChaosClient([system.urls[index]])
    key = f"between-{scene.rng.getrandbits(64):x}"
    assert broker is not None
    send(broker.pid, signal.SIGSTOP)
    try:
        asked = threading.Thread(target=scene.load.submit_to, args=(direct, name, key), daemon=True)
        asked.start()
        give_up_at = time.monotonic() + 5
        is_committed = False
        while not is_committed and time.monotonic() < give_up_at:
            is_committed = bool(system.rows(select(IdempotencyRow.job_id).where(IdempotencyRow.key == key)))
        api.signal(signal.SIGKILL)
        asked.join(15)
    finally:
        send(broker.pid, signal.SIGCONT)
        direct.close()
    was_answered = not asked.is_alive() and bool(direct.answers["201"])
    scene.load.submit(name, key=key)  # the client asks again, wherever it can
    return f"{api.name}: {'committed' if is_committed else 'not yet committed'}, {'answered' if was_answered else 'not answered'}"


def kill_sweeper(scene: Scene) -> str:
    """SIGKILL one sweeper, or both."""
    killed = scene.system.of("sweeper")[: scene.rng.choice((1, 2))]
    for sweeper in killed:
        sweeper.signal(signal.SIGKILL)
    return ", ".join(sweeper.name for sweeper in killed)


def freeze_child(scene: Scene) -> str:
    """SIGSTOP a child that holds a shard for longer than its lease: somebody else goes on, and then it wakes."""
    pid, shard = _held(scene)
    return _freeze(scene, [pid], f"child {pid} with {shard}")


def freeze_worker(scene: Scene) -> str:
    """SIGSTOP a worker, parent and children or the parent alone, for longer than a lease."""
    worker = scene.rng.choice(scene.system.of("worker"))
    is_alone = scene.rng.random() < 0.5
    pids = [worker.pid] if is_alone else [worker.pid, *worker.children()]
    return _freeze(scene, pids, f"{worker.worker_name} {'parent' if is_alone else 'whole'}")


def restart_worker(scene: Scene) -> str:
    """SIGTERM a worker and start it again, as a rolling restart does."""
    worker = scene.rng.choice(scene.system.of("worker"))
    return _ask_to_end(scene, worker, 40)


def restart_api(scene: Scene) -> str:
    """SIGTERM an API and start it again."""
    return _ask_to_end(scene, scene.rng.choice(scene.system.of("api")), 20)


def take_database_away(scene: Scene) -> str:
    """Stop PostgreSQL as a crash does and start it again; hold SQLite's write lock."""
    return scene.system.database.take_away(scene.rng.uniform(0, 2.5))


def cut_connections(scene: Scene) -> str:
    """End all connections to PostgreSQL."""
    assert isinstance(scene.system.database, Postgres)
    return f"{scene.system.database.cut()} connections"


def fill_disk(scene: Scene) -> str:
    """Let the workers' children write no file larger than a little, for a while."""
    room, seconds = scene.rng.choice((0, 500, 4_000)), scene.rng.uniform(1, 2.5)
    limited = []
    for pid in _children(scene):
        with suppress(psutil.Error):
            _, hard = psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE)
            psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (room, hard))
            limited.append((pid, hard))
    time.sleep(seconds)
    for pid, hard in limited:
        with suppress(psutil.Error):
            psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
    return f"{room} bytes for {len(limited)} children, {seconds:.1f} s"


def step_clock(scene: Scene) -> str:
    """Set the clock of one process of a pair, or on SQLite everybody's: minutes, days, months, forth and back."""
    # Where the clock is everybody's a job may have waited, or not, for as long as it jumps: less than one may.
    furthest = 90 * 86_400 if scene.system.kind == "postgresql" else 86_400
    steps = (-86_400, -3_600, -30, 0, 30, 3_600, furthest)
    seconds = scene.rng.choice(steps)
    process = scene.rng.choice([process for process in scene.system.processes if process.clock is not None])
    process.step_clock(seconds)
    time.sleep(1)  # it is read once a second
    return f"{process.name if scene.system.kind == 'postgresql' else 'everybody'} {seconds:+d} s"


def _answering(scene: Scene) -> int:
    """Choose an API that answers; wait for one."""
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        for index in scene.rng.sample(range(len(scene.system.urls)), len(scene.system.urls)):
            with suppress(httpx2.HTTPError):
                if httpx2.get(f"{scene.system.urls[index]}/healthz", timeout=2).status_code == 200:
                    return index
        time.sleep(0.1)
    raise NothingToDisturb("no API answered")


def _memory(pid: int) -> int:
    """Give a process's memory in bytes; 0 of one that is gone."""
    with suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss)
    return 0


def _children(scene: Scene) -> list[int]:
    """List the workers' children; wait for some. A shard may be held by an orphan while all workers start again."""
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        _held(scene)
        found = [pid for worker in scene.system.of("worker") for pid in worker.children()]
        if found:
            return found
        time.sleep(0.1)
    raise NothingToDisturb("no worker had children")


def wait_until_busy(scene: Scene) -> None:
    """Wait until a worker holds a shard."""
    _held(scene)


def _held(scene: Scene) -> tuple[int, str]:
    """Choose a child of ours that holds a shard; wait for one."""
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        held = [(pid, shard) for pid, shard in scene.system.holders().items() if psutil.pid_exists(pid)]
        if held:
            return scene.rng.choice(sorted(held))
        time.sleep(0.02)
    raise NothingToDisturb("no worker held a shard")


class NothingToDisturb(RuntimeError):
    """There was nothing at which a fault could strike."""


def _freeze(scene: Scene, pids: list[int], what: str) -> str:
    seconds = LEASE_SECONDS + scene.rng.uniform(0.5, 2)
    stopped = [pid for pid in pids if send(pid, signal.SIGSTOP)]
    time.sleep(seconds)
    for pid in stopped:
        send(pid, signal.SIGCONT)
    return f"{what} for {seconds:.1f} s"


def _ask_to_end(scene: Scene, process: Process, seconds: float) -> str:
    began, old = time.monotonic(), process.popen
    process.signal(signal.SIGTERM)
    assert old is not None
    while old.poll() is None:
        if time.monotonic() - began > seconds:
            scene.load.faults.append(f"{process.name} had not ended {seconds:.0f} s after SIGTERM")
            if process.kind == "worker":
                process.signal(signal.SIGUSR1)  # Celery writes where each thread stands
                time.sleep(1)
            process.signal_group(signal.SIGKILL)
            break
        time.sleep(0.05)
    return f"{process.name}, ended after {time.monotonic() - began:.1f} s"


FAULTS: dict[str, Callable[[Scene], str]] = {
    "worker_child_killed": kill_child,
    "worker_child_out_of_memory": out_of_memory,
    "worker_parent_killed": kill_parent,
    "worker_killed": kill_worker,
    "worker_child_frozen": freeze_child,
    "worker_frozen": freeze_worker,
    "worker_restarted": restart_worker,
    "api_killed": kill_api,
    "api_killed_before_send": kill_api_before_send,
    "api_restarted": restart_api,
    "sweeper_killed": kill_sweeper,
    "broker_flushed": messages.flush,
    "broker_restarted": messages.restart,
    "broker_frozen": messages.freeze,
    "messages_duplicated": messages.duplicate,
    "messages_reordered": messages.reorder,
    "messages_stale": messages.send_stale,
    "database_taken_away": take_database_away,
    "database_connections_cut": cut_connections,
    "disk_full": fill_disk,
    "clock_stepped": step_clock,
}
"""By name, in the order in which they are reported."""


def kinds(database: str) -> list[str]:
    """List the faults that a system on this database can suffer."""
    return [name for name in FAULTS if database == "postgresql" or name != "database_connections_cut"]

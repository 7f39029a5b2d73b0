"""A campaign: calm runs first, then faults while jobs run, then what must be true after."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from tests.chaos import invariants
from tests.chaos.bodies import CHAOS_BODIES
from tests.chaos.client import ChaosClient, Unanswered
from tests.chaos.faults import FAULTS, NothingToDisturb, Scene, kinds, wait_until_busy
from tests.chaos.jobs import Load, Outcome, Submitted
from tests.chaos.report import say
from tests.chaos.system import System
from tests.chaos.watching import Watcher

T = TypeVar("T")
IN_FLIGHT = 4
_DRAIN_SECONDS = 120.0
_CALM_SECONDS = 300.0


@dataclass
class Findings:
    """What a campaign did and what it found."""

    injected: Counter[str] = field(default_factory=Counter)
    checked: int = 0
    faults: list[str] = field(default_factory=list)
    orders: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    restarts: dict[str, int] = field(default_factory=dict)
    looks: int = 0
    seconds: dict[str, float] = field(default_factory=dict)


class Campaign:
    """One run of the harness against one system."""

    def __init__(self, system: System, seed: int, faults: int, seconds: float, chosen: list[str], bodies: list[str]) -> None:
        self._system = system
        self._rng = random.Random(seed)
        self._wanted = faults
        self._until = time.monotonic() + seconds
        self._kinds = chosen or kinds(system.kind)
        self._client = ChaosClient(system.urls)
        self._load = Load(self._client, system.rows, random.Random(seed + 1), bodies or list(CHAOS_BODIES))
        self._stop = threading.Event()
        self._found = Findings()

    def run(self) -> Findings:
        """Run it all."""
        calm = self._timed("calm", self._calm)
        watcher = Watcher(self._system.urls)
        watcher.start()
        submitting = threading.Thread(target=self._submit, name="submit", daemon=True)
        submitting.start()
        self._timed("faults", self._inject)
        self._stop.set()
        submitting.join()
        if sum(self._found.injected.values()) < self._wanted:
            self._found.faults.append(f"only {sum(self._found.injected.values())} of {self._wanted} faults were injected in the time given")
        left = self._timed("drain", lambda: self._load.wait(_DRAIN_SECONDS))
        say(f"{len(self._load.jobs)} jobs were accepted, {len(left)} have not ended; checking")
        for job in self._load.jobs.values():
            self._found.faults += invariants.check_job(self._load, job, calm)
        self._found.checked = len(self._load.jobs)
        watcher.stop()
        self._found.looks = watcher.looks
        self._found.faults += watcher.faults + self._load.faults + self._client.faults
        self._found.faults += invariants.check_rows(self._system, self._load)
        self._timed("stop", self._end)
        self._found.answers, self._found.restarts = self._client.answers, self._system.restarts
        self._client.close()
        return self._found

    def _calm(self) -> dict[str, Outcome]:
        """Run every body once, undisturbed: what chaos must not change."""
        jobs = [self._load.submit(name) for name in self._load.names]
        left = self._load.wait(_CALM_SECONDS)
        outcomes = {job.body_name: self._load.outcome(job) for job in jobs}
        failed = [job.body_name for job in jobs if job.status != "succeeded"]
        if left or failed:
            raise RuntimeError(f"without any fault these jobs did not succeed: {failed}")
        return outcomes

    def _submit(self) -> None:
        """Keep some jobs in flight; one in ten is cancelled by its client."""
        rng = random.Random(self._rng.random())
        while not self._stop.is_set():
            try:
                flying = self._load.look()
                for job in flying:
                    self._disturb(job, rng)
                for _ in range(IN_FLIGHT - len(flying)):
                    is_cancelled = rng.random() < 0.1
                    self._load.submit(self._load.next_name(), is_doubled=rng.random() < 0.3, is_cancelled=is_cancelled)
            except Unanswered as error:
                self._found.faults.append(str(error))
            self._stop.wait(0.2)
        for job in self._load.in_flight():
            self._client.ask("POST", f"/v1/jobs/{job.job_id}/resume")

    def _disturb(self, job: Submitted, rng: random.Random) -> None:
        """Do with a job what clients do: cancel those that are to be, pause some others and resume them."""
        order = None
        if job.is_cancelled:
            order = "cancel" if job.status == "running" and rng.random() < 0.3 else None
        elif job.status == "paused":
            order = "resume" if rng.random() < 0.5 else None
        elif job.status == "running" and rng.random() < 0.03:
            order = "pause"
        if order is not None:
            answer = self._client.ask("POST", f"/v1/jobs/{job.job_id}/{order}")
            self._found.orders[f"{order} {answer.status_code}"] += 1

    def _inject(self) -> None:
        scene = Scene(self._system, self._load, self._rng)
        deck: list[str] = []
        while sum(self._found.injected.values()) < self._wanted and time.monotonic() < self._until:
            deck = deck or self._rng.sample(self._kinds, len(self._kinds))
            name = deck.pop()
            try:
                wait_until_busy(scene)
                began = time.monotonic()
                what = FAULTS[name](scene)
            except NothingToDisturb as error:
                say(f"     {name}: {error}; it comes again")
                deck.insert(0, name)
                continue
            self._found.injected[name] += 1
            say(f"{sum(self._found.injected.values()):4d} {name}: {what} ({time.monotonic() - began:.1f} s)")
            time.sleep(self._rng.uniform(0.2, 1.5))

    def _end(self) -> None:
        """Stop the system as an operator does, and see that nothing is left."""
        self._system.stopping.set()
        with self._system.tending:
            workers = {f"{worker.worker_name}/{pid}" for worker in self._system.of("worker") for pid in worker.children()}
            for process in self._system.processes:
                process.signal(signal.SIGTERM)
            for process in self._system.processes:
                if not process.stop(40):
                    self._found.faults.append(f"{process.name} had not ended 40 s after SIGTERM")
        self._found.faults += invariants.check_files(self._system)
        self._found.faults += invariants.check_stopped(self._system, workers)

    def _timed(self, name: str, work: Callable[[], T]) -> T:
        began = time.monotonic()
        done = work()
        self._found.seconds[name] = time.monotonic() - began
        say(f"{name}: {self._found.seconds[name]:.1f} s")
        return done

"""A process of the system: a group of its own, its output through a pipe, its clock from a file where it may be stepped."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import libfaketime
import psutil

MARK = "HOLDOUT_CHAOS_RUN"
"""In the environment of everything that a run starts: what is left behind is found by it."""


@dataclass
class Process:
    """A process that the harness starts again when it dies."""

    name: str
    kind: str
    arguments: list[str]
    environment: dict[str, str]
    log: Path
    clock: Path | None = None
    popen: subprocess.Popen[bytes] | None = None
    starts: int = 0
    groups: list[int] = field(default_factory=list)
    died_at: float | None = None

    def start(self) -> None:
        """Start it. Its output goes through a pipe: a limit on the size of files must not fall on its log."""
        self.starts += 1
        self.died_at = None
        environment = {**os.environ, **self.environment, "HOLDOUT_WORKER_NAME": self.worker_name, **self._clock_environment()}
        self.popen = subprocess.Popen(
            [sys.executable, *self.arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.groups.append(self.popen.pid)
        threading.Thread(target=self._copy, args=(self.popen,), name=f"log-{self.name}", daemon=True).start()

    @property
    def worker_name(self) -> str:
        """Differs from start to start, as host names and process ids do."""
        return f"chaos-{self.name}-{self.starts}"

    @property
    def is_running(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    @property
    def pid(self) -> int:
        assert self.popen is not None
        return self.popen.pid

    def children(self) -> list[int]:
        """List the processes that it forked."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return [child.pid for child in psutil.Process(self.pid).children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]
        return []

    def signal(self, number: int) -> None:
        """Signal the process alone."""
        if self.is_running:
            send(self.pid, number)

    def signal_group(self, number: int) -> None:
        """Signal it and all that it forked."""
        if self.popen is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.popen.pid, number)

    def stop(self, seconds: float) -> bool:
        """Ask it to end; tell whether it did in time. What is left of its groups is killed."""
        assert self.popen is not None
        self.signal_group(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        is_in_time = True
        try:
            self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            is_in_time = False
            self.signal_group(signal.SIGKILL)
            self.popen.wait()
        return is_in_time

    def step_clock(self, seconds: float) -> None:
        """Set its clock this far from the machine's."""
        assert self.clock is not None
        unfinished = self.clock.with_suffix(".new")
        unfinished.write_text(f"{seconds:+.0f}\n")
        unfinished.replace(self.clock)

    def _clock_environment(self) -> dict[str, str]:
        if self.clock is None:
            return {}
        if not self.clock.exists():
            self.step_clock(0)
        _, preload = libfaketime.get_reload_information()
        # The monotonic clock and the times of files are the machine's, as they would be if somebody set its clock.
        return {
            **{name: value for name, value in preload.items() if name != "FAKETIME_NO_CACHE"},
            "FAKETIME_TIMESTAMP_FILE": str(self.clock),
            "FAKETIME_CACHE_DURATION": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def _copy(self, popen: subprocess.Popen[bytes]) -> None:
        assert popen.stdout is not None
        with self.log.open("ab") as log:
            while content := os.read(popen.stdout.fileno(), 65536):
                log.write(content)
                log.flush()
        popen.stdout.close()


def send(pid: int, number: int) -> bool:
    """Signal a process that may be gone; tell whether it was there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def marked(run: str) -> list[psutil.Process]:
    """Find every process that this run started, whoever its parent is by now."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == run and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def wait_for_none(run: str, seconds: float) -> list[psutil.Process]:
    """Wait until no process of this run is left; give those that are."""
    give_up_at = time.monotonic() + seconds
    while (left := marked(run)) and time.monotonic() < give_up_at:
        time.sleep(0.1)
    return left

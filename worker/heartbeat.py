"""Keeps what a worker holds while that is long at work, listens for orders, and ends the process where an order is not heard in time."""

import contextvars
import os
import threading
import time
from types import TracebackType
from typing import Self

import structlog

from jobs.states import JobStatus
from store.advances import leave_advance, renew_advance
from store.commits import Finish, commit, time_limit_failure
from store.errors import DatabaseUnavailable, LeaseLost
from store.shards import Claim, release, renew
from worker.place import Workplace

_log = structlog.get_logger()
_TICK_SECONDS = 0.25


class Pulse:
    """A thread that renews a lease four times in its length, apart from how long what it is for takes.

    Once the process was asked to stop, what is held has `stop_seconds` to end. Then it is let go of, and the process ends.
    """

    def __init__(self, place: Workplace, what: str) -> None:
        """Prepare for one thing that is held."""
        self._place = place
        self._what = what
        self._stop = threading.Event()
        self._is_lost = threading.Event()
        self._leave_by: float | None = None
        run = contextvars.copy_context().run  # a thread knows what is bound where it was made: its lines name the job too
        self._thread = threading.Thread(target=run, args=(self._run,), name=f"heartbeat-{what}", daemon=True)

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop and wait for the thread."""
        self._stop.set()
        self._thread.join()

    @property
    def is_lost(self) -> bool:
        """Tell whether somebody else may hold it now."""
        return self._is_lost.is_set()

    def _run(self) -> None:
        between = self._place.lease_seconds / 4
        renew_at = time.monotonic() + between
        while not self._stop.wait(min(_TICK_SECONDS, between)):
            try:
                if time.monotonic() >= renew_at and not self.is_lost:
                    renew_at = time.monotonic() + between
                    self._renew()
                self._end_what_is_late()
            except LeaseLost:
                self._is_lost.set()
            except DatabaseUnavailable:
                _log.warning("heartbeat_failed", what=self._what)
            except Exception:  # noqa: BLE001  a heart that stops for a fault, or for want of memory, would lose what it keeps
                _log.exception("heartbeat_failed", what=self._what)

    def _end_what_is_late(self) -> None:
        if not self._place.must_leave():
            return
        now = time.monotonic()
        self._leave_by = self._leave_by or now + self._place.stop_seconds
        if now >= self._leave_by and not self._stop.is_set():
            try:
                if not self.is_lost:
                    self._let_go()
            except DatabaseUnavailable:
                pass  # its lease runs out
            _log.warning("left_at_work", what=self._what, seconds=self._place.stop_seconds)
            self._place.depart()

    def _renew(self) -> None:
        raise NotImplementedError

    def _let_go(self) -> None:
        raise NotImplementedError


class Heartbeat(Pulse):
    """Keeps a shard. A job that is `stop_seconds` beyond its time limit, for its epoch does not end, is ended from here."""

    def __init__(self, place: Workplace, claim: Claim) -> None:
        """Prepare for one claim."""
        super().__init__(place, claim.shard_id)
        self._claim = claim
        self._is_cancelled = threading.Event()
        self._is_pausing = False
        limit = claim.spec.get("time_limit_seconds")
        self._limit: float | None = limit
        self._end_by = None if limit is None else time.monotonic() + limit - claim.elapsed_seconds + place.stop_seconds

    @property
    def is_cancelled(self) -> bool:
        """Tell whether the job was asked to stop."""
        return self._is_cancelled.is_set()

    @property
    def is_pausing(self) -> bool:
        """Tell whether the job was to be paused when it was last asked."""
        return self._is_pausing

    def _renew(self) -> None:
        orders = renew(self._place.db, self._claim, self._place.lease_seconds)
        self._is_pausing = orders.is_pausing
        if orders.is_cancelled:
            self._is_cancelled.set()

    def _end_what_is_late(self) -> None:
        super()._end_what_is_late()
        if self._end_by is None or time.monotonic() < self._end_by or self._stop.is_set():
            return
        if not self.is_lost:
            failure = time_limit_failure(self._limit, is_at_work=True)
            commit(
                self._place.db,
                self._claim,
                lease_seconds=self._place.lease_seconds,
                finish=Finish(status=JobStatus.FAILED, failure=failure),
            )
            self._place.nudge(self._claim.job_id)
        _log.warning("job_ended_at_work", job=self._claim.job_id, shard=self._claim.shard_id)
        self._place.depart()

    def _let_go(self) -> None:
        release(self._place.db, self._claim)


class AdvancePulse(Pulse):
    """Keeps a plan while it is advanced."""

    def __init__(self, place: Workplace, job_id: str) -> None:
        """Prepare for one job."""
        super().__init__(place, job_id)
        self._job_id = job_id

    def _renew(self) -> None:
        if not renew_advance(self._place.db, self._job_id, self._place.worker_id, self._place.lease_seconds):
            self._is_lost.set()

    def _let_go(self) -> None:
        leave_advance(self._place.db, self._job_id, self._place.worker_id, is_undone=True)


def exit_now() -> None:
    """End this process at once: its main thread is at work and does not listen."""
    os._exit(1)

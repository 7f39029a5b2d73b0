"""Jobs under chaos: submitted with keys, by several clients at once, and what came of each, without its clock."""

import random
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from jobs.states import TERMINAL
from store.tables import JobRow
from tests.chaos.bodies import CHAOS_BODIES
from tests.chaos.client import ChaosClient

ENDED = {status.value for status in TERMINAL}
_CLOCKED = {"seconds", "created_at", "started_at", "finished_at", "at", "queued_seconds", "running_seconds"}


@dataclass
class Submitted:
    """A job that was accepted."""

    key: str
    body_name: str
    job_id: str
    is_cancelled: bool = False
    at: float = field(default_factory=time.monotonic)
    status: str = "queued"


@dataclass(frozen=True)
class Outcome:
    """What a job came to, without instants and durations."""

    status: str
    result: Any
    fits: Any
    curves: Any

    def differences(self, other: "Outcome") -> list[str]:
        """Name the places where two outcomes are not equal."""
        found: list[str] = []
        for name in ("status", "result", "fits", "curves"):
            found += _differences(getattr(self, name), getattr(other, name), name)
        return found[:5]


class Load:
    """Submits jobs and reads what came of them."""

    def __init__(self, client: ChaosClient, rows: Callable[[Any], list[Any]], rng: random.Random, names: list[str]) -> None:
        self.client = client
        self.jobs: dict[str, Submitted] = {}
        self.faults: list[str] = []
        self._rng = rng
        self.names = names
        self._rows = rows
        self._deck: list[str] = []
        self._lock = threading.Lock()

    def next_name(self) -> str:
        """Deal every body once before any comes again."""
        with self._lock:
            if not self._deck:
                self._deck = self._rng.sample(self.names, len(self.names))
            return self._deck.pop()

    def submit(self, name: str, *, key: str = "", is_doubled: bool = False, is_cancelled: bool = False) -> Submitted:
        """Submit, with a new key if none is given, twice at once where asked to: both answers must name one job."""
        key = key or uuid.uuid4().hex
        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(self.client.ask, "POST", "/v1/jobs", **_request(name, key)) for _ in range(1 + is_doubled)]
            answers = [one.result() for one in asked]
        refused = [answer for answer in answers if answer.status_code != 201]
        if refused:
            raise RuntimeError(f"{name} was answered {refused[0].status_code}: {refused[0].text[:300]}")
        ids = {answer.json()["id"] for answer in answers}
        if len(ids) != 1:
            self.faults.append(f"key {key} ({name}) made several jobs: {sorted(ids)}")
        job = Submitted(key=key, body_name=name, job_id=answers[0].json()["id"], is_cancelled=is_cancelled)
        with self._lock:
            self.jobs[job.job_id] = job
        return job

    def submit_to(self, client: ChaosClient, name: str, key: str) -> None:
        """Submit once through one API, which may die of it; whoever asks again with the key learns what became of it."""
        client.ask_once("POST", "/v1/jobs", **_request(name, key))

    def in_flight(self) -> list[Submitted]:
        """List jobs that have not ended, as far as is known."""
        with self._lock:
            return [job for job in self.jobs.values() if job.status not in ENDED]

    def look(self) -> list[Submitted]:
        """Read how jobs stand; give those that have not ended. From the database: asking the API this often would be a load of its own."""
        flying = {job.job_id: job for job in self.in_flight()}
        for row in self._rows(select(JobRow.id, JobRow.status).where(JobRow.id.in_(flying))):
            flying[row.id].status = row.status.value
        return self.in_flight()

    def wait(self, seconds: float) -> list[Submitted]:
        """Wait for the end of all jobs; give those that did not end in time."""
        give_up_at = time.monotonic() + seconds
        while left := self.look():
            if time.monotonic() > give_up_at:
                return left
            time.sleep(0.3)
        return []

    def outcome(self, job: Submitted) -> Outcome:
        """Read what a job came to."""
        read = self.client.get(f"/v1/jobs/{job.job_id}")
        return Outcome(
            status=read["status"],
            result=_unclocked(read["result"] if read["failure"] is None else {"failure": read["failure"]}),
            fits=_unclocked(self.client.get(f"/v1/jobs/{job.job_id}/fits")["items"]),
            curves=_unclocked(self.client.get(f"/v1/jobs/{job.job_id}/curves?max_points=100000")["fits"]),
        )


def _request(name: str, key: str) -> dict[str, Any]:
    return {"json": {**CHAOS_BODIES[name], "metadata": {"chaos": key}}, "headers": {"Idempotency-Key": key}}


def _unclocked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _unclocked(one) for name, one in value.items() if name not in _CLOCKED}
    return [_unclocked(one) for one in value] if isinstance(value, list) else value


def _differences(one: Any, other: Any, place: str) -> list[str]:
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [found for name in one for found in _differences(one[name], other[name], f"{place}/{name}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [found for i, pair in enumerate(zip(one, other, strict=True)) for found in _differences(*pair, f"{place}/{i}")]
    return [] if one == other else [f"{place}: {str(one)[:120]} in calm, {str(other)[:120]} under chaos"]

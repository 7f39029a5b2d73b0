"""A watcher that reads every job's status all through a run and holds it against the table of legal moves."""

import threading
from typing import Any

from jobs.states import MOVES, JobStatus
from tests.chaos.client import ChaosClient


def reachable() -> dict[JobStatus, frozenset[JobStatus]]:
    """Give what a job can have come to between two looks: any number of moves."""
    found = {status: frozenset({status}) | moves for status, moves in MOVES.items()}
    while True:
        further = {status: frozenset().union(*(found[step] for step in steps)) for status, steps in found.items()}
        if further == found:
            return found
        found = further


class Watcher:
    """Looks at the newest jobs twice a second. `faults` has what must not be."""

    def __init__(self, urls: list[str]) -> None:
        self._client = ChaosClient(urls)
        self._seen: dict[str, dict[str, Any]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._reachable = reachable()
        self.faults: list[str] = []
        self.looks = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self.faults += self._client.faults
        self._client.close()

    def see(self, job: dict[str, Any]) -> None:
        """Compare a look at a job with the one before."""
        before = self._seen.get(job["id"])
        self._seen[job["id"]] = job
        if before is None:
            return
        was, now = JobStatus(before["status"]), JobStatus(job["status"])
        if now not in self._reachable[was]:
            self.faults.append(f"{job['id']} went from {was.value} to {now.value}")
        if not MOVES[was] and job["version"] != before["version"]:
            self.faults.append(f"{job['id']} was {was.value}, and its version still rose from {before['version']} to {job['version']}")
        if job["version"] < before["version"]:
            self.faults.append(f"{job['id']}: its version fell from {before['version']} to {job['version']}")

    def _run(self) -> None:
        while not self._stop.wait(0.4):
            answer = self._client.ask_once("GET", "/v1/jobs?limit=40&fields=id,status,version")
            if answer is None or answer.status_code != 200:
                continue
            self.looks += 1
            for job in answer.json()["items"]:
                self.see(job)

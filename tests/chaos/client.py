"""A client as its users should write theirs: it asks another API when one is away, and says with a key that it asks again."""

import threading
import time
from collections import Counter
from typing import Any

import httpx2

PATIENCE_SECONDS = 120.0


class Unanswered(RuntimeError):
    """Nobody answered for a long time."""


class ChaosClient:
    """Asks one of several APIs until it is answered. What no fault excuses is noted in `faults`."""

    def __init__(self, urls: list[str]) -> None:
        self._urls = urls
        self._http = httpx2.Client(timeout=15)
        self._turn = 0
        self._lock = threading.Lock()
        self.answers: Counter[str] = Counter()
        self.faults: list[str] = []

    def close(self) -> None:
        self._http.close()

    def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Ask until there is an answer that is not a passing one."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up_at:
            answer = self.ask_once(method, path, **options)
            if answer is not None and answer.status_code < 500:
                return answer
            time.sleep(0.1)
        raise Unanswered(f"{method} {path}: no answer for {PATIENCE_SECONDS:.0f} s")

    def ask_once(self, method: str, path: str, **options: Any) -> httpx2.Response | None:
        """Ask the API whose turn it is; None if it is away."""
        with self._lock:
            self._turn += 1
            url = self._urls[self._turn % len(self._urls)]
        try:
            answer = self._http.request(method, url + path, **options)
        except httpx2.HTTPError as error:
            self.answers[type(error).__name__] += 1
            return None
        self.answers[str(answer.status_code)] += 1
        kind = answer.headers.get("content-type", "")
        if answer.status_code >= 400 and not kind.startswith("application/problem+json"):
            self.faults.append(f"{method} {path} was answered {answer.status_code} as {kind!r}")
        if answer.status_code >= 500 and answer.status_code != 503:
            self.faults.append(f"{method} {path} was answered {answer.status_code}: {answer.text[:200]}")
        return answer

    def get(self, path: str) -> Any:
        """Read, insisting on 200."""
        answer = self.ask("GET", path)
        if answer.status_code != 200:
            raise Unanswered(f"GET {path} was answered {answer.status_code}: {answer.text[:200]}")
        return answer.json()

"""Waiting for what is away, the database or the files, while listening to what else is wanted."""

import time
from collections.abc import Callable
from typing import Literal, TypeVar

import structlog

from store.artifacts import Artifacts
from store.errors import ArtifactsUnavailable, DatabaseUnavailable
from training.records import StopReason

T = TypeVar("T")
Reason = StopReason | Literal["leave", "pause"]
_LONGEST_PAUSE = 2.0
_log = structlog.get_logger()


class Interrupted(Exception):
    """Waiting was ended by an order."""

    def __init__(self, reason: Reason) -> None:
        """Say by which."""
        super().__init__(reason)
        self.reason = reason


def patiently(action: Callable[[], T], seconds: float, must_leave: Callable[[], bool]) -> T:
    """Do something, again and again for so many seconds while the database is away.

    Raises:
        DatabaseUnavailable: it stayed away, or this process is to stop.
    """
    give_up_at, pause = time.monotonic() + seconds, 0.1
    while True:
        try:
            return action()
        except DatabaseUnavailable:
            if time.monotonic() >= give_up_at or must_leave():
                raise
        time.sleep(pause)
        pause = min(_LONGEST_PAUSE, 2 * pause)


class PatientFiles:
    """Artifacts that may be away for a while: reads and writes wait for them, unless something else is wanted.

    What was waited for once in vain is not waited for again until it is back.
    """

    def __init__(self, artifacts: Artifacts, seconds: float, wanted: Callable[[], Reason | None]) -> None:
        """Wait for at most so many seconds; `wanted` says what else is."""
        self._artifacts = artifacts
        self._seconds = seconds
        self._wanted = wanted
        self._away_since: float | None = None

    def read(self, key: str) -> bytes:
        """Read an artifact.

        Raises:
            FileNotFoundError: there is none of this key.
            ArtifactsUnavailable: the store stayed away.
            Interrupted: something else is wanted.
        """
        return self.wait_for(lambda: self._artifacts.read(key))

    def write(self, key: str, content: bytes) -> str:
        """Store an artifact.

        Raises:
            ArtifactsUnavailable: the store stayed away.
            Interrupted: something else is wanted.
        """
        return self.wait_for(lambda: self._artifacts.write(key, content))

    def wait_for(self, action: Callable[[], T]) -> T:
        """Do something that needs files.

        Raises:
            ArtifactsUnavailable: the store stayed away.
            Interrupted: something else is wanted.
        """
        pause = 0.1
        while True:
            try:
                found = action()
            except ArtifactsUnavailable as error:
                now = time.monotonic()
                if self._away_since is None:
                    self._away_since = now
                    _log.warning("artifacts_unavailable", reason=str(error))
                reason = self._wanted()
                if reason is not None:
                    raise Interrupted(reason) from error
                if now - self._away_since >= self._seconds:
                    raise
            else:
                self._away_since = None
                return found
            time.sleep(pause)
            pause = min(_LONGEST_PAUSE, 2 * pause)

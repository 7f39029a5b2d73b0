"""Keeps a shard's lease while an epoch is long, and listens for orders."""

import threading
from types import TracebackType
from typing import Self

import structlog

from store.engine import Database
from store.errors import DatabaseUnavailable, LeaseLost
from store.shards import Claim, renew

_log = structlog.get_logger()


class Heartbeat:
    """A thread that renews a lease four times in its length, apart from how long an epoch takes."""

    def __init__(self, db: Database, claim: Claim, lease_seconds: float) -> None:
        """Prepare for one claim."""
        self._db = db
        self._claim = claim
        self._lease_seconds = lease_seconds
        self._stop = threading.Event()
        self._is_cancelled = threading.Event()
        self._is_pausing = False
        self._is_lost = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat-{claim.shard_id}", daemon=True)

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop and wait for the thread."""
        self._stop.set()
        self._thread.join()

    @property
    def is_cancelled(self) -> bool:
        """Tell whether the job was asked to stop."""
        return self._is_cancelled.is_set()

    @property
    def is_pausing(self) -> bool:
        """Tell whether the job was to be paused when it was last asked."""
        return self._is_pausing

    @property
    def is_lost(self) -> bool:
        """Tell whether somebody else may hold the shard now."""
        return self._is_lost.is_set()

    def _run(self) -> None:
        while not self._stop.wait(self._lease_seconds / 4):
            try:
                orders = renew(self._db, self._claim, self._lease_seconds)
                self._is_pausing = orders.is_pausing
                if orders.is_cancelled:
                    self._is_cancelled.set()
            except LeaseLost:
                self._is_lost.set()
                return
            except DatabaseUnavailable:
                _log.warning("heartbeat_failed", shard=self._claim.shard_id)

"""Noting which shards were handed to the queue: for many requests in one transaction, while none of them waits for it."""

import contextlib
import threading

from store.engine import Database
from store.errors import DatabaseUnavailable
from store.sweeping import mark_sent

_TOGETHER_SECONDS = 0.1
"""Well below the second for which the sweeper leaves new shards alone."""


class Sent:
    """Shards that were sent and are not noted yet. What is never noted is sent again, and its claim lets one delivery work."""

    def __init__(self, db: Database) -> None:
        """Begin with none."""
        self._db = db
        self._lock = threading.Lock()
        self._waiting: list[str] = []

    def add(self, shard_id: str) -> None:
        """Take a shard; it is noted soon."""
        with self._lock:
            self._waiting.append(shard_id)
            if len(self._waiting) > 1:
                return
        writer = threading.Timer(_TOGETHER_SECONDS, self.write)
        writer.daemon = True
        writer.start()

    def write(self) -> None:
        """Note what waits."""
        with self._lock:
            taken, self._waiting = self._waiting, []
        if taken:
            with contextlib.suppress(DatabaseUnavailable):
                mark_sent(self._db, taken, only_unclaimed=True)

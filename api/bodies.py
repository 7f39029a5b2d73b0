"""Answers that were made already, kept as bytes for as long as their job's version stands."""

import threading
from collections import OrderedDict
from collections.abc import Hashable

_ENTRY_BYTES = 500
"""What an answer takes beside its own bytes, about."""


class Bodies:
    """A bounded store of finished answers. A version rises with every change of a job, so an answer of this version is the answer.

    One thousand epochs take milliseconds to read and write; asking for the version and handing out bytes does not.
    """

    def __init__(self, max_bytes: int = 32_000_000) -> None:
        """Keep at most so many bytes; the longest unused go first, and one answer may take an eighth."""
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[int, bytes]] = OrderedDict()
        self._size = 0

    def get(self, key: Hashable, version: int) -> bytes | None:
        """Give the answer to `key` if it was made of this version."""
        with self._lock:
            found = self._kept.get(key)
            if found is None or found[0] != version:
                return None
            self._kept.move_to_end(key)
            return found[1]

    def put(self, key: Hashable, version: int, body: bytes) -> None:
        """Keep the answer to `key` as of a version."""
        if len(body) * 8 > self._max_bytes:
            return
        with self._lock:
            self._forget(key)
            self._kept[key] = (version, body)
            self._size += len(body) + _ENTRY_BYTES
            while self._size > self._max_bytes:
                self._forget(next(iter(self._kept)))

    def _forget(self, key: Hashable) -> None:
        gone = self._kept.pop(key, None)
        if gone is not None:
            self._size -= len(gone[1]) + _ENTRY_BYTES

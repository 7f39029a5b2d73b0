"""How much one client may ask: requests of a key, failures of an address, streams at once. Counted by each process for itself."""

import ipaddress
import math
import threading
import time
from collections import Counter

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from api.settings import ApiSettings


class Rates:
    """Counts by the minute, in a window that slides; constant cost and memory for each client."""

    def __init__(self, settings: ApiSettings) -> None:
        """Begin with nothing counted. A limit of 0 is none."""
        self._counts = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._requests = _per_minute(settings.max_requests_per_minute)
        self._failures = _per_minute(settings.max_failed_keys_per_minute)

    def count_request(self, key_id: str) -> int | None:
        """Count a request of a key; give the seconds to wait if it is one too many."""
        if self._requests is None or self._counts.hit(self._requests, "key", key_id):
            return None
        return self._wait(self._requests, "key", key_id)

    def count_failure(self, address: str) -> None:
        """Count a request that came with no valid key."""
        if self._failures is not None:
            self._counts.hit(self._failures, "address", _network(address))

    def failed_too_often(self, address: str) -> int | None:
        """Give the seconds to wait if too many requests from here had no valid key."""
        if self._failures is None or self._counts.test(self._failures, "address", _network(address)):
            return None
        return self._wait(self._failures, "address", _network(address))

    def _wait(self, limit: RateLimitItemPerMinute, *names: str) -> int:
        return max(1, math.ceil(self._counts.get_window_stats(limit, *names).reset_time - time.time()))


class Streams:
    """Event streams that are open: in this process, and of each owner."""

    def __init__(self, settings: ApiSettings) -> None:
        """Begin with none."""
        self._most, self._most_of_one = settings.max_event_streams, settings.max_event_streams_per_owner
        self._lock = threading.Lock()
        self._open: Counter[str | None] = Counter()

    def take(self, owner: str | None) -> bool:
        """Take a place, if there is one. Without keys (None) nobody is told from anybody: only the process's limit counts."""
        with self._lock:
            if self._open.total() >= self._most or (owner is not None and self._open[owner] >= self._most_of_one):
                return False
            self._open[owner] += 1
            return True

    def give_back(self, owner: str | None) -> None:
        """Give a place back."""
        with self._lock:
            self._open[owner] -= 1
            if self._open[owner] == 0:
                del self._open[owner]

    @property
    def num_open(self) -> int:
        """Count them."""
        return self._open.total()


def _per_minute(most: int) -> RateLimitItemPerMinute | None:
    return RateLimitItemPerMinute(most) if most else None


def _network(address: str) -> str:
    """Count whoever has a network of IPv6 addresses as one."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else address

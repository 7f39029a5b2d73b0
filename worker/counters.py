"""What a process has done since it began, counted in memory and written with its signs of life. Workers serve no HTTP to be scraped by."""

import threading

from store.workers import EPOCH_BUCKETS, Counts


class Counters:
    """Sums by name. Threads may count at once."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._lock = threading.Lock()
        self._counts: dict[str, float] = {}

    def add(self, name: str, amount: float = 1) -> None:
        """Count."""
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + amount

    def add_epoch(self, seconds: float) -> None:
        """Count an epoch of a fit under the smallest limit it kept."""
        self.add("epochs")
        self.add("epoch_seconds", seconds)
        for limit in EPOCH_BUCKETS:
            if seconds <= limit:
                self.add(f"epochs_within:{limit}")
                break

    def add_shard(self, came_of: str) -> None:
        """Count how a shard left this worker, where it was not trained to an end."""
        if came_of == "lost":
            self.add("lease_losses")
        elif came_of in {"handed_back", "paused"}:
            self.add("handed_back")

    @property
    def counts(self) -> Counts:
        """Give a copy."""
        with self._lock:
            return dict(self._counts)

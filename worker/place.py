"""What a worker process trains with."""

from collections.abc import Callable
from dataclasses import dataclass

from data.dataset import DatasetSource
from store.artifacts import Artifacts
from store.engine import Database


def _send_nothing(shard_id: str, device: str) -> None:
    """Leave it to the sweeper."""
    del shard_id, device


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """What a worker process trains with.

    `send` hands a shard's id to the queue and may fail: the sweeper sends what was not sent. `must_leave` is true once the
    process was asked to stop: the shard is handed back at the next epoch.
    """

    db: Database
    artifacts: Artifacts
    datasets: DatasetSource
    worker_id: str
    lease_seconds: float
    flush_seconds: float
    nudge: Callable[[str], None]
    checkpoint_seconds: float = 10.0
    send: Callable[[str, str], bool | None] = _send_nothing
    must_leave: Callable[[], bool] = lambda: False

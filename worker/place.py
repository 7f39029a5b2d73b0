"""What a worker process trains with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from data.dataset import DatasetSource
from jobs.materialize import PreparedRows
from jobs.plans.fits import PlannedFit
from store.artifacts import Artifacts
from store.engine import Database
from store.errors import ArtifactsUnavailable
from worker.counters import Counters

_log = structlog.get_logger()
_PREPARED_BYTES = 32_000_000
"""Rows of earlier jobs that a worker process keeps prepared."""


def _send_nothing(shard_id: str, device: str) -> None:
    """Leave it to the sweeper."""
    del shard_id, device


class Plans:
    """The fits of the round that was replayed last: a worker that trains one shard of it is likely to train the next."""

    def __init__(self) -> None:
        """Know of none yet."""
        self._key: tuple[str, int] | None = None
        self._planned: Mapping[int, PlannedFit] = {}

    def planned(self, job_id: str, index: int, replayed: Callable[[], Mapping[int, PlannedFit]]) -> Mapping[int, PlannedFit]:
        """Give all fits that a job's plan has asked for up to round `index`; `replayed` finds them out."""
        if self._key != (job_id, index):
            self._key, self._planned = None, {}
            self._planned = replayed()
            self._key = (job_id, index)
        return self._planned


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """What a worker process trains with.

    `send` hands a shard's id to the queue and may fail: the sweeper sends what was not sent. `must_leave` is true once the
    process was asked to stop: the shard is handed back at the next epoch, or after `stop_seconds`, when `depart` ends the
    process. Files that are away are waited for `patience_seconds`, the database `database_patience_seconds`.
    `keeps_last_checkpoints`: ended fits of plans that can be extended keep what they can be gone on with from.
    """

    db: Database
    artifacts: Artifacts
    datasets: DatasetSource
    worker_id: str
    lease_seconds: float
    flush_seconds: float
    nudge: Callable[[str], None]
    checkpoint_seconds: float = 10.0
    keeps_last_checkpoints: bool = True
    send: Callable[[str, str], bool | None] = _send_nothing
    must_leave: Callable[[], bool] = lambda: False
    depart: Callable[[], None] = lambda: None
    stop_seconds: float = 20.0
    patience_seconds: float = 300.0
    database_patience_seconds: float = 60.0
    max_run_seconds: float | None = None
    plans: Plans = field(default_factory=Plans)
    prepared: PreparedRows = field(default_factory=lambda: PreparedRows(_PREPARED_BYTES))
    counters: Counters = field(default_factory=Counters)

    def discard(self, keys: Sequence[str]) -> None:
        """Delete files that no row names any more. What is missed here is deleted when the job's folder is tidied."""
        try:
            self.artifacts.delete(keys)
        except ArtifactsUnavailable as error:
            _log.warning("artifacts_not_deleted", reason=str(error))

    def limited(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Give a job's spec with the time that it has here."""
        limits = [limit for limit in (spec["time_limit_seconds"], self.max_run_seconds) if limit is not None]
        return {**spec, "time_limit_seconds": min(limits, default=None)}

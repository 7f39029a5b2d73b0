"""Settings of workers and sweepers. Read from the environment, prefix `HOLDOUT_`."""

import os
from pathlib import Path

from pydantic import Field

from store.settings import StoreSettings


class WorkerSettings(StoreSettings):
    """What a worker needs beyond the store."""

    broker_url: str = Field("redis://127.0.0.1:6379/0", repr=False, description="Redis or Valkey URL of the queue and of nudges.")
    flush_seconds: float = Field(0.2, gt=0, description="Longest time that finished epochs wait to be stored.")
    checkpoint_seconds: float = Field(
        10.0,
        gt=0,
        description="Between checkpoints of fits in training: what a worker that dies loses at most, and an epoch. Longer where writing them takes more than a tenth of it.",
    )
    beat_seconds: float = Field(5.0, gt=0, description="Between a worker's signs of life.")
    sweep_seconds: float = Field(0.5, gt=0, description="Between a sweeper's rounds.")
    collect_seconds: float = Field(600.0, gt=0, description="Between a sweeper's searches for files that no row names.")
    sweeper_note: Path | None = Field(None, description="File that a sweeper touches after every round, for a check of its health.")
    concurrency: int = Field(max(1, (os.cpu_count() or 1) - 1), ge=1, description="Fits trained at once by one worker, each on one thread.")

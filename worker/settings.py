"""Settings of workers and sweepers. Read from the environment, prefix `HOLDOUT_`."""

import os

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
    keep_last_checkpoints: bool = Field(
        default=True,
        description="Whether ended fits keep the checkpoint from which their job can be extended: about four times the space of their weights.",
    )
    beat_seconds: float = Field(5.0, gt=0, description="Between a worker's signs of life.")
    sweep_seconds: float = Field(0.5, gt=0, description="Between a sweeper's rounds.")
    collect_seconds: float = Field(600.0, gt=0, description="Between a sweeper's searches for files that no row names.")
    concurrency: int = Field(max(1, (os.cpu_count() or 1) - 1), ge=1, description="Fits trained at once by one worker, each on one thread.")

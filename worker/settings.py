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
    keep_last_checkpoints: bool = Field(
        default=True,
        description="Whether ended fits keep the checkpoint from which their job can be extended: about four times the space of their weights.",
    )
    stop_seconds: float = Field(
        20.0,
        gt=0,
        description="How long an epoch may go on once its worker was asked to stop, or its job's time is over; then it is cut off.",
    )
    artifacts_patience_seconds: float = Field(
        300.0, ge=0, description="How long a worker waits for files that are away before their fits fail."
    )
    max_memory_bytes: int | None = Field(
        None,
        gt=0,
        description="Memory that the jobs of one child may take; unset is its share of four fifths of what this machine or container has.",
    )
    beat_seconds: float = Field(5.0, gt=0, description="Between a worker's signs of life.")
    sweep_seconds: float = Field(0.5, gt=0, description="Between a sweeper's rounds.")
    collect_seconds: float = Field(600.0, gt=0, description="Between a sweeper's searches for files that no row names.")
    sweeper_note: Path | None = Field(None, description="File that a sweeper touches after every round, for a check of its health.")
    concurrency: int = Field(max(1, (os.cpu_count() or 1) - 1), ge=1, description="Fits trained at once by one worker, each on one thread.")

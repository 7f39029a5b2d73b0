"""Settings of the API. Read from the environment, prefix `HOLDOUT_`."""

from pydantic import Field

from jobs.limits import Limits
from store.settings import StoreSettings


class ApiSettings(StoreSettings):
    """What the API needs beyond the store."""

    broker_url: str = Field("redis://127.0.0.1:6379/0", repr=False, description="Redis or Valkey URL of the queue and of nudges.")
    max_body_bytes: int = Field(1_000_000, ge=1, description="Largest request body, counted on bytes received.")
    max_queued_jobs: int = Field(10_000, ge=1, description="Jobs that may wait; beyond it a new one is refused with 429.")
    limits: Limits = Field(Limits(), description="Caps on one job.")

"""Settings of the API. Read from the environment, prefix `HOLDOUT_`."""

from pydantic import Field

from data.uploads.limits import UploadLimits
from jobs.limits import Limits
from store.settings import StoreSettings


class ApiSettings(StoreSettings):
    """What the API needs beyond the store."""

    broker_url: str = Field("redis://127.0.0.1:6379/0", repr=False, description="Redis or Valkey URL of the queue and of nudges.")
    max_body_bytes: int = Field(1_000_000, ge=1, description="Largest request body, counted on bytes received.")
    max_upload_bytes: int = Field(4_000_000_000, ge=1, description="Largest upload, counted on bytes received.")
    max_uploads_at_once: int = Field(2, ge=1, description="Uploads read at once; more wait their turn, up to a minute.")
    max_prediction_bytes: int = Field(32_000_000, ge=1, description="Largest body of a request for predictions.")
    max_prediction_rows: int = Field(10_000, ge=1, description="Most rows of one request for predictions.")
    max_queued_jobs: int = Field(10_000, ge=1, description="Jobs that may wait; beyond it a new one is refused with 429.")
    limits: Limits = Field(Limits(), description="Caps on one job.")
    upload_limits: UploadLimits = Field(UploadLimits(), description="Caps on one dataset.")

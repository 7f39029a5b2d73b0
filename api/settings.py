"""Settings of the API. Read from the environment, prefix `HOLDOUT_`."""

import re
from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from data.uploads.limits import UploadLimits
from jobs.limits import Limits
from store.settings import StoreSettings

_ORIGIN = re.compile(r"https?://[a-z0-9.\[\]:-]+", re.ASCII)


class ApiSettings(StoreSettings):
    """What the API needs beyond the store."""

    broker_url: str = Field("redis://127.0.0.1:6379/0", repr=False, description="Redis or Valkey URL of the queue and of nudges.")
    max_body_bytes: int = Field(1_000_000, ge=1, description="Largest request body, counted on bytes received.")
    max_upload_bytes: int = Field(4_000_000_000, ge=1, description="Largest upload, counted on bytes received.")
    max_uploads_at_once: int = Field(2, ge=1, description="Uploads read at once; more wait their turn, up to a minute.")
    max_prediction_bytes: int = Field(32_000_000, ge=1, description="Largest body of a request for predictions.")
    max_prediction_rows: int = Field(10_000, ge=1, description="Most rows of one request for predictions.")
    max_queued_jobs: int = Field(10_000, ge=1, description="Jobs that may wait; beyond it a new one is refused with 429.")
    max_requests_per_minute: int = Field(6000, ge=0, description="Requests of one key in a minute, in each API process; 0 is no limit.")
    max_failed_keys_per_minute: int = Field(60, ge=0, description="Requests without a valid key from one address; 0 is no limit.")
    max_event_streams: int = Field(1000, ge=1, description="Event streams that one API process holds open.")
    max_event_streams_per_owner: int = Field(200, ge=1, description="Those of one owner, where keys are used.")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins whose pages may call this service, separated by commas. None unless named, and never all."
    )
    limits: Limits = Field(Limits(), description="Caps on one job.")
    upload_limits: UploadLimits = Field(UploadLimits(), description="Caps on one dataset.")

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, given: Any) -> Any:
        return tuple(one.strip() for one in given.split(",") if one.strip()) if isinstance(given, str) else given

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for one in given:
            if _ORIGIN.fullmatch(one) is None:
                raise ValueError(f"{one} is no origin: name each as https://host or http://host:port, without a path; * is not taken")
        return given

"""The base of everything that goes out. A `View` is built from what the store says; nothing non-finite can be in it."""

import datetime as dt
from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer


def _utc(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


Instant = Annotated[dt.datetime, PlainSerializer(_utc, return_type=str, when_used="json")]
"""RFC 3339 in UTC with Z."""


class View(BaseModel):
    """Base of all answers: no NaN, no Infinity."""

    model_config = ConfigDict(allow_inf_nan=False, ser_json_inf_nan="null")

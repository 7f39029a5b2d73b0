"""Whether the service is well."""

from typing import Literal

from pydantic import Field

from api.views.base import View


class HealthView(View):
    """The process answers."""

    status: Literal["ok"] = "ok"


class ReadyView(View):
    """Whether jobs would be accepted and run."""

    status: Literal["ready", "not_ready"]
    checks: dict[str, str] = Field(description="ok, or what is wrong, by part.")
    warnings: dict[str, str] = Field(description="What keeps no job from being trained and is to be mended all the same, by part.")
    workers: int
    workers_by_device: dict[str, int]
    queued: int
    running: int
    oldest_queued_seconds: float | None

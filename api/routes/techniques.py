"""What a client builds its form from, and how much it may ask for."""

from functools import lru_cache
from typing import Any

from fastapi import APIRouter

from api.dependencies import Everything, Resources
from api.errors import responses
from api.strict import StrictRoute
from api.techniques import techniques
from api.views.catalog import LimitsView, TechniqueList, TechniqueView
from jobs.spec import JobSpec

router = APIRouter(prefix="/v1", tags=["catalog"], route_class=StrictRoute)


@router.get("/techniques", summary="List techniques", responses=responses(422))
def read_all(resources: Everything) -> TechniqueList:
    """List every network, optimizer, normalization, regularizer, schedule, split and plan with schema, defaults, rule and reference, and the published limits."""
    return TechniqueList(items=list(_known()), limits=_limits(resources).model_dump(), job_schema=_job_schema())


@router.get("/limits", summary="Read the published limits", responses=responses(422))
def read_limits(resources: Everything) -> LimitsView:
    """Read how much one job, one request and the queue may hold. Beyond a limit the answer is 413, 422 or 429."""
    return _limits(resources)


def _limits(resources: Resources) -> LimitsView:
    settings = resources.settings
    return LimitsView(
        **settings.limits.model_dump(),
        uploads=settings.upload_limits,
        max_upload_bytes=settings.max_upload_bytes,
        max_prediction_bytes=settings.max_prediction_bytes,
        max_prediction_rows=settings.max_prediction_rows,
        max_body_bytes=settings.max_body_bytes,
        max_queued_jobs=settings.max_queued_jobs,
        max_queue_seconds=settings.max_queue_seconds,
        max_run_seconds=settings.max_run_seconds,
        max_requests_per_minute=settings.max_requests_per_minute,
        max_failed_keys_per_minute=settings.max_failed_keys_per_minute,
        max_event_streams=settings.max_event_streams,
        max_event_streams_per_owner=settings.max_event_streams_per_owner,
    )


@lru_cache(maxsize=1)
def _job_schema() -> dict[str, Any]:
    return JobSpec.model_json_schema()


@lru_cache(maxsize=1)
def _known() -> tuple[TechniqueView, ...]:
    return tuple(techniques())

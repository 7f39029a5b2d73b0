"""What a client builds its form from."""

from functools import lru_cache

from fastapi import APIRouter

from api.dependencies import Everything
from api.errors import responses
from api.strict import StrictRoute
from api.techniques import techniques
from api.views import TechniqueList, TechniqueView
from jobs.spec import JobSpec

router = APIRouter(prefix="/v1/techniques", tags=["catalog"], route_class=StrictRoute)


@router.get("", summary="List techniques", responses=responses(422))
def read_all(resources: Everything) -> TechniqueList:
    """List every network, optimizer, normalization, regularizer, schedule, split and plan with schema, defaults, rule and reference, and the published limits."""
    return TechniqueList(items=list(_known()), limits=resources.settings.limits.model_dump(), job_schema=JobSpec.model_json_schema())


@lru_cache(maxsize=1)
def _known() -> tuple[TechniqueView, ...]:
    return tuple(techniques())

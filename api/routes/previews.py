"""What a job would be, before there is one."""

from fastapi import APIRouter

from api.dependencies import Everything, Me
from api.errors import responses
from api.routes.jobs import JobBody, check_device
from api.strict import StrictRoute
from api.views.catalog import PreviewView
from jobs.estimates import estimate
from store.workers import live, speeds

router = APIRouter(prefix="/v1/previews", tags=["jobs"], route_class=StrictRoute)


@router.post("", summary="Preview a job", responses=responses(413, 415, 422))
def preview(spec: JobBody, resources: Everything, me: Me) -> PreviewView:
    """Resolve a spec as submitting it would, creating nothing: defaults, divisions, layers, parameters, fits, steps, a guess of the time, warnings."""
    resolved = resources.resolve(spec, me)
    check_device(spec, resources)
    return PreviewView.of(
        resolved, resources.datasets.load(spec.dataset), estimate(resolved.first_round, resolved.info, speeds(live(resources.db)))
    )

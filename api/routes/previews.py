"""What a job would be, before there is one."""

from fastapi import APIRouter

from api.dependencies import Everything
from api.errors import responses
from api.routes.jobs import JobBody, check_device
from api.strict import StrictRoute
from api.views.catalog import PreviewView

router = APIRouter(prefix="/v1/previews", tags=["jobs"], route_class=StrictRoute)


@router.post("", summary="Preview a job", responses=responses(413, 415, 422))
def preview(spec: JobBody, resources: Everything) -> PreviewView:
    """Resolve a spec as submitting it would, creating nothing: defaults, divisions, layers, parameters, fits, steps, warnings."""
    check_device(spec, resources)
    return PreviewView.of(resources.resolve(spec), resources.datasets.load(spec.dataset))

"""Pictures of a job."""

from typing import Literal

from fastapi import APIRouter, Response

from api.dependencies import Everything, IfNoneMatch, JobId, Resources
from api.errors import responses
from api.etags import UNCHANGED, headers, is_current, unchanged
from api.strict import StrictRoute
from store.jobs import job_version

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"], route_class=StrictRoute)
_TYPES = {"png": "image/png", "svg": "image/svg+xml"}


@router.get(
    "/report.png",
    summary="Report as PNG",
    response_class=Response,
    responses={**responses(404, 422), **UNCHANGED, 200: {"content": {"image/png": {}}, "description": "A picture."}},
)
def read_png(job_id: JobId, resources: Everything, if_none_match: IfNoneMatch = None) -> Response:
    """Draw what the plan concluded: one fit's curves with the generalization gap shaded, folds with mean and band, a ranking, a search's settings, members, ...

    While a job runs, or where it failed, its curves are drawn as far as they are.
    """
    return _picture(job_id, resources, "png", if_none_match)


@router.get(
    "/report.svg",
    summary="Report as SVG",
    response_class=Response,
    responses={**responses(404, 422), **UNCHANGED, 200: {"content": {"image/svg+xml": {}}, "description": "A picture."}},
)
def read_svg(job_id: JobId, resources: Everything, if_none_match: IfNoneMatch = None) -> Response:
    """Draw the same as a vector picture."""
    return _picture(job_id, resources, "svg", if_none_match)


def _picture(job_id: str, resources: Resources, kind: Literal["png", "svg"], if_none_match: str | None) -> Response:
    version, _ = job_version(resources.db, job_id)
    if if_none_match is not None and is_current(if_none_match, version, f"-{kind}"):
        return unchanged(version, f"-{kind}")
    content = resources.bodies.get((job_id, kind), version)
    if content is None:
        from api.pictures.drawing import drawn  # noqa: PLC0415  matplotlib takes 30 MB, and most processes never draw

        version, content = drawn(job_id, resources, kind)
        resources.bodies.put((job_id, kind), version, content)
    told = {**headers(version, f"-{kind}"), "Content-Disposition": f'inline; filename="{job_id}-report.{kind}"'}
    return Response(content, media_type=_TYPES[kind], headers=told)

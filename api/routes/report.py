"""Pictures of a job."""

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Response

from api.dependencies import Everything, JobId, Resources
from api.errors import responses
from api.etags import UNCHANGED, headers, is_current, unchanged
from api.pictures import picture
from api.strict import StrictRoute
from store.epochs import curves
from store.jobs import JobState, get_job, job_version

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"], route_class=StrictRoute)
_TYPES = {"png": "image/png", "svg": "image/svg+xml"}
IfNoneMatch = Annotated[str | None, Header()]


@router.get(
    "/report.png",
    summary="Curves as PNG",
    response_class=Response,
    responses={**responses(404, 422), **UNCHANGED, 200: {"content": {"image/png": {}}, "description": "A picture."}},
)
def read_png(job_id: JobId, resources: Everything, if_none_match: IfNoneMatch = None) -> Response:
    """Draw the curves of a job: losses with the generalization gap shaded, accuracy or R2, the best epoch marked."""
    return _picture(job_id, resources, "png", if_none_match)


@router.get(
    "/report.svg",
    summary="Curves as SVG",
    response_class=Response,
    responses={**responses(404, 422), **UNCHANGED, 200: {"content": {"image/svg+xml": {}}, "description": "A picture."}},
)
def read_svg(job_id: JobId, resources: Everything, if_none_match: IfNoneMatch = None) -> Response:
    """Draw the curves of a job as a vector picture."""
    return _picture(job_id, resources, "svg", if_none_match)


def _picture(job_id: str, resources: Resources, kind: Literal["png", "svg"], if_none_match: str | None) -> Response:
    version, _ = job_version(resources.db, job_id)
    if if_none_match is not None and is_current(if_none_match, version, f"-{kind}"):
        return unchanged(version, f"-{kind}")
    content = resources.bodies.get((job_id, kind), version)
    if content is None:
        version, content = _drawn(job_id, resources, kind)
        resources.bodies.put((job_id, kind), version, content)
    return Response(content, media_type=_TYPES[kind], headers=headers(version, f"-{kind}"))


def _drawn(job_id: str, resources: Resources, kind: Literal["png", "svg"]) -> tuple[int, bytes]:
    job = get_job(resources.db, job_id)  # read first, its version is never newer than what is drawn
    found = curves(resources.db, job_id)
    sharpness = (job.result or {}).get("sharpness")
    unit = resources.datasets.info(job.dataset).target_unit
    return job.version, picture(job.name or job.id, _subtitle(job), found.fits, kind=kind, unit=unit, sharpness=sharpness)


def _subtitle(job: JobState) -> str:
    parts = [job.dataset, job.spec["network"]["name"], job.spec["optimizer"]["name"], job.status.value]
    gap = (job.result or {}).get("generalization_gap")
    if gap is not None:
        parts.append(f"gap {gap['value']:.4g} [{gap['low']:.4g}, {gap['high']:.4g}]")
    return "  \u00b7  ".join(parts)

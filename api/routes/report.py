"""Pictures of a job."""

from typing import Literal

from fastapi import APIRouter, Response

from api.dependencies import Db, JobId
from api.errors import responses
from api.pictures import picture
from api.strict import StrictRoute
from data.builtin import info
from store.engine import Database
from store.epochs import curves
from store.jobs import JobState, get_job

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"], route_class=StrictRoute)
_TYPES = {"png": "image/png", "svg": "image/svg+xml"}


@router.get(
    "/report.png",
    summary="Curves as PNG",
    response_class=Response,
    responses={**responses(404, 422), 200: {"content": {"image/png": {}}, "description": "A picture."}},
)
def read_png(job_id: JobId, db: Db) -> Response:
    """Draw the curves of a job: losses with the generalization gap shaded, accuracy or R2, the best epoch marked."""
    return _picture(job_id, db, "png")


@router.get(
    "/report.svg",
    summary="Curves as SVG",
    response_class=Response,
    responses={**responses(404, 422), 200: {"content": {"image/svg+xml": {}}, "description": "A picture."}},
)
def read_svg(job_id: JobId, db: Db) -> Response:
    """Draw the curves of a job as a vector picture."""
    return _picture(job_id, db, "svg")


def _picture(job_id: str, db: Database, kind: Literal["png", "svg"]) -> Response:
    job = get_job(db, job_id)
    found = curves(db, job_id)
    content = picture(job.name or job.id, _subtitle(job), found.fits, kind=kind, unit=info(job.dataset).target_unit)
    return Response(content, media_type=_TYPES[kind], headers={"Cache-Control": "no-cache"})


def _subtitle(job: JobState) -> str:
    parts = [job.dataset, job.spec["network"]["name"], job.spec["optimizer"]["name"], job.status.value]
    gap = (job.result or {}).get("generalization_gap")
    if gap is not None:
        parts.append(f"gap {gap['value']:.4g} [{gap['low']:.4g}, {gap['high']:.4g}]")
    return "  \u00b7  ".join(parts)

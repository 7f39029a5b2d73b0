"""Fits of a job, its result and its weights."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from api.dependencies import Db, Everything, JobId, Resources
from api.errors import ProblemError, responses
from api.strict import StrictRoute
from api.views.fits import FitList, FitView, guess_accuracy
from store.fits import get_fit, list_fits
from store.jobs import get_job

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"], route_class=StrictRoute)


@router.get("/fits", summary="List the fits of a job", responses=responses(404, 422))
def read_all(job_id: JobId, resources: Everything) -> FitList:
    """List fits with their best and last figures, gap, diagnosis and final evaluation."""
    guess = _guess(resources, job_id)
    return FitList(items=[FitView.of(fit, guess) for fit in list_fits(resources.db, job_id)])


@router.get("/fits/{number}", summary="Read a fit", responses=responses(404, 422))
def read(job_id: JobId, number: Annotated[int, Path(ge=1, le=1_000_000)], resources: Everything) -> FitView:
    """Read one fit."""
    return FitView.of(get_fit(resources.db, job_id, number), _guess(resources, job_id))


@router.get("/result", summary="Read the conclusion of a job", responses=responses(404, 409, 422))
def read_result(job_id: JobId, db: Db) -> dict[str, Any]:
    """Read what the plan concluded: for one fit, the final figures of its kept weights with 95 % intervals."""
    job = get_job(db, job_id)
    if job.result is None:
        raise ProblemError(409, "no_result", f"job {job_id} is {job.status.value} and has no result")
    return job.result


@router.get(
    "/model",
    summary="Download the kept weights",
    response_class=Response,
    responses={**responses(404, 409, 422), 200: {"content": {"application/octet-stream": {}}, "description": "A safetensors file."}},
)
def read_model(job_id: JobId, resources: Everything, fit: Annotated[int, Query(ge=1, le=1_000_000)] = 1) -> Response:
    """Download a fit's kept weights and running statistics as safetensors."""
    found = get_fit(resources.db, job_id, fit)
    if found.weights_url is None:
        raise ProblemError(409, "no_model", f"fit {fit} is {found.status.value} and has kept no weights")
    try:
        content = resources.artifacts.read(found.weights_url)
    except FileNotFoundError:
        raise ProblemError(404, "model_missing", "the stored weights are gone") from None
    return Response(
        content,
        media_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{job_id}-fit-{fit}.safetensors"'},
    )


def _guess(resources: Resources, job_id: str) -> float | None:
    return guess_accuracy(resources.datasets.info(get_job(resources.db, job_id).dataset))

"""Fits of a job, and its result."""

import logging
from typing import Annotated

from fastapi import APIRouter, Path, Response
from fastapi.openapi.models import Example
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from api.dependencies import Db, Everything, JobId, Resources
from api.errors import ProblemError, responses
from api.strict import StrictRoute
from api.views.fits import FitList, FitView
from data.dataset import DatasetInfo
from jobs.plans.conclusions import PlanResult, as_json, read_result
from jobs.spec import JobSpec
from store.fits import get_fit, list_fits
from store.jobs import get_job

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"], route_class=StrictRoute)
_log = logging.getLogger(__name__)
FitNumber = Annotated[int, Path(ge=1, le=1_000_000, openapi_examples={"first": Example(summary="The first fit", value=1)})]


@router.get("/fits", summary="List the fits of a job", responses=responses(404, 422))
def read_all(job_id: JobId, resources: Everything) -> FitList:
    """List fits with their best and last figures, gap, diagnosis and final evaluation."""
    spec, dataset = _asked(resources, job_id)
    return FitList(items=[FitView.of(fit, spec, dataset) for fit in list_fits(resources.db, job_id)])


@router.get("/fits/{number}", summary="Read a fit", responses=responses(404, 422))
def read(job_id: JobId, number: FitNumber, resources: Everything) -> FitView:
    """Read one fit."""
    return FitView.of(get_fit(resources.db, job_id, number), *_asked(resources, job_id))


@router.get("/result", summary="Read the conclusion of a job", response_model=PlanResult, responses=responses(404, 409, 422))
def read_conclusion(job_id: JobId, db: Db) -> Response:
    """Read what the plan concluded; `plan` tells which of the shapes it has.

    Each has a sentence, every fit with its final figures, and which of them may be asked for predictions.
    """
    job = get_job(db, job_id)
    if job.result is None:
        raise ProblemError(409, "no_result", f"job {job_id} is {job.status.value} and has no result")
    try:
        # Checked and written once: left to the framework, it would be done twice.
        return Response(as_json(read_result(job.result)), media_type="application/json")
    except ValidationError:
        _log.exception("the result of job %s is of another shape; it is sent as it is stored", job_id)
        return JSONResponse(job.result)


def _asked(resources: Resources, job_id: str) -> tuple[JobSpec, DatasetInfo]:
    """Give what a job was asked for, and of what data."""
    job = get_job(resources.db, job_id)
    return JobSpec.model_validate(job.spec), resources.datasets.info(job.dataset)

"""Pictures of a job."""

import logging
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Response
from pydantic import ValidationError

from api.dependencies import Everything, JobId, Resources
from api.errors import responses
from api.etags import UNCHANGED, headers, is_current, unchanged
from api.pictures.report import Report, picture
from api.pictures.style import Heading, Units
from api.strict import StrictRoute
from jobs.plans.conclusions import PlanResult, read_result
from jobs.spec import JobSpec
from store.epochs import curves
from store.jobs import JobState, get_job, job_version

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"], route_class=StrictRoute)
_TYPES = {"png": "image/png", "svg": "image/svg+xml"}
_log = logging.getLogger(__name__)
IfNoneMatch = Annotated[str | None, Header()]


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
        version, content = _drawn(job_id, resources, kind)
        resources.bodies.put((job_id, kind), version, content)
    return Response(content, media_type=_TYPES[kind], headers=headers(version, f"-{kind}"))


def _drawn(job_id: str, resources: Resources, kind: Literal["png", "svg"]) -> tuple[int, bytes]:
    job = get_job(resources.db, job_id)  # read first, its version is never newer than what is drawn
    info = resources.datasets.info(job.dataset)
    report = Report(
        heading=_heading(job),
        plan=JobSpec.model_validate(job.spec).plan,
        result=_result(job),
        curves=curves(resources.db, job_id).fits,
        units=Units(is_classes=info.task == "classification", unit=info.target_unit),
    )
    return job.version, picture(report, kind)


def _result(job: JobState) -> PlanResult | None:
    """Read the conclusion; one that cannot be read leaves the curves to be drawn."""
    try:
        return None if job.result is None else read_result(job.result)
    except ValidationError:
        _log.exception("the result of job %s is of another shape; its curves are drawn", job.id)
        return None


def _heading(job: JobState) -> Heading:
    parts = [job.dataset, job.spec["network"]["name"], job.spec["optimizer"]["name"]]
    if job.plan != "fit":
        parts.insert(0, job.plan.replace("_", " "))
    if job.num_fits > 1:
        parts.append(f"{job.num_fits} fits")
    parts.append(job.status.value)
    trouble = "" if job.failure is None else f"failed: {job.failure['detail']}"
    sentence = str((job.result or {}).get("sentence", ""))
    return Heading(title=job.name or job.id, subtitle="  \u00b7  ".join(parts), sentence=sentence, trouble=trouble)

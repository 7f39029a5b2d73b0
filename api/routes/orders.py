"""What a client orders of a job: cancel, pause, resume, extend."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Body, Response

from api.dependencies import Db, Everything, JobId, Me, Resources
from api.errors import ProblemDetail, ProblemError, responses
from api.etags import etag
from api.examples import EXTENSIONS
from api.guard import Identity
from api.routes.jobs import check_device, check_room, key_header
from api.sending import send_first, send_shards
from api.strict import StrictRoute
from api.views.jobs import JobView
from jobs.extending import CannotExtend, EndedJob, Extended, Extension, check_extendable, extend
from jobs.planning import shards_of
from jobs.problems import SpecProblems
from jobs.spec import JobSpec
from store.extending import extend_job, read_ended
from store.jobs import job_of_key
from store.orders import request_cancel, request_pause, request_resume
from store.sweeping import in_flight
from store.workers import live

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["jobs"], route_class=StrictRoute)

ExtensionKey = Annotated[str | None, key_header("e0c9a1f4-53d2-4c53-8d0b-0f6a9c1f7b2e")]
_OF_THE_SPEC = ("/training", "/plan", "/early_stopping", "/schedule")
"""Where a spec that was accepted is at fault once it has more epochs."""


@router.post("/cancel", status_code=202, summary="Cancel a job", responses=responses(404, 409, 413, 422))
def cancel(job_id: JobId, db: Db) -> JobView:
    """Cancel: a queued or paused job at once, a running one within an epoch. Again is no error.

    Its epochs stay, and the best weights of a job that was running. Of a paused one no worker is there to save them: they stay in its
    checkpoint, from which `extend` goes on.
    """
    return JobView.of(request_cancel(db, job_id))


@router.post("/pause", status_code=202, summary="Pause a job", responses=responses(404, 409, 413, 422))
def pause(job_id: JobId, db: Db) -> JobView:
    """Pause: a queued job at once, a running one within an epoch, where it keeps all that it has come to. Again is no error."""
    return JobView.of(request_pause(db, job_id))


@router.post("/resume", status_code=202, summary="Resume a paused job", responses=responses(404, 409, 413, 422))
def resume(job_id: JobId, resources: Everything) -> JobView:
    """Go on where the job paused: its curve is that of a job that was never paused. Again is no error."""
    resumed = request_resume(resources.db, job_id)
    send_shards(resumed.shard_ids[: in_flight(len(live(resources.db)))], resumed.job.device, resources)
    return JobView.of(resumed.job)


@router.post(
    "/extend",
    status_code=201,
    summary="Extend an ended job",
    responses={**responses(404, 409, 413, 415, 422, 429), 201: {"headers": {"Location": {"schema": {"type": "string"}}}}},
)
def extend_by(
    job_id: JobId,
    extension: Annotated[Extension, Body(openapi_examples=EXTENSIONS)],
    response: Response,
    resources: Everything,
    me: Me,
    idempotency_key: ExtensionKey = None,
) -> JobView:
    """Make a new job that goes on where this one ended, to more epochs: as if it had been submitted with so many at once.

    Its curves begin with those of this job, which stays as it is; either may be deleted. Fits that were stopped early keep
    their end. A schedule that depends on `max_epochs` gives another curve than from the beginning: `warnings` says so.
    409 tells why a job cannot be extended: `job_active`, `cannot_extend` (its plan), `nothing_to_extend`, `rows_changed`,
    `checkpoint_lost`.
    """
    body_hash = hashlib.sha256(f"{job_id} {extension.model_dump_json(exclude_unset=True)}".encode()).hexdigest()
    old = read_ended(resources.db, job_id)
    job = None if idempotency_key is None else job_of_key(resources.db, idempotency_key, body_hash, owner=old.owner)
    if job is None:
        found = _extended(old, extension, resources, me)
        check_room(resources)
        workers = len(live(resources.db))
        shards = shards_of(found.to_train, found.resolved.info, workers)
        created = extend_job(resources.db, resources.artifacts, found, shards, idempotency_key=idempotency_key, body_hash=body_hash)
        send_first(created.shard_ids[: in_flight(workers)], created.job.device, resources)
        job = created.job
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    response.headers["ETag"] = etag(job.version)
    return JobView.of(job)


def _extended(old: EndedJob, extension: Extension, resources: Resources, me: Identity) -> Extended:
    """Check that a job can be extended so, and find out what goes into the new one."""
    try:
        check_extendable(old)
        if old.furthest_epoch is not None and extension.max_epochs <= old.furthest_epoch:
            message = f"must be more than the {old.furthest_epoch} epochs that the job has come to"
            raise _refused(ProblemDetail(pointer="/max_epochs", code="too_few_epochs", message=message))
        spec = extension.of(old.spec)
        _check_device(spec, resources)
        return extend(old, resources.resolve(spec, me))
    except CannotExtend as error:
        raise ProblemError(409, error.code, error.detail) from error
    except SpecProblems as found:
        # The epochs are at fault, or what the job was made of is not there any more.
        if all(problem.pointer.startswith(_OF_THE_SPEC) for problem in found.problems):
            raise _refused(*(ProblemDetail(pointer="/max_epochs", code=one.code, message=one.message) for one in found.problems)) from found
        raise ProblemError(409, found.problems[0].code, f"job {old.id} cannot be trained any more: {found}") from found


def _check_device(spec: JobSpec, resources: Resources) -> None:
    """Refuse where there is no such device any more; the body has no say in it."""
    try:
        check_device(spec, resources)
    except ProblemError as error:
        raise ProblemError(409, error.errors[0].code, error.detail) from error


def _refused(*details: ProblemDetail) -> ProblemError:
    return ProblemError(422, "invalid_spec", f"{details[0].pointer}: {details[0].message}", errors=details)

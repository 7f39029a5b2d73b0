"""What a client orders of a job: cancel, pause, resume."""

from fastapi import APIRouter

from api.dependencies import Db, Everything, JobId
from api.errors import responses
from api.sending import send_shards
from api.strict import StrictRoute
from api.views.jobs import JobView
from store.orders import request_cancel, request_pause, request_resume
from store.sweeping import in_flight
from store.workers import live

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["jobs"], route_class=StrictRoute)


@router.post("/cancel", status_code=202, summary="Cancel a job", responses=responses(404, 409, 422))
def cancel(job_id: JobId, db: Db) -> JobView:
    """Cancel: a queued job at once, a running one within an epoch. Its epochs and best weights stay. Again is no error."""
    return JobView.of(request_cancel(db, job_id))


@router.post("/pause", status_code=202, summary="Pause a job", responses=responses(404, 409, 422))
def pause(job_id: JobId, db: Db) -> JobView:
    """Pause: a queued job at once, a running one within an epoch, where it keeps all that it has come to. Again is no error."""
    return JobView.of(request_pause(db, job_id))


@router.post("/resume", status_code=202, summary="Resume a paused job", responses=responses(404, 409, 422))
def resume(job_id: JobId, resources: Everything) -> JobView:
    """Go on where the job paused: its curve is that of a job that was never paused. Again is no error."""
    resumed = request_resume(resources.db, job_id)
    send_shards(resumed.shard_ids[: in_flight(len(live(resources.db)))], resumed.job.device, resources)
    return JobView.of(resumed.job)

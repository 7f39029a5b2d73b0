"""A plan goes on: replayed with what its fits came to, it asks for its next round or concludes. Any worker may do it, any number of times."""

import contextlib

import structlog

from jobs.planning import shards_of
from jobs.plans.fits import Conclusion, PlannedFit, Round
from jobs.plans.replay import replay
from jobs.spec import JobSpec
from jobs.states import JobStatus
from store.advances import begin_advance, leave_advance, mark_unadvanced
from store.commits import Finish, time_limit_failure
from store.errors import DatabaseUnavailable
from store.rounds import Standing, begin_round, finish_job, spent_checkpoints
from store.sweeping import in_flight, mark_sent, next_shard
from store.workers import live
from training.records import StopReason
from worker.failures import failure, failure_of
from worker.heartbeat import AdvancePulse
from worker.patience import Interrupted, PatientFiles, Reason, patiently
from worker.place import Workplace
from worker.results import results_of

_log = structlog.get_logger()


def advance(place: Workplace, job_id: str) -> str:
    """Bring a job's plan further, if it is to be.

    Tells what came of it: a job status, `next_round`, `not_ready`, `handed_back`, or `lost` where the database stays away.
    """
    try:
        if place.must_leave():
            mark_unadvanced(place.db, job_id)
            return "handed_back"
        found = patiently(
            lambda: begin_advance(place.db, job_id, place.worker_id, place.lease_seconds), place.database_patience_seconds, place.must_leave
        )
        if found is None:
            return "not_ready"
        with AdvancePulse(place, job_id) as pulse:
            came_of = patiently(lambda: _advance(place, found, pulse), place.database_patience_seconds, place.must_leave)
        if came_of in {"not_ready", "handed_back"}:
            leave_advance(place.db, job_id, place.worker_id, is_undone=came_of == "handed_back")
    except DatabaseUnavailable:  # the sweeper lets somebody try again
        _log.warning("database_lost", job=job_id)
        return "lost"
    return came_of


def _advance(place: Workplace, found: Standing, pulse: AdvancePulse) -> str:
    if found.is_timed_out:
        failure = time_limit_failure(place.limited(found.spec)["time_limit_seconds"])
        return _finish(place, found.job_id, Finish(status=JobStatus.FAILED, failure=failure))

    def wanted() -> Reason | None:
        return "leave" if place.must_leave() else StopReason.CANCELLED if pulse.is_lost else None

    files = PatientFiles(place.artifacts, place.patience_seconds, wanted)
    try:
        spec = JobSpec.model_validate(found.spec)
        dataset = files.wait_for(lambda: place.datasets.load(spec.dataset))
        replayed = replay(spec, dataset, results_of(found.results, files))
        if replayed.awaited is not None:
            shards = shards_of(replayed.awaited.fits, dataset.info, len(live(place.db)))
            return _begin(place, found, replayed.index, replayed.awaited, shards)
    except DatabaseUnavailable:
        raise
    except Interrupted as order:
        return "handed_back" if order.reason == "leave" else "not_ready"
    except Exception as error:  # noqa: BLE001  whatever it is, the job must end and say so; exits and signals are no Exceptions
        _log.exception("advance_failed", job=found.job_id)
        return _finish(place, found.job_id, Finish(status=JobStatus.FAILED, failure=failure_of(error)))
    assert replayed.conclusion is not None
    return _finish(place, found.job_id, finish_of(replayed.conclusion))


def send_next(place: Workplace, job_id: str, device: str) -> None:
    """Send one more shard of a job, behind those of other jobs that wait; whatever fails is made good by the sweeper."""
    with contextlib.suppress(DatabaseUnavailable):
        shard_id = next_shard(place.db, job_id)
        if shard_id is not None and place.send(shard_id, device):
            mark_sent(place.db, [shard_id])


def finish_of(conclusion: Conclusion) -> Finish:
    """Say how a job ends with its plan's conclusion."""
    if conclusion.failure is None:
        return Finish(status=JobStatus.SUCCEEDED, result=conclusion.result, pruned=conclusion.pruned)
    detail = failure(conclusion.failure, conclusion.message or "a fit diverged", retryable=conclusion.retryable)
    return Finish(status=JobStatus.FAILED, failure=detail, pruned=conclusion.pruned)


def _finish(place: Workplace, job_id: str, final: Finish) -> str:
    if not finish_job(place.db, job_id, final):
        return "not_ready"
    if final.pruned:
        place.discard(spent_checkpoints(place.db, job_id))
    place.nudge(job_id)
    _log.info("job_ended", job=job_id, status=final.status.value)
    return final.status.value


def _begin(place: Workplace, found: Standing, index: int, awaited: Round, shards: list[list[PlannedFit]]) -> str:
    ids = begin_round(place.db, found.job_id, index, awaited, shards)
    if awaited.pruned:
        place.discard(spent_checkpoints(place.db, found.job_id))
    sent = [shard_id for shard_id in ids[: in_flight(len(live(place.db)))] if place.send(shard_id, found.device)]
    if sent:
        mark_sent(place.db, sent)
    place.nudge(found.job_id)
    _log.info("round_begun", job=found.job_id, round=index, shards=len(ids))
    return "next_round" if ids else "not_ready"

"""Orders to cancel, pause and resume, wherever a job stands and whoever works at it, on both databases."""

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update

from jobs.plans.fits import Round
from jobs.states import JobStatus, ShardStatus
from store.advances import unadvanced
from store.commits import Finish, FitCheckpoint, commit
from store.engine import Database
from store.errors import Conflict, NotFound
from store.events import events_after
from store.fits import get_fit
from store.jobs import JobState, get_job
from store.orders import request_cancel, request_pause, request_resume
from store.rounds import begin_round, finish_job
from store.shards import claim, release, release_worker, renew
from store.sweeping import due, mark_sent, reap
from store.tables import JobRow, ShardRow
from tests.factories import LEASE, a_claim, a_diverged_job, a_job, a_record, a_succeeded_job, an_end
from tests.rounds import SUCCESS, a_job_of_folds, done, epochs_of, four_folds, records_of, shards_of_job, take

ORDERS: dict[str, Callable[[Database, str], Any]] = {"cancel": request_cancel, "pause": request_pause, "resume": request_resume}


def _told(job: JobState) -> list[str]:
    return [one["status"] for one in job.transitions]


def _long_ago(db: Database, job_id: str, *columns: str, seconds: float = 1000) -> None:
    """Let instants of a job lie further back."""
    with db.write() as connection:
        row = connection.execute(select(*(getattr(JobRow, name) for name in columns)).where(JobRow.id == job_id)).one()
        earlier = {name: at - dt.timedelta(seconds=seconds) for name, at in zip(columns, row, strict=True)}
        connection.execute(update(JobRow).where(JobRow.id == job_id).values(**earlier))


def test_a_queued_job_pauses_at_once_and_nobody_works_at_it(db: Database) -> None:
    created = a_job(db)
    job = request_pause(db, created.job.id)
    assert (job.status, job.pause_requested_at, job.phase) == (JobStatus.PAUSED, None, "paused")
    assert request_pause(db, job.id) == job
    assert claim(db, created.shard_ids[0], "w/1", LEASE) is None
    assert due(db, grace_seconds=-1) == []
    assert reap(db) == []
    resumed = request_resume(db, job.id)
    assert (resumed.job.status, resumed.shard_ids) == (JobStatus.QUEUED, created.shard_ids)
    assert request_resume(db, job.id).job == resumed.job
    assert [one.shard_id for one in due(db, grace_seconds=-1)] == created.shard_ids
    a_claim(db, created)
    assert _told(get_job(db, job.id)) == ["queued", "paused", "queued", "running"]


def test_a_job_of_two_workers_pauses_with_the_last_shard_that_comes_back(db: Database) -> None:
    created = a_job_of_folds(db, [1, 2], [3, 4])
    held = [take(db, shard, f"w/{i}") for i, shard in enumerate(created.shard_ids)]
    job = request_pause(db, created.job.id)
    assert (job.status, job.pause_requested_at is not None, job.phase) == (JobStatus.RUNNING, True, "pausing")
    assert request_pause(db, job.id) == job
    assert all(renew(db, one, LEASE).is_pausing for one in held)
    commit(
        db, held[0], lease_seconds=LEASE, epochs=records_of(1, 0), checkpoints=[FitCheckpoint(number=1, epoch=0, url="jobs/j/c.checkpoint")]
    )
    assert release(db, held[0])
    assert get_job(db, job.id).status is JobStatus.RUNNING
    assert claim(db, created.shard_ids[0], "w/3", LEASE) is None
    assert release(db, held[1])
    paused = get_job(db, job.id)
    assert (paused.status, paused.pause_requested_at, paused.fit_counts) == (JobStatus.PAUSED, None, {"pending": 4})
    assert not release(db, held[1])
    assert request_resume(db, job.id).shard_ids == created.shard_ids
    again = take(db, created.shard_ids[0], "w/4")
    assert [(fit.number, fit.checkpoint_epoch) for fit in again.fits] == [(1, 0), (2, None)]
    assert epochs_of(db, job.id) == [(1, 0)]
    assert _told(get_job(db, job.id)) == ["queued", "running", "paused", "queued", "running"]


def test_a_shard_that_ends_while_its_job_pauses_is_the_last_that_comes_back(db: Database) -> None:
    created = a_job_of_folds(db, [1, 2], [3, 4])
    held = take(db, created.shard_ids[0])
    request_pause(db, created.job.id)
    orders = done(db, held, 1, 2)
    assert (orders.is_pausing, orders.must_advance) == (True, False)
    assert get_job(db, created.job.id).status is JobStatus.PAUSED
    assert request_resume(db, created.job.id).shard_ids == [created.shard_ids[1]]
    assert done(db, take(db, created.shard_ids[1]), 3, 4).must_advance


def test_a_pause_that_comes_with_the_jobs_end_comes_too_late(db: Database) -> None:
    created = a_job(db)
    held = a_claim(db, created)
    request_pause(db, created.job.id)
    commit(db, held, lease_seconds=LEASE, epochs=[a_record(0)], outcomes=[an_end()], finish=SUCCESS)
    job = get_job(db, created.job.id)
    assert (job.status, job.pause_requested_at) == (JobStatus.SUCCEEDED, None)
    for order in ("pause", "resume"):
        with pytest.raises(Conflict) as caught:
            ORDERS[order](db, job.id)
        assert (caught.value.code, "succeeded" in caught.value.detail) == ("job_ended", True)


def test_between_two_rounds_a_job_pauses_at_once_and_its_plan_goes_on_when_it_is_resumed(db: Database) -> None:
    """B049: whoever was about to advance it does not."""
    created = a_job_of_folds(db, [1, 2, 3, 4], later=1)
    last = replace(four_folds()[0], number=5)
    assert done(db, take(db, created.shard_ids[0]), 1, 2, 3, 4).must_advance
    assert request_pause(db, created.job.id).status is JobStatus.PAUSED
    assert begin_round(db, created.job.id, 1, Round(fits=[last]), [[last]]) == []
    assert not finish_job(db, created.job.id, SUCCESS)
    assert unadvanced(db, grace_seconds=-1) == []
    resumed = request_resume(db, created.job.id)
    assert (resumed.job.status, resumed.shard_ids) == (JobStatus.RUNNING, [])
    assert unadvanced(db) == [(created.job.id, "auto")]  # at once
    [shard] = begin_round(db, created.job.id, 1, Round(fits=[last]), [[last]])
    assert done(db, take(db, shard), 5).must_advance
    assert finish_job(db, created.job.id, SUCCESS)
    assert _told(get_job(db, created.job.id)) == ["queued", "running", "paused", "queued", "running", "succeeded"]


def test_a_job_whose_worker_died_pauses_when_that_is_noticed_and_goes_on_from_its_checkpoint(db: Database) -> None:
    """B009."""
    created = a_job_of_folds(db, [1, 2], [3, 4])
    dead = take(db, created.shard_ids[0], "dead/1")
    alive = take(db, created.shard_ids[1], "alive/1")
    kept = FitCheckpoint(number=1, epoch=1, url="jobs/j/fit-1.checkpoint")
    commit(db, dead, lease_seconds=LEASE, epochs=records_of(1, 0, 1, 2), checkpoints=[kept])
    request_pause(db, created.job.id)
    assert release_worker(db, "dead/") == [created.shard_ids[0]]
    assert due(db, grace_seconds=-1) == []
    assert reap(db) == []  # somebody still works
    assert release(db, alive)
    assert get_job(db, created.job.id).status is JobStatus.RUNNING
    assert reap(db) == [created.job.id]
    assert get_job(db, created.job.id).status is JobStatus.PAUSED
    assert reap(db) == []
    assert request_resume(db, created.job.id).shard_ids == created.shard_ids
    held = take(db, created.shard_ids[0], "alive/2")
    assert [(fit.number, fit.checkpoint_epoch) for fit in held.fits] == [(1, 1), (2, None)]
    assert epochs_of(db, created.job.id) == [(1, 0), (1, 1)]


@pytest.mark.parametrize("is_dead", [False, True])
def test_a_cancellation_ends_a_job_that_was_to_pause(db: Database, is_dead: bool) -> None:
    """B008: whether its worker comes back or dies, it never pauses any more."""
    created = a_job(db)
    held = a_claim(db, created)
    request_pause(db, created.job.id)
    assert request_cancel(db, created.job.id).status is JobStatus.RUNNING
    with pytest.raises(Conflict) as caught:
        request_pause(db, created.job.id)
    assert caught.value.code == "job_cancelling"
    if is_dead:
        release_worker(db, "worker/1")
        assert reap(db) == [created.job.id]
    else:
        assert release(db, held)
    job = get_job(db, created.job.id)
    assert (job.status, job.pause_requested_at, job.fit_counts) == (JobStatus.CANCELLED, None, {"cancelled": 1})
    assert _told(job) == ["queued", "running", "cancelled"]
    assert events_after(db, job.id, 0).events[-1].kind == "finished"


def test_a_paused_job_is_cancelled_at_once_and_its_pause_counts_as_one(db: Database) -> None:
    created = a_job(db)
    held = a_claim(db, created)
    request_pause(db, created.job.id)
    release(db, held)
    _long_ago(db, created.job.id, "started_at", "paused_at")
    job = request_cancel(db, created.job.id)
    assert job.status is JobStatus.CANCELLED
    assert job.finished_at is not None
    assert job.started_at is not None
    assert 1000 <= job.paused_seconds <= (job.finished_at - job.started_at).total_seconds() < 1100
    assert request_cancel(db, created.job.id) == job
    assert claim(db, created.shard_ids[0], "w/2", LEASE) is None


def test_a_resume_before_the_pause_takes_it_back(db: Database) -> None:
    created = a_job_of_folds(db, [1, 2], [3, 4])
    held = take(db, created.shard_ids[0])
    request_pause(db, created.job.id)
    mark_sent(db, created.shard_ids)
    assert claim(db, created.shard_ids[1], "w/2", LEASE) is None  # its message was turned away
    resumed = request_resume(db, created.job.id)
    assert (resumed.job.status, resumed.job.pause_requested_at, resumed.shard_ids) == (JobStatus.RUNNING, None, [created.shard_ids[1]])
    assert not renew(db, held, LEASE).is_pausing
    assert request_resume(db, created.job.id).job == resumed.job
    assert [one.shard_id for one in due(db, workers=4, grace_seconds=-1)] == [created.shard_ids[1]]
    assert release(db, held)  # a worker that learned of the pause and not of the resumption
    assert get_job(db, created.job.id).status is JobStatus.RUNNING
    assert {one.shard_id for one in due(db, workers=4, grace_seconds=-1)} == set(created.shard_ids)
    assert shards_of_job(db, created.job.id) == dict.fromkeys(created.shard_ids, ShardStatus.PENDING)
    assert [event.kind for event in events_after(db, created.job.id, 0).events].count("resumed") == 1


@pytest.mark.parametrize("order", ["pause", "resume"])
def test_orders_given_by_many_at_once_are_one_change(db: Database, order: str) -> None:
    """B049."""
    created = a_job(db)
    if order == "resume":
        request_pause(db, created.job.id)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: ORDERS[order](db, created.job.id), range(4)))
    assert _told(get_job(db, created.job.id)) == ["queued", "paused", "queued"][: 2 if order == "pause" else 3]


def test_time_in_which_a_job_is_paused_or_waits_to_go_on_is_no_running_time(db: Database) -> None:
    """B094: nor does it use its time limit up."""
    created = a_job(db, time_limit_seconds=60)
    held = a_claim(db, created)
    request_pause(db, created.job.id)
    release(db, held)
    _long_ago(db, created.job.id, "started_at", "paused_at")
    request_resume(db, created.job.id)
    assert 1000 <= get_job(db, created.job.id).paused_seconds < 1060
    _long_ago(db, created.job.id, "started_at", "queued_at", seconds=500)
    again = a_claim(db, created)
    assert again.elapsed_seconds < 60
    assert 1500 <= get_job(db, created.job.id).paused_seconds < 1560


def test_an_attempt_that_was_handed_back_for_a_pause_is_not_counted_as_idle(db: Database) -> None:
    created = a_job(db)
    for attempt in range(5):
        held = a_claim(db, created, worker=f"w/{attempt}")
        request_pause(db, created.job.id)
        assert release(db, held)
        request_resume(db, created.job.id)
    with db.read() as connection:
        assert connection.scalar(select(ShardRow.idle_attempts)) == 0
    assert reap(db) == []


def test_orders_to_ended_or_unknown_jobs_are_refused(db: Database) -> None:
    created = a_job(db)
    request_cancel(db, created.job.id)
    ended = {a_succeeded_job(db): "succeeded", a_diverged_job(db): "failed", created.job.id: "cancelled"}
    for job_id, status in ended.items():
        before = get_job(db, job_id)
        for name, order in ORDERS.items():
            if (name, status) == ("cancel", "cancelled"):
                assert order(db, job_id) == before
                continue
            with pytest.raises(Conflict) as caught:
                order(db, job_id)
            assert (caught.value.code, status in caught.value.detail) == ("job_ended", True)
        assert get_job(db, job_id) == before
    for order in ORDERS.values():
        with pytest.raises(NotFound):
            order(db, "job_unknown")


def test_the_best_weights_of_a_fit_that_ended_before_the_pause_stay(db: Database) -> None:
    created = a_job_of_folds(db, [1, 2], [3, 4])
    held = take(db, created.shard_ids[0])
    url = "jobs/j/fit-1.safetensors"
    commit(db, held, lease_seconds=LEASE, epochs=records_of(1, 0, 1), outcomes=[replace(an_end(weights_url=url), last_epoch=1)])
    request_pause(db, created.job.id)
    release(db, held)
    request_resume(db, created.job.id)
    assert [fit.number for fit in take(db, created.shard_ids[0]).fits] == [2]
    assert get_fit(db, created.job.id, 1).weights_url == url
    commit(db, take(db, created.shard_ids[1]), lease_seconds=LEASE, finish=Finish(status=JobStatus.CANCELLED), is_done=True)

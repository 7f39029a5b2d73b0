"""Jobs of several shards and rounds, on both databases: who goes on, who ends, and that nothing is lost or done twice."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import func, select, update

from jobs.plans.fits import Round
from jobs.states import FitStatus, JobStatus, ShardStatus
from store.advances import unadvanced
from store.commits import Finish, FitCheckpoint, commit, time_limit_failure
from store.engine import Database
from store.errors import LeaseLost
from store.events import events_after
from store.fits import get_fit, list_fits
from store.jobs import get_job
from store.orders import request_cancel
from store.rounds import begin_round, finish_job, results, standing
from store.shards import claim, release, release_worker
from store.sweeping import due, mark_sent, reap
from store.tables import EpochRow, EventRow, FitRow, JobRow
from tests.factories import LEASE
from tests.rounds import (
    EPOCHS,
    FIGURES,
    SUCCESS,
    a_job_of_folds,
    an_end_of,
    done,
    epochs_of,
    four_folds,
    let_lease_run_out,
    pauses,
    records_of,
    shards_of_job,
    statuses_of,
    take,
    tire,
)


def test_two_workers_take_one_shard_each_and_only_the_last_to_end_is_alone_with_the_plan(db: Database) -> None:
    """B097: whoever ends the last shard of a round is told to advance, exactly once."""
    created = a_job_of_folds(db, [1, 2], [3, 4])
    first, second = (take(db, shard, f"w/{i}") for i, shard in enumerate(created.shard_ids))
    assert (first.is_alone, second.is_alone) == (False, False)
    assert ([fit.number for fit in first.fits], [fit.number for fit in second.fits]) == ([1, 2], [3, 4])
    assert claim(db, created.shard_ids[0], "w/2", LEASE) is None
    assert not done(db, second, 3, 4).must_advance
    assert standing(db, created.job.id) is None
    assert done(db, first, 1, 2).must_advance
    found = standing(db, created.job.id)
    assert found is not None
    assert [one.status for one in found.results] == [FitStatus.FINISHED] * 4
    with pytest.raises(LeaseLost):
        done(db, first)
    assert epochs_of(db, created.job.id) == [(number, epoch) for number in range(1, 5) for epoch in range(EPOCHS + 1)]


def test_of_shards_that_end_at_once_exactly_one_advances(db: Database) -> None:
    """B049, B097."""
    created = a_job_of_folds(db, [1], [2], [3], [4])
    held = [take(db, shard, f"w/{i}") for i, shard in enumerate(created.shard_ids)]
    with ThreadPoolExecutor(4) as pool:
        orders = list(pool.map(lambda i: done(db, held[i], i + 1), range(4)))
    assert sum(one.must_advance for one in orders) == 1
    assert len({one.version for one in orders}) == 4


def test_one_that_claims_when_no_other_shard_is_open_is_alone(db: Database) -> None:
    created = a_job_of_folds(db, [1, 2], [3, 4])
    done(db, take(db, created.shard_ids[0]), 1, 2)
    last = take(db, created.shard_ids[1])
    assert last.is_alone
    commit(db, last, lease_seconds=LEASE, outcomes=[an_end_of(3), an_end_of(4)], finish=SUCCESS)
    assert get_job(db, created.job.id).status is JobStatus.SUCCEEDED
    assert unadvanced(db, grace_seconds=-1) == []


def test_a_round_begins_once_however_many_begin_it_and_whatever_became_of_it(db: Database) -> None:
    created = a_job_of_folds(db, [1, 2, 3, 4], later=1)
    job_id = created.job.id
    last = replace(four_folds()[0], number=5)
    assert begin_round(db, job_id, 1, Round(fits=[last]), [[last]]) == []  # its first round is open
    assert done(db, take(db, created.shard_ids[0]), 1, 2, 3, 4).must_advance
    assert get_job(db, job_id).num_fits == 5
    with ThreadPoolExecutor(4) as pool:
        begun = list(pool.map(lambda _: begin_round(db, job_id, 1, Round(fits=[last]), [[last]]), range(4)))
    [shard] = [ids[0] for ids in begun if ids]
    held = take(db, shard)
    assert (held.round, held.is_alone, get_job(db, job_id).num_fits) == (1, True, 5)
    assert done(db, held, 5).must_advance
    assert begin_round(db, job_id, 1, Round(fits=[last]), [[last]]) == []
    assert statuses_of(db, job_id) == ["finished"] * 5
    assert get_job(db, job_id).status is JobStatus.RUNNING


def test_a_job_ends_once(db: Database) -> None:
    created = a_job_of_folds(db, [1, 2, 3, 4])
    assert not finish_job(db, created.job.id, SUCCESS)  # it waits
    done(db, take(db, created.shard_ids[0]), 1, 2, 3, 4)
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda _: finish_job(db, created.job.id, SUCCESS), range(4))) == [False, False, False, True]
    assert [one["status"] for one in get_job(db, created.job.id).transitions] == ["queued", "running", "succeeded"]
    assert begin_round(db, created.job.id, 1, Round(fits=[]), []) == []
    assert not finish_job(db, "job_unknown", SUCCESS)


def test_paused_fits_go_over_to_the_next_round_with_what_they_have_and_others_are_pruned(db: Database) -> None:
    """Successive halving: two of four go on from epoch 2, where the others stay for good."""
    created = a_job_of_folds(db, [1, 2], [3, 4])
    job_id = created.job.id
    for shard, numbers in zip(created.shard_ids, ([1, 2], [3, 4]), strict=True):
        held = take(db, shard)
        epochs = [record for number in numbers for record in records_of(number, 0, 1, 2)]
        orders = commit(db, held, lease_seconds=LEASE, epochs=epochs, checkpoints=[pauses(number, 2) for number in numbers], is_done=True)
    assert orders.must_advance
    steps = 2 * four_folds()[0].steps_per_epoch
    assert [(one.status, one.rungs) for one in results(db, job_id)] == [(FitStatus.PENDING, {2: FIGURES})] * 4
    assert get_job(db, job_id).progress == 0.5
    on = [four_folds()[0], four_folds()[3]]
    [shard] = begin_round(db, job_id, 1, Round(fits=on, pruned=[2, 3]), [on])
    assert statuses_of(db, job_id) == ["pending", "pruned", "pruned", "pending"]
    assert [(fit.steps_done, fit.best_epoch, fit.last_epoch) for fit in list_fits(db, job_id)] == [(steps, 1, 2)] * 4
    assert get_job(db, job_id).progress == 0.75
    told = [event.data for event in events_after(db, job_id, 0).events if event.kind == "fit"]
    assert [one["fit"] for one in told if one["status"] == "pruned"] == [2, 3]
    held = take(db, shard)
    assert [(fit.number, fit.checkpoint_epoch) for fit in held.fits] == [(1, 2), (4, 2)]
    assert all(fit.checkpoint_url is not None for fit in held.fits)
    epochs = [record for number in (1, 4) for record in records_of(number, 3, 4)]
    commit(db, held, lease_seconds=LEASE, epochs=epochs, outcomes=[an_end_of(1), an_end_of(4)], finish=SUCCESS)
    assert statuses_of(db, job_id) == ["finished", "pruned", "pruned", "finished"]
    assert get_job(db, job_id).progress == 1.0
    with db.read() as connection:
        query = select(func.sum(EpochRow.steps)).where(EpochRow.job_id == job_id).group_by(EpochRow.fit_number)
        assert [int(done) for done in connection.scalars(query.order_by(EpochRow.fit_number))] == [2 * steps, steps, steps, 2 * steps]


def test_whoever_takes_a_shard_over_does_not_train_what_waits_for_its_plan_already(db: Database) -> None:
    created = a_job_of_folds(db, [1, 2], [3, 4])
    with db.write() as connection:
        connection.execute(update(FitRow).where(FitRow.job_id == created.job.id).values(pause_at=2))
    dead = take(db, created.shard_ids[0], "dead/1")
    commit(db, dead, lease_seconds=LEASE, epochs=[*records_of(1, 0, 1, 2), *records_of(2, 0, 1)], checkpoints=[pauses(1, 2)])
    release_worker(db, "dead/")
    held = take(db, created.shard_ids[0])
    assert [fit.number for fit in held.fits] == [2]
    assert epochs_of(db, created.job.id) == [(1, 0), (1, 1), (1, 2)]
    assert statuses_of(db, created.job.id) == ["pending", "running", "pending", "pending"]
    commit(db, held, lease_seconds=LEASE, epochs=records_of(2, 0, 1, 2), checkpoints=[pauses(2, 2)], is_done=True)
    assert statuses_of(db, created.job.id)[:2] == ["pending", "pending"]


def test_a_fit_goes_back_to_its_checkpoint_and_no_further(db: Database) -> None:
    """B010, B081: later epochs are deleted, steps follow, other fits keep all they have."""
    created = a_job_of_folds(db, [1, 2], [3, 4])
    job_id = created.job.id
    kept = FitCheckpoint(number=1, epoch=1, url="jobs/j/fit-1-epoch-1.checkpoint")
    dead = take(db, created.shard_ids[0], "dead/1")
    commit(db, dead, lease_seconds=LEASE, epochs=[*records_of(1, 0, 1), *records_of(2, 0, 1)], checkpoints=[kept])
    commit(db, dead, lease_seconds=LEASE, epochs=[*records_of(1, 2, 3), *records_of(2, 2, 3)])
    other = take(db, created.shard_ids[1], "w/2")
    commit(db, other, lease_seconds=LEASE, epochs=records_of(3, 0, 1, 2))
    before = get_job(db, job_id).progress
    release_worker(db, "dead/")
    held = take(db, created.shard_ids[0])
    assert epochs_of(db, job_id) == [(1, 0), (1, 1), (3, 0), (3, 1), (3, 2)]
    steps = four_folds()[0].steps_per_epoch
    assert [(fit.steps_done, fit.last_epoch) for fit in list_fits(db, job_id)] == [(steps, 1), (0, None), (2 * steps, 2), (0, None)]
    assert [(fit.checkpoint_epoch, fit.checkpoint_url) for fit in held.fits] == [(1, kept.url), (None, None)]
    assert get_job(db, job_id).progress < before
    commit(
        db,
        held,
        lease_seconds=LEASE,
        epochs=[*records_of(1, 2, 3, 4), *records_of(2, *range(5))],
        outcomes=[an_end_of(1), an_end_of(2)],
        is_done=True,
    )
    assert epochs_of(db, job_id)[:10] == [(number, epoch) for number in (1, 2) for epoch in range(5)]


def test_a_fit_that_ended_after_a_checkpoint_of_the_same_commit_names_none(db: Database) -> None:
    created = a_job_of_folds(db, [1, 2, 3, 4])
    held = take(db, created.shard_ids[0])
    kept = FitCheckpoint(number=1, epoch=3, url="jobs/j/fit-1-epoch-3.checkpoint")
    commit(db, held, lease_seconds=LEASE, epochs=records_of(1, *range(5)), checkpoints=[kept], outcomes=[an_end_of(1)])
    with db.read() as connection:
        assert connection.scalar(select(FitRow.checkpoint_url).where(FitRow.job_id == created.job.id, FitRow.number == 1)) is None
    assert get_fit(db, created.job.id, 1).status is FitStatus.FINISHED


def test_progress_is_steps_done_of_steps_planned_over_all_rounds_and_ends_at_one(db: Database) -> None:
    """B051: it never falls while nobody dies, and what is bound to come counts from the beginning."""
    created = a_job_of_folds(db, [1, 2], [3, 4], later=2)
    job_id, steps = created.job.id, four_folds()[0].steps_per_epoch
    seen = [get_job(db, job_id).progress]
    for shard, numbers in zip(created.shard_ids, ([1, 2], [3, 4]), strict=True):
        held = take(db, shard)
        for epoch in range(EPOCHS + 1):
            ends = [an_end_of(number) for number in numbers] if epoch == EPOCHS else []
            commit(
                db,
                held,
                lease_seconds=LEASE,
                epochs=[one for n in numbers for one in records_of(n, epoch)],
                outcomes=ends,
                is_done=bool(ends),
            )
            job = get_job(db, job_id)
            assert job.progress == pytest.approx(job.steps_done / (6 * EPOCHS * steps), abs=1e-12)
            assert job.steps_planned == 6 * EPOCHS * steps
            seen.append(job.progress)
    last = replace(four_folds()[0], number=5)
    [shard] = begin_round(db, job_id, 1, Round(fits=[last]), [[last]])  # one of two that might have come
    seen.append(get_job(db, job_id).progress)
    assert seen[-1] == 4 / 5
    commit(db, take(db, shard), lease_seconds=LEASE, epochs=records_of(5, 0, 1), outcomes=[an_end_of(5)], finish=SUCCESS)
    seen.append(get_job(db, job_id).progress)
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0.0, 1.0)


def test_progress_waits_for_no_step_of_a_fit_that_failed(db: Database) -> None:
    created = a_job_of_folds(db, [1, 2], [3, 4])
    failed = replace(an_end_of(1), status=FitStatus.FAILED, stop_reason="failed", evaluation=None)
    commit(
        db, take(db, created.shard_ids[0]), lease_seconds=LEASE, epochs=records_of(1, 0, 1), outcomes=[failed, an_end_of(2)], is_done=True
    )
    assert get_job(db, created.job.id).progress == 0.5


def test_a_job_that_nobody_works_at_is_cancelled_at_once(db: Database) -> None:
    """B048: in the middle of its rounds, and between two of them."""
    created = a_job_of_folds(db, [1, 2], [3, 4])
    done(db, take(db, created.shard_ids[0]), 1, 2)
    assert request_cancel(db, created.job.id).status is JobStatus.CANCELLED
    assert statuses_of(db, created.job.id) == ["finished", "finished", "cancelled", "cancelled"]
    assert claim(db, created.shard_ids[1], "w/1", LEASE) is None
    between = a_job_of_folds(db, [1, 2, 3, 4], later=1)
    assert done(db, take(db, between.shard_ids[0]), 1, 2, 3, 4).must_advance
    assert request_cancel(db, between.job.id).status is JobStatus.CANCELLED
    last = replace(four_folds()[0], number=5)
    assert begin_round(db, between.job.id, 1, Round(fits=[last]), [[last]]) == []
    assert not finish_job(db, between.job.id, SUCCESS)
    assert get_job(db, between.job.id).status is JobStatus.CANCELLED


def test_a_cancelled_job_ends_when_the_second_of_its_two_workers_has_saved(db: Database) -> None:
    """B008: what waits is not begun, what was saved stays, whatever the workers say."""
    created = a_job_of_folds(db, [1], [2], [3, 4])
    first, second = (take(db, created.shard_ids[i], f"w/{i}") for i in range(2))
    commit(db, first, lease_seconds=LEASE, epochs=records_of(1, 0, 1))
    job = request_cancel(db, created.job.id)
    assert (job.status, job.phase) == (JobStatus.RUNNING, "cancelling")
    assert claim(db, created.shard_ids[2], "w/3", LEASE) is None
    saved = replace(an_end_of(1, FitStatus.CANCELLED), stop_reason="cancelled", weights_url="jobs/j/fit-1.safetensors")
    orders = commit(db, first, lease_seconds=LEASE, outcomes=[saved], finish=Finish(status=JobStatus.CANCELLED))
    assert (orders.is_cancelled, orders.must_advance) == (True, False)
    assert get_job(db, created.job.id).status is JobStatus.RUNNING
    assert reap(db) == []
    done(db, second, 2)  # it had finished meanwhile
    job = get_job(db, created.job.id)
    assert (job.status, job.result, job.failure) == (JobStatus.CANCELLED, None, None)
    assert [one["status"] for one in job.transitions] == ["queued", "running", "cancelled"]
    assert statuses_of(db, created.job.id) == ["cancelled", "finished", "cancelled", "cancelled"]
    assert set(shards_of_job(db, created.job.id).values()) == {ShardStatus.DONE}


def test_a_cancelled_job_does_not_wait_for_a_worker_that_died(db: Database) -> None:
    """B009."""
    created = a_job_of_folds(db, [1, 2], [3, 4])
    alive, dead = (take(db, created.shard_ids[i], f"w/{i}") for i in range(2))
    request_cancel(db, created.job.id)
    let_lease_run_out(db, dead)
    assert reap(db) == []
    commit(db, alive, lease_seconds=LEASE, finish=Finish(status=JobStatus.CANCELLED))
    assert get_job(db, created.job.id).status is JobStatus.RUNNING
    assert reap(db) == [created.job.id]
    assert get_job(db, created.job.id).status is JobStatus.CANCELLED
    with pytest.raises(LeaseLost):
        done(db, dead, 3, 4)


def test_a_time_limit_withdraws_what_waits_and_the_last_worker_ends_the_job(db: Database) -> None:
    """B094: whatever the last one came to."""
    created = a_job_of_folds(db, [1], [2], [3, 4])
    first, second = (take(db, created.shard_ids[i], f"w/{i}") for i in range(2))
    limit = Finish(status=JobStatus.FAILED, failure=time_limit_failure(60.0))
    stopped = replace(an_end_of(1, FitStatus.CANCELLED), stop_reason="time_limit")
    commit(db, first, lease_seconds=LEASE, outcomes=[stopped], finish=limit)
    assert get_job(db, created.job.id).status is JobStatus.RUNNING
    assert claim(db, created.shard_ids[2], "w/3", LEASE) is None
    assert not done(db, second, 2).must_advance
    job = get_job(db, created.job.id)
    assert job.failure is not None
    assert (job.status, job.failure["kind"]) == (JobStatus.FAILED, "time_limit")
    assert [(fit.status.value, fit.stop_reason) for fit in list_fits(db, created.job.id)] == [
        ("cancelled", "time_limit"), ("finished", "max_epochs"), ("cancelled", "time_limit"), ("cancelled", "time_limit"),
    ]  # fmt: skip


def test_fits_of_a_shard_that_were_not_begun_when_time_was_over_say_so(db: Database) -> None:
    created = a_job_of_folds(db, [1, 2, 3, 4])
    stopped = replace(an_end_of(1, FitStatus.CANCELLED), stop_reason="time_limit")
    limit = Finish(status=JobStatus.FAILED, failure=time_limit_failure(60.0))
    commit(db, take(db, created.shard_ids[0]), lease_seconds=LEASE, outcomes=[stopped], finish=limit)
    assert {(fit.status.value, fit.stop_reason) for fit in list_fits(db, created.job.id)} == {("cancelled", "time_limit")}


def test_a_hopeless_shard_fails_its_own_fits_and_leaves_the_others(db: Database) -> None:
    """B009, B097: the plan decides what that means, and clients are told of each fit."""
    created = a_job_of_folds(db, [1, 2], [3, 4])
    tire(db, created.shard_ids[0])
    other = take(db, created.shard_ids[1])
    assert claim(db, created.shard_ids[0], "w/9", LEASE) is None
    assert reap(db) == [created.job.id]
    assert statuses_of(db, created.job.id) == ["failed", "failed", "running", "running"]
    assert [one.failure and one.failure["kind"] for one in results(db, created.job.id)] == ["worker_lost", "worker_lost", None, None]
    told = [event.data for event in events_after(db, created.job.id, 0).events if event.kind == "fit"]
    assert [(one["fit"], one["status"]) for one in told] == [(1, "failed"), (2, "failed")]
    assert get_job(db, created.job.id).status is JobStatus.RUNNING
    assert reap(db) == []
    assert done(db, other, 3, 4).must_advance


def test_a_round_whose_last_shard_is_given_up_is_advanced_all_the_same(db: Database) -> None:
    created = a_job_of_folds(db, [1, 2], [3, 4])
    assert not done(db, take(db, created.shard_ids[0]), 1, 2).must_advance
    tire(db, created.shard_ids[1])
    assert unadvanced(db, grace_seconds=-1) == []
    assert reap(db) == [created.job.id]
    assert unadvanced(db) == [(created.job.id, "auto")]


def test_a_job_of_which_no_fit_is_left_fails_for_its_lost_workers(db: Database) -> None:
    """B009."""
    created = a_job_of_folds(db, [1, 2], [3, 4])
    for shard in created.shard_ids:
        tire(db, shard)
    assert reap(db) == [created.job.id]
    job = get_job(db, created.job.id)
    assert job.failure is not None
    assert (job.status, job.failure["kind"], job.fit_counts) == (JobStatus.FAILED, "worker_lost", {"failed": 4})
    assert due(db) == []


def test_a_job_without_an_open_shard_is_found_after_a_grace_and_then_left_alone_for_as_long(db: Database) -> None:
    created = a_job_of_folds(db, [1, 2, 3, 4])
    assert unadvanced(db, grace_seconds=-1) == []
    held = take(db, created.shard_ids[0])
    assert unadvanced(db, grace_seconds=-1) == []
    done(db, held, 1, 2, 3, 4)  # it was told to advance, and dies
    assert unadvanced(db, grace_seconds=60) == []
    with db.write() as connection:
        connection.execute(update(JobRow).values(advancing_until=None, advance_sent_at=db.now(connection) - dt.timedelta(seconds=61)))
    assert unadvanced(db, grace_seconds=60) == [(created.job.id, "auto")]
    assert unadvanced(db, grace_seconds=60) == []
    assert finish_job(db, created.job.id, SUCCESS)
    assert unadvanced(db, grace_seconds=-1) == []


def test_a_job_that_nobody_advances_is_told_of_ever_more_seldom(db: Database) -> None:
    created = a_job_of_folds(db, [1, 2, 3, 4])
    done(db, take(db, created.shard_ids[0]), 1, 2, 3, 4)
    begun = dt.timedelta(seconds=300)
    for since_sent, is_told in ((100, False), (151, True)):
        with db.write() as connection:
            now = db.now(connection)
            connection.execute(update(EventRow).values(at=now - begun))
            connection.execute(update(JobRow).values(advancing_until=None, advance_sent_at=now - dt.timedelta(seconds=since_sent)))
        assert (unadvanced(db) != []) is is_told


def test_one_worker_that_leaves_does_not_say_that_the_other_is_gone(db: Database) -> None:
    created = a_job_of_folds(db, [1, 2], [3, 4])
    first, second = (take(db, shard, f"w/{i}") for i, shard in enumerate(created.shard_ids))
    assert release(db, first)
    assert get_job(db, created.job.id).phase == "training"
    assert release(db, second)
    assert get_job(db, created.job.id).phase == "waiting for a worker"


def test_the_shards_of_a_later_round_that_were_not_sent_are_found_at_once(db: Database) -> None:
    """B047."""
    created = a_job_of_folds(db, [1, 2, 3, 4], later=1)
    mark_sent(db, created.shard_ids)
    done(db, take(db, created.shard_ids[0]), 1, 2, 3, 4)
    last = replace(four_folds()[0], number=5)
    shards = begin_round(db, created.job.id, 1, Round(fits=[last]), [[last]])
    with db.write() as connection:
        connection.execute(update(JobRow).values(created_at=db.now(connection) - dt.timedelta(seconds=10)))
    assert [shard.shard_id for shard in due(db)] == shards

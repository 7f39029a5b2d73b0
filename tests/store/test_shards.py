"""Claims, leases and the fence, on both databases."""

import datetime as dt
import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from jobs.states import FitStatus, JobStatus
from store.commits import Finish, commit
from store.engine import Database, again_if_undone, create_engine
from store.epochs import curves
from store.errors import DatabaseUnavailable, LeaseLost
from store.fits import get_fit
from store.jobs import bump, delete_job, get_job, lock
from store.orders import request_cancel
from store.shards import MAX_IDLE_ATTEMPTS, Claim, claim, release, release_worker, renew
from store.sweeping import due, mark_sent, reap
from store.tables import EpochRow, ShardRow
from tests.factories import LEASE, a_claim, a_job, a_record, an_end

SUCCESS = Finish(status=JobStatus.SUCCEEDED, result={"plan": "fit"})


def _let_lease_run_out(db: Database, held: Claim) -> None:
    with db.write() as connection:
        past = db.now(connection) - dt.timedelta(seconds=1)
        connection.execute(update(ShardRow).where(ShardRow.id == held.shard_id).values(lease_expires_at=past))


def _epochs(db: Database, job_id: str) -> list[int]:
    with db.read() as connection:
        return list(connection.scalars(select(EpochRow.epoch).where(EpochRow.job_id == job_id).order_by(EpochRow.epoch)))


def test_twelve_claims_at_once_have_one_winner(db: Database) -> None:
    """B007, B049: however often a message is delivered, one attempt works."""
    created = a_job(db)
    with ThreadPoolExecutor(12) as pool:
        won = [held for held in pool.map(lambda i: claim(db, created.shard_ids[0], f"w/{i}", LEASE), range(12)) if held is not None]
    assert len(won) == 1
    assert won[0].attempt == 1


def test_a_claim_after_the_end_is_refused(db: Database) -> None:
    """B007: a redelivery after success touches nothing."""
    created = a_job(db)
    held = a_claim(db, created)
    commit(db, held, lease_seconds=LEASE, epochs=[a_record(0)], outcomes=[an_end()], finish=SUCCESS)
    before = get_job(db, created.job.id)
    assert claim(db, created.shard_ids[0], "again", LEASE) is None
    assert get_job(db, created.job.id) == before


def test_a_taken_over_shard_starts_again_with_each_epoch_once(db: Database) -> None:
    """B010, B081: three epochs, the worker dies, another runs all: rows 0 ... 4 in order, each once."""
    created = a_job(db)
    dead = a_claim(db, created)
    commit(db, dead, lease_seconds=LEASE, epochs=[a_record(epoch) for epoch in range(3)])
    assert claim(db, created.shard_ids[0], "other/1", LEASE) is None
    _let_lease_run_out(db, dead)
    held = a_claim(db, created, worker="other/1")
    assert (held.attempt, _epochs(db, created.job.id)) == (2, [])
    commit(db, held, lease_seconds=LEASE, epochs=[a_record(epoch) for epoch in range(5)], outcomes=[an_end()], finish=SUCCESS)
    assert _epochs(db, created.job.id) == [0, 1, 2, 3, 4]


def test_the_fence_stops_an_attempt_that_was_taken_over(db: Database) -> None:
    """B095: a late write changes nothing, and the writer is told."""
    created = a_job(db)
    late = a_claim(db, created)
    _let_lease_run_out(db, late)
    held = a_claim(db, created, worker="other/1")
    commit(db, held, lease_seconds=LEASE, epochs=[a_record(0)])
    version = get_job(db, created.job.id).version
    for write in (
        lambda: commit(db, late, lease_seconds=LEASE, epochs=[a_record(1)]),
        lambda: commit(db, late, lease_seconds=LEASE, finish=SUCCESS),
        lambda: renew(db, late, LEASE),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert release(db, late) is False
    job = get_job(db, created.job.id)
    assert (job.version, job.status, _epochs(db, created.job.id)) == (version, JobStatus.RUNNING, [0])


def test_a_worker_writing_to_an_ended_or_deleted_job_stops(db: Database) -> None:
    """B008, B053: terminal states are absorbing."""
    created = a_job(db)
    held = a_claim(db, created)
    request_cancel(db, created.job.id)
    _let_lease_run_out(db, held)
    assert reap(db) == [created.job.id]
    with pytest.raises(LeaseLost):
        commit(db, held, lease_seconds=LEASE, epochs=[a_record(0)], finish=SUCCESS)
    assert get_job(db, created.job.id).status is JobStatus.CANCELLED
    delete_job(db, created.job.id)
    with pytest.raises(LeaseLost):
        commit(db, held, lease_seconds=LEASE, epochs=[a_record(0)])


def test_a_commit_learns_of_a_cancellation_and_the_end_is_cancelled(db: Database) -> None:
    """B008: a success that comes after the request to cancel does not overwrite it."""
    created = a_job(db)
    held = a_claim(db, created)
    request_cancel(db, created.job.id)
    assert commit(db, held, lease_seconds=LEASE, epochs=[a_record(0)]).is_cancelled
    assert renew(db, held, LEASE).is_cancelled
    commit(db, held, lease_seconds=LEASE, outcomes=[an_end()], finish=SUCCESS)
    job = get_job(db, created.job.id)
    assert (job.status, job.failure) == (JobStatus.CANCELLED, None)
    assert [one["status"] for one in job.transitions] == ["queued", "running", "cancelled"]
    assert get_fit(db, created.job.id, 1).status is FitStatus.FINISHED


def test_a_live_lease_is_never_touched(db: Database) -> None:
    """B095: an epoch may be longer than any interval; the lease, not the epoch, says that a worker lives."""
    created = a_job(db)
    mark_sent(db, created.shard_ids)
    a_claim(db, created)
    assert due(db, grace_seconds=0) == []
    assert reap(db) == []
    assert get_job(db, created.job.id).status is JobStatus.RUNNING


def test_a_dead_worker_is_retried_and_given_up_after_three_idle_attempts(db: Database) -> None:
    """B009: a job never stays running for ever."""
    created = a_job(db)
    for attempt in range(1, MAX_IDLE_ATTEMPTS + 1):
        assert reap(db) == []
        a_claim(db, created, worker=f"w/{attempt}")
        assert release_worker(db, f"w/{attempt}") == created.shard_ids
        assert [shard.shard_id for shard in due(db)] == created.shard_ids
        mark_sent(db, created.shard_ids)
    assert claim(db, created.shard_ids[0], "w/4", LEASE) is None
    assert reap(db) == [created.job.id]
    job = get_job(db, created.job.id)
    assert (job.status, job.fit_counts) == (JobStatus.FAILED, {"failed": 1})
    assert job.failure is not None
    assert (job.failure["kind"], job.failure["retryable"]) == ("worker_lost", True)
    assert reap(db) == []


def test_progress_ends_a_row_of_idle_attempts(db: Database) -> None:
    created = a_job(db)
    for attempt in range(6):
        held = a_claim(db, created, worker=f"w/{attempt}")
        commit(db, held, lease_seconds=LEASE, epochs=[a_record(epoch) for epoch in range(attempt // 2 + 2)])
        _let_lease_run_out(db, held)
    assert reap(db) == []
    assert get_job(db, created.job.id).status is JobStatus.RUNNING


def test_handing_a_shard_back_never_counts(db: Database) -> None:
    created = a_job(db)
    for attempt in range(MAX_IDLE_ATTEMPTS + 2):
        held = a_claim(db, created, worker=f"w/{attempt}")
        assert release(db, held)
        assert [shard.shard_id for shard in due(db, grace_seconds=0)] == created.shard_ids
    assert reap(db) == []


def test_a_worker_known_to_be_dead_loses_its_leases_at_once(db: Database) -> None:
    created, other = a_job(db), a_job(db)
    a_claim(db, created, worker="host-1/10")
    a_claim(db, other, worker="host-10/10")
    assert release_worker(db, "host-1/") == created.shard_ids
    assert [shard.shard_id for shard in due(db)] == created.shard_ids
    assert claim(db, created.shard_ids[0], "host-2/1", LEASE) is not None
    assert claim(db, other.shard_ids[0], "host-2/1", LEASE) is None


def test_a_queued_row_is_the_outbox(db: Database) -> None:
    """B047: what was never sent is found, what was sent is left alone for a while."""
    created = a_job(db)
    assert due(db, grace_seconds=3600) == []
    assert [(shard.shard_id, shard.device) for shard in due(db, grace_seconds=0)] == [(created.shard_ids[0], "auto")]
    mark_sent(db, created.shard_ids)
    assert due(db, grace_seconds=0) == []
    assert [shard.shard_id for shard in due(db, grace_seconds=0, resend_seconds=-1)] == created.shard_ids


def test_the_gap_is_derived_to_the_last_bit(db: Database) -> None:
    created = a_job(db)
    held = a_claim(db, created)
    train, val = 0.1 + 1e-17, 0.30000000000000004
    commit(db, held, lease_seconds=LEASE, epochs=[a_record(0, train_loss=train, val_loss=val)])
    [curve] = curves(db, created.job.id).fits
    assert curve.columns["train_loss"] == [train]
    assert curve.columns["generalization_gap"] == [val - train]


@pytest.mark.parametrize("column", ["train_loss", "val_loss"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_nothing_that_is_not_finite_is_stored_and_the_job_can_still_end(db: Database, value: float, column: str) -> None:
    """B011: it is refused on both databases (SQLite alone would make NULL of NaN), nothing is written, and the attempt goes on."""
    created = a_job(db)
    held = a_claim(db, created)
    with pytest.raises(ValueError, match=f"{column} of epoch 0"):
        commit(db, held, lease_seconds=LEASE, epochs=[replace(a_record(0), **{column: value})])
    commit(db, held, lease_seconds=LEASE, epochs=[])
    values = {"job_id": created.job.id, "fit_number": 1, "epoch": 0, "version": 9, "train_loss": math.inf, "seconds": 0, "steps": 0}
    with db.write() as connection, pytest.raises(IntegrityError):
        connection.execute(insert(EpochRow).values(values))
    assert _epochs(db, created.job.id) == []
    commit(db, held, lease_seconds=LEASE, epochs=[a_record(0)], outcomes=[an_end()], finish=SUCCESS)
    assert get_job(db, created.job.id).status is JobStatus.SUCCEEDED


def test_an_epoch_written_twice_is_refused_as_a_lost_lease(db: Database) -> None:
    """B010."""
    created = a_job(db)
    held = a_claim(db, created)
    commit(db, held, lease_seconds=LEASE, epochs=[a_record(0)])
    with pytest.raises(LeaseLost):
        commit(db, held, lease_seconds=LEASE, epochs=[a_record(0)])
    assert _epochs(db, created.job.id) == [0]


def test_curves_after_a_version_hold_only_what_came_later(db: Database) -> None:
    created = a_job(db)
    held = a_claim(db, created)
    seen = commit(db, held, lease_seconds=LEASE, epochs=[a_record(0), a_record(1)]).version
    commit(db, held, lease_seconds=LEASE, epochs=[a_record(2)])
    [curve] = curves(db, created.job.id, after_version=seen).fits
    assert (curve.epoch, curve.last_epoch) == ([2], 2)


def test_a_forked_child_opens_connections_of_its_own(db: Database) -> None:
    """B118: after dispose(close=False) in the child, parent and child both go on."""
    created = a_job(db)
    pid = os.fork()
    if pid == 0:
        db.dispose(close=False)
        os._exit(0 if get_job(db, created.job.id).version == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert get_job(db, created.job.id).version == 1


def test_readers_never_fail_while_epochs_are_written(db: Database) -> None:
    """B050."""
    created = a_job(db)
    held = a_claim(db, created)
    with ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(lambda: [curves(db, created.job.id).version for _ in range(40)]) for _ in range(7)]
        for epoch in range(60):
            commit(db, held, lease_seconds=LEASE, epochs=[a_record(epoch)])
        versions = [reader.result() for reader in readers]
    assert all(seen == sorted(seen) for seen in versions)
    assert _epochs(db, created.job.id) == list(range(60))


def test_handing_back_after_progress_leaves_no_negative_count(db: Database) -> None:
    created = a_job(db)
    held = a_claim(db, created)
    commit(db, held, lease_seconds=LEASE, epochs=[a_record(epoch) for epoch in range(2)])
    assert release(db, held)
    with db.read() as connection:
        assert connection.scalar(select(ShardRow.idle_attempts).where(ShardRow.id == held.shard_id)) == 0


def test_the_queries_of_one_read_see_one_state(db: Database) -> None:
    created = a_job(db)
    held = a_claim(db, created)
    query = select(EpochRow.epoch).where(EpochRow.job_id == created.job.id)
    with db.read() as connection:
        assert connection.scalars(query).all() == []
        commit(db, held, lease_seconds=LEASE, epochs=[a_record(0)])
        assert connection.scalars(query).all() == []
    assert _epochs(db, created.job.id) == [0]


def test_who_is_frozen_within_a_transaction_does_not_keep_the_jobs_row(postgres_db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """B009: a worker stopped between two statements holds the row's lock until the database ends its session, never for ever."""
    monkeypatch.setattr("store.engine._IDLE_SECONDS", 0.2)
    created = a_job(postgres_db)
    frozen = Database(create_engine(str(postgres_db.engine.url.render_as_string(hide_password=False))))
    taken = []

    def stand_still() -> None:
        with frozen.write() as connection:
            lock(connection, created.job.id)
            taken.append(claim(postgres_db, created.shard_ids[0], "w/1", LEASE))  # waits for the lock
            lock(connection, created.job.id)

    with pytest.raises(DatabaseUnavailable):
        stand_still()
    frozen.dispose()
    assert taken[0] is not None


def test_who_stood_still_within_a_transaction_does_it_again(postgres_db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """B049, B120: what the database ended for standing still it undid too, so that the same again is safe."""
    monkeypatch.setattr("store.engine._IDLE_SECONDS", 0.2)
    created = a_job(postgres_db)
    slow = Database(create_engine(str(postgres_db.engine.url.render_as_string(hide_password=False))))
    tries = []

    @again_if_undone
    def stand_still_once() -> None:
        with slow.write() as connection:
            lock(connection, created.job.id)
            tries.append("locked")
            if len(tries) == 1:
                time.sleep(0.6)
            bump(connection, created.job.id, phase="tried")

    stand_still_once()
    slow.dispose()
    assert len(tries) == 2
    assert get_job(postgres_db, created.job.id).phase == "tried"

"""What the broker loses is sent again at once, and nothing piles up in it: real broker, real queue."""

import datetime as dt
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import select, update

from cli.broker import Broker, start_broker
from jobs.messages import CPU_QUEUE
from jobs.states import JobStatus, ShardStatus
from store.artifacts import Artifacts
from store.engine import Database
from store.jobs import get_job
from store.orders import request_pause
from store.shards import claim, release_worker
from store.tables import FitRow, JobRow, ShardRow
from store.tidying import expire, tidy
from tests.factories import LEASE, a_job, a_succeeded_job
from tests.rounds import a_job_of_folds, done, take
from worker.nudge import Nudge
from worker.queue import make_producer
from worker.recall import MARKER, Recall
from worker.settings import WorkerSettings
from worker.sweeper import collect, sweep


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Start a broker that may be emptied."""
    folder = tmp_path_factory.mktemp("lost")
    started = start_broker(folder, folder / "queue.log")
    yield started
    started.stop()


class _Sweeper:
    def __init__(self, db: Database, broker: Broker) -> None:
        self._db = db
        self.redis = redis.Redis.from_url(broker.url)
        self.redis.flushall()
        self._held = (make_producer(broker.url), Nudge(broker.url), Recall(broker.url))

    def __call__(self) -> int:
        """Sweep; give how many messages wait."""
        sweep(self._db, *self._held, WorkerSettings())
        return int(str(self.redis.llen(CPU_QUEUE)))

    def age(self, seconds: float) -> None:
        """Let everything have been made, sent and lapsed so long before."""
        with self._db.write() as connection:
            now = self._db.now(connection)
            before = now - dt.timedelta(seconds=seconds)
            connection.execute(update(JobRow).values(created_at=before))
            lapsed = (ShardRow.status == ShardStatus.RUNNING, ShardRow.lease_expires_at < now)
            connection.execute(update(ShardRow).where(*lapsed).values(lease_expires_at=before - dt.timedelta(seconds=1)))
            connection.execute(update(ShardRow).where(ShardRow.sent_at.is_not(None)).values(sent_at=before))
            told = update(JobRow).where(JobRow.advance_sent_at.is_not(None))
            connection.execute(told.values(advance_sent_at=before, advancing_until=None))


def db_now(db: Database) -> dt.datetime:
    with db.read() as connection:
        return db.now(connection)


def _wait_for_fraction(fraction: float) -> None:
    """Sleep until the clock next shows this fraction of a second."""
    time.sleep((fraction - time.time()) % 1)


def _sent(db: Database, job_id: str) -> list[dt.datetime | None]:
    with db.read() as connection:
        return list(connection.scalars(select(ShardRow.sent_at).where(ShardRow.job_id == job_id)))


def test_a_broker_that_was_emptied_is_told_everything_again_at_once(db: Database, queue: Broker) -> None:
    """B047: and what runs is not sent again."""
    round_ = _Sweeper(db, queue)
    waiting, running = a_job(db), a_job(db)
    round_.age(2)
    assert round_() == 2
    assert claim(db, running.shard_ids[0], "w/1", LEASE) is not None
    assert round_() == 2
    round_.redis.flushall()
    assert round_() == 1
    assert _sent(db, waiting.job.id) != [None]
    assert round_() == 1
    round_.redis.flushall()
    round_.redis.set(MARKER, "of another broker")  # what a replica that took over knows
    assert round_() == 1


def test_a_lost_message_between_two_rounds_of_a_plan_costs_no_minutes(db: Database, queue: Broker) -> None:
    round_ = _Sweeper(db, queue)
    created = a_job_of_folds(db, [1, 2, 3, 4])
    assert done(db, take(db, created.shard_ids[0]), 1, 2, 3, 4).must_advance
    assert round_() == 0  # its worker goes on with it
    assert release_worker(db, "w/1") == [created.job.id]
    assert round_() == 1
    assert round_() == 1
    round_.redis.flushall()
    assert round_() == 1
    round_.age(4)
    assert round_() == 1
    round_.redis.lpop(CPU_QUEUE)
    assert round_() == 0
    round_.age(6)
    assert round_() == 1


def test_a_message_whose_worker_died_before_it_claimed_is_sent_again_within_seconds(db: Database, queue: Broker) -> None:
    """Where others wait in the queue it is perhaps still among them: nothing piles up."""
    round_ = _Sweeper(db, queue)
    created = a_job(db)
    round_.age(2)
    assert round_() == 1
    round_.age(60)
    assert round_() == 1
    round_.redis.lpop(CPU_QUEUE)  # received, and never claimed
    round_.age(4)
    assert round_() == 0
    round_.age(6)
    assert [round_(), round_()] == [1, 1]
    round_.age(601)
    assert round_() == 1  # the broker still holds it
    assert get_job(db, created.job.id).status is JobStatus.QUEUED


def test_a_lapsed_shard_is_sent_once_however_long_nobody_comes(db: Database, queue: Broker) -> None:
    round_ = _Sweeper(db, queue)
    created = a_job(db)
    take(db, created.shard_ids[0])
    release_worker(db, "w/1")
    assert [round_(), round_()] == [1, 1]
    round_.age(60)
    assert round_() == 1


def test_a_restarted_broker_may_have_lost_what_it_was_sent_last(sqlite_db: Database, tmp_path: Path) -> None:
    broker = start_broker(tmp_path / "queue", tmp_path / "log")
    try:
        round_ = _Sweeper(sqlite_db, broker)
        old = a_job(sqlite_db)
        round_.age(2)
        assert round_() == 1
        round_.age(100)
        a_job(sqlite_db)
        with sqlite_db.write() as connection:
            connection.execute(update(JobRow).values(created_at=db_now(sqlite_db) - dt.timedelta(seconds=100)))
        _wait_for_fraction(0.6)
        assert round_() == 2
        assert broker.process is not None
        broker.process.kill()
        broker.process.wait()
        broker.start()
        _wait_for_fraction(0.0)  # the broker says that it is up for a second already
        assert round_() == 3  # the one that was sent last, again
        assert round_() == 3
        assert old.job.id != ""
    finally:
        broker.stop()


def test_a_job_that_waited_too_long_fails_and_a_paused_one_does_not(db: Database) -> None:
    late, young, paused = a_job(db), a_job(db), a_job(db)
    request_pause(db, paused.job.id)
    with db.write() as connection:
        old = (JobRow.id.in_([late.job.id, paused.job.id]),)
        connection.execute(update(JobRow).where(*old).values(queued_at=db_now(db) - dt.timedelta(seconds=100)))
    assert expire(db, 60) == [late.job.id]
    assert expire(db, 60) == []
    job = get_job(db, late.job.id)
    assert job.failure is not None
    assert (job.status, job.failure["kind"], get_job(db, young.job.id).status) == (JobStatus.FAILED, "time_limit", JobStatus.QUEUED)
    assert "60 s" in job.failure["detail"]
    assert get_job(db, paused.job.id).status is JobStatus.PAUSED


def test_a_sweeper_that_is_behind_with_ended_jobs_goes_on_between_its_rounds(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many jobs end in a day that a hundred in ten minutes are not enough."""
    monkeypatch.setattr("store.tidying._JOBS_AT_ONCE", 2)
    artifacts = Artifacts(f"file://{tmp_path}/files")
    job_ids = [a_succeeded_job(db) for _ in range(3)]
    for job_id in job_ids:
        artifacts.write(f"jobs/{job_id}/fit-1-epoch-4.checkpoint", b"of a worker that died")
    with db.write() as connection:
        connection.execute(update(JobRow).values(finished_at=db.now(connection) - dt.timedelta(hours=1)))
    assert collect(db, artifacts)
    assert len(list((tmp_path / "files" / "jobs").rglob("*.checkpoint"))) == 1
    assert not collect(db, artifacts, is_whole=False)
    assert not list((tmp_path / "files" / "jobs").rglob("*.checkpoint"))


def test_the_folder_of_an_ended_job_is_tidied_once(db: Database, tmp_path: Path) -> None:
    """What a worker left that had lost its lease is deleted, and what fits name stays: those of a job that goes on with it too."""
    artifacts = Artifacts(f"file://{tmp_path}/files")
    job_id, other = a_succeeded_job(db), a_job(db)
    names = [f"jobs/{job_id}/{name}" for name in ("fit-1-attempt-1.safetensors", "fit-1-attempt-2.safetensors", "fit-1-epoch-4.checkpoint")]
    for name in names:
        artifacts.write(name, b"x")
    unfinished = tmp_path / "files" / f"{names[0]}.0123456789abcdef"
    unfinished.write_bytes(b"x")
    active = artifacts.write(f"jobs/{other.job.id}/fit-1.checkpoint", b"x")
    with db.write() as connection:
        connection.execute(update(FitRow).where(FitRow.job_id == job_id).values(weights_url=names[1]))
        connection.execute(update(FitRow).where(FitRow.job_id == other.job.id).values(checkpoint_url=names[2]))
        connection.execute(update(JobRow).where(JobRow.id == other.job.id).values(continues=job_id))
    assert tidy(db, artifacts) == []
    assert sorted(tidy(db, artifacts, after_seconds=-1)) == sorted([names[0], f"{names[0]}.0123456789abcdef"])
    artifacts.write(names[0], b"x")
    assert tidy(db, artifacts, after_seconds=-1) == []
    assert artifacts.read(names[1]) == artifacts.read(names[2]) == artifacts.read(active) == b"x"

"""What a worker does while its files, its database or its time are away: nothing is lost, and nobody waits for ever."""

import resource
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from data.builtin import BUILTINS
from data.dataset import Dataset, DatasetInfo
from jobs.states import JobStatus, ShardStatus
from store.advances import MAX_ADVANCE_ATTEMPTS, begin_advance, give_up_plans, leave_advance, renew_advance, unadvanced
from store.artifacts import Artifacts
from store.engine import Database, Patience, create_engine
from store.epochs import curves
from store.errors import ArtifactsUnavailable
from store.jobs import get_job
from store.orders import request_cancel
from store.shards import release_worker
from store.sweeping import due, mark_sent
from store.tables import JobRow, ShardRow
from tests.factories import a_job
from tests.rounds import a_job_of_folds, done, take
from worker.advance import advance
from worker.place import Workplace
from worker.runner import run_shard


def _place(db: Database, tmp_path: Path, **fields: Any) -> Workplace:
    values = {"worker_id": "host/1", "lease_seconds": 5.0, "flush_seconds": 0.05, "nudge": lambda _: None, "datasets": BUILTINS, **fields}
    return Workplace(db=db, artifacts=Artifacts(f"file://{tmp_path}/files"), **values)


@contextmanager
def _files_away(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Put something where the folder of files should be: nothing can be written or read there. Gives what puts it right."""
    root = tmp_path / "files"
    root.write_text("not a folder")

    def back() -> None:
        root.unlink(missing_ok=True)

    yield back
    if root.is_file():
        root.unlink()


def _shard(db: Database, shard_id: str) -> Any:
    with db.read() as connection:
        return connection.execute(select(ShardRow.status, ShardRow.sent_at, ShardRow.idle_attempts).where(ShardRow.id == shard_id)).one()


def test_a_fit_whose_weights_cannot_be_stored_waits_for_the_store(db: Database, tmp_path: Path) -> None:
    created = a_job(db)
    with _files_away(tmp_path) as back:
        timer = threading.Timer(0.7, back)
        timer.start()
        assert run_shard(_place(db, tmp_path), created.shard_ids[0]) == "succeeded"
        timer.join()
    assert curves(db, created.job.id).fits[0].epoch == [0, 1, 2, 3, 4]
    left = {path.name for path in (tmp_path / "files" / "jobs" / created.job.id).iterdir()}
    assert left == {"fit-1-attempt-1.safetensors", "fit-1-epoch-4-attempt-1.checkpoint"}


def test_a_store_that_stays_away_fails_the_job_with_a_true_sentence(db: Database, tmp_path: Path) -> None:
    created = a_job(db)
    with _files_away(tmp_path):
        assert run_shard(_place(db, tmp_path, patience_seconds=0.3), created.shard_ids[0]) == "failed"
    failure = get_job(db, created.job.id).failure
    assert failure is not None
    assert (failure["kind"], failure["retryable"]) == ("internal", True)
    assert "store of files" in failure["detail"]
    assert str(tmp_path) not in str(failure)


def test_a_job_that_waits_for_the_store_can_be_cancelled(db: Database, tmp_path: Path) -> None:
    """B008."""
    created = a_job(db)
    with _files_away(tmp_path):
        timer = threading.Timer(0.5, request_cancel, (db, created.job.id))
        timer.start()
        assert run_shard(_place(db, tmp_path, lease_seconds=1.0), created.shard_ids[0]) == "cancelled"
        timer.join()
    assert get_job(db, created.job.id).status is JobStatus.CANCELLED


def test_a_worker_that_is_to_stop_does_not_wait_for_the_store(db: Database, tmp_path: Path) -> None:
    created, leaving = a_job(db), threading.Event()
    with _files_away(tmp_path):
        timer = threading.Timer(0.3, leaving.set)
        timer.start()
        came_of = run_shard(_place(db, tmp_path, must_leave=leaving.is_set), created.shard_ids[0])
        timer.join()
    assert came_of == "handed_back"
    assert _shard(db, created.shard_ids[0]) == (ShardStatus.PENDING, None, 0)
    assert run_shard(_place(db, tmp_path, worker_id="host/2"), created.shard_ids[0]) == "succeeded"
    assert curves(db, created.job.id).fits[0].epoch == [0, 1, 2, 3, 4]


def test_a_message_that_comes_while_the_database_is_locked_is_not_lost(sqlite_db: Database, tmp_path: Path) -> None:
    """B050: somebody holds SQLite's lock for longer than a writer waits."""
    created = a_job(sqlite_db)
    hasty = Database(create_engine(sqlite_db.engine.url.render_as_string(), Patience(busy_seconds=0.05)))
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with sqlite_db.write():
            held.set()
            free.wait(1.0)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    assert run_shard(_place(hasty, tmp_path, database_patience_seconds=0.1), created.shard_ids[0]) == "lost"
    assert run_shard(_place(hasty, tmp_path), created.shard_ids[0]) == "succeeded"
    thread.join()
    hasty.dispose()


def test_a_message_that_comes_while_the_worker_stops_is_due_again_at_once(db: Database, tmp_path: Path) -> None:
    created = a_job(db)
    mark_sent(db, created.shard_ids)
    assert run_shard(_place(db, tmp_path, must_leave=lambda: True), created.shard_ids[0]) == "handed_back"
    assert get_job(db, created.job.id).status is JobStatus.QUEUED
    assert [shard.shard_id for shard in due(db, grace_seconds=0)] == created.shard_ids


class _Stuck:
    """A dataset that takes for ever to be opened: what an epoch of hours is to a worker."""

    def __init__(self) -> None:
        self.freed = threading.Event()

    def info(self, dataset_id: str) -> DatasetInfo:
        return BUILTINS.info(dataset_id)

    def load(self, dataset_id: str) -> Dataset:
        assert self.freed.wait(20)
        return BUILTINS.load(dataset_id)

    def suggestions(self) -> Sequence[str]:
        return ()


def test_what_does_not_end_soon_after_a_stop_is_handed_back_and_the_process_ends(db: Database, tmp_path: Path) -> None:
    created, stuck, leaving = a_job(db), _Stuck(), threading.Event()
    place = _place(db, tmp_path, datasets=stuck, must_leave=leaving.is_set, stop_seconds=0.4, depart=stuck.freed.set)
    threading.Timer(0.3, leaving.set).start()
    began = time.monotonic()
    assert run_shard(place, created.shard_ids[0]) == "lost"
    assert time.monotonic() - began < 5
    assert _shard(db, created.shard_ids[0]) == (ShardStatus.PENDING, None, 0)


def test_a_job_beyond_its_time_in_an_epoch_that_does_not_end_is_ended_all_the_same(db: Database, tmp_path: Path) -> None:
    """B009."""
    created, stuck = a_job(db, time_limit_seconds=10), _Stuck()
    place = _place(db, tmp_path, datasets=stuck, stop_seconds=0.3, depart=stuck.freed.set, max_run_seconds=0.2)
    assert run_shard(place, created.shard_ids[0]) == "lost"
    job = get_job(db, created.job.id)
    assert job.failure is not None
    assert (job.status, job.failure["kind"]) == (JobStatus.FAILED, "time_limit")
    assert "0.2 s" in job.failure["detail"]
    assert "no weights" in job.failure["detail"]


def test_a_service_wide_limit_ends_a_job_that_asked_for_none(db: Database, tmp_path: Path) -> None:
    created = a_job(db, training={"max_epochs": 5000})
    assert run_shard(_place(db, tmp_path, max_run_seconds=0.3), created.shard_ids[0]) == "failed"
    failure = get_job(db, created.job.id).failure
    assert failure is not None
    assert failure["kind"] == "time_limit"
    assert "0.3 s" in failure["detail"]


def _between_rounds(db: Database) -> str:
    """Make a job whose plan is to be advanced, and whose worker w/1 died before it did."""
    created = a_job_of_folds(db, [1, 2, 3, 4])
    assert done(db, take(db, created.shard_ids[0]), 1, 2, 3, 4).must_advance
    return created.job.id


def _let_advance_run_out(db: Database) -> None:
    with db.write() as connection:
        long_ago = connection.execute(select(JobRow.created_at)).scalars().first()
        connection.execute(update(JobRow).values(advancing_until=long_ago))


def test_one_worker_at_a_time_advances_a_plan(db: Database) -> None:
    """B049."""
    job_id = _between_rounds(db)
    assert begin_advance(db, job_id, "w/2", 30) is None  # w/1 ended the round and goes on itself
    assert release_worker(db, "w/1") == [job_id]
    assert unadvanced(db) == [(job_id, "auto")]
    assert begin_advance(db, job_id, "w/2", 30) is not None
    assert begin_advance(db, job_id, "w/3", 30) is None
    assert renew_advance(db, job_id, "w/2", 30)
    assert not renew_advance(db, job_id, "w/3", 30)
    assert unadvanced(db, grace_seconds=-1) == []
    leave_advance(db, job_id, "w/2", is_undone=True)
    assert unadvanced(db) == [(job_id, "auto")]
    assert begin_advance(db, job_id, "w/3", 30) is not None


def test_a_plan_that_nobody_survives_to_advance_is_given_up(db: Database) -> None:
    job_id = _between_rounds(db)
    for attempt in range(MAX_ADVANCE_ATTEMPTS):
        assert give_up_plans(db) == []
        _let_advance_run_out(db)
        assert begin_advance(db, job_id, f"dies/{attempt}", 30) is not None
    assert give_up_plans(db) == []  # the last one may live
    _let_advance_run_out(db)
    assert begin_advance(db, job_id, "w/9", 30) is None
    assert unadvanced(db, grace_seconds=-1) == []
    assert give_up_plans(db) == [job_id]
    job = get_job(db, job_id)
    assert job.failure is not None
    assert (job.status, job.failure["kind"]) == (JobStatus.FAILED, "worker_lost")
    assert give_up_plans(db) == []


def test_an_advance_that_is_stopped_does_not_count(db: Database, tmp_path: Path) -> None:
    job_id = _between_rounds(db)
    _let_advance_run_out(db)
    stuck, leaving = _Stuck(), threading.Event()
    place = _place(db, tmp_path, datasets=stuck, must_leave=leaving.is_set, stop_seconds=0.3, depart=stuck.freed.set)
    assert advance(replace(place, must_leave=lambda: True), job_id) == "handed_back"
    threading.Timer(0.3, leaving.set).start()
    advance(place, job_id)
    with db.read() as connection:
        left = connection.execute(select(JobRow.advance_attempts, JobRow.advancer, JobRow.advance_sent_at)).one()
    assert left == (0, None, None) or get_job(db, job_id).status is not JobStatus.RUNNING


def test_an_unfinished_file_of_a_full_disk_is_removed(tmp_path: Path) -> None:
    """No file may grow beyond a size, as on a full disk: what was begun goes, and what was there stays."""
    artifacts = Artifacts(f"file://{tmp_path}/files")
    artifacts.write("jobs/job_1/fit-1.safetensors", b"small")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        for key in ("jobs/job_1/fit-2.safetensors", "jobs/job_2/fit-1.safetensors"):
            with pytest.raises(ArtifactsUnavailable):
                artifacts.write(key, b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()] == ["files/jobs/job_1/fit-1.safetensors"]
    assert not (tmp_path / "files" / "jobs" / "job_2").exists()

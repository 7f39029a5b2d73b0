"""Every plan from its first claim to its end, by workers in this process, on both databases: interrupted, failing, advanced twice."""

import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem
from sqlalchemy import select

import worker.runner
from data.builtin import BUILTINS
from jobs.spec import JobSpec
from jobs.states import ACTIVE, JobStatus
from store.engine import Database
from store.errors import DatabaseUnavailable
from store.fits import list_fits
from store.jobs import delete_job, get_job
from store.orders import request_cancel
from store.shards import claim
from store.tables import EpochRow, FitRow
from tests.plan_bodies import BODIES, body_of
from tests.plans import real, run
from tests.trained import a_place, breaking, drain, left_by, restless, submit, waiting
from worker.advance import advance
from worker.failures import OutOfTime
from worker.runner import run_shard

FOLDS = {"split": {"name": "k_fold", "folds": 3}, "plan": {"name": "fit"}}
LONG = {"training": {"max_epochs": 5000}}


def _statuses(db: Database, job_id: str) -> list[str]:
    return [fit.status.value for fit in list_fits(db, job_id)]


def _files(tmp_path: Path) -> list[str]:
    return sorted(str(path.relative_to(tmp_path / "files")) for path in (tmp_path / "files").rglob("*") if path.is_file())


@pytest.mark.parametrize("name", BODIES)
def test_every_plan_runs_to_its_end_shard_by_shard(db: Database, tmp_path: Path, name: str) -> None:
    """B010, B051: what workers conclude is what the plan concludes with each fit trained alone; progress rises to 1."""
    created, place = submit(db, body_of(name)), a_place(db, tmp_path)
    seen = [0.0]
    came_of = drain(place, created.job.id, lambda: seen.append(get_job(db, created.job.id).progress))
    job = get_job(db, created.job.id)
    assert (job.status, job.failure, came_of[-1]) == (JobStatus.SUCCEEDED, None, "succeeded")
    alone = run(JobSpec.model_validate(job.spec), BUILTINS.load(job.dataset), real(BUILTINS.load(job.dataset)))
    assert job.result == alone.result
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    fits = list_fits(db, job.id)
    assert {fit.status.value for fit in fits} <= {"finished", "pruned"}
    with db.read() as connection:
        rows = connection.execute(select(EpochRow.fit_number, EpochRow.epoch).where(EpochRow.job_id == job.id)).all()
    assert sorted(tuple(row) for row in rows) == [(fit.number, epoch) for fit in fits for epoch in range((fit.last_epoch or 0) + 1)]
    assert job.fits_later == 0
    with db.read() as connection:
        urls = connection.execute(
            select(FitRow.weights_url, FitRow.outputs_url, FitRow.checkpoint_url).where(FitRow.job_id == job.id)
        ).all()
    assert _files(tmp_path) == sorted(url for row in urls for url in row if url is not None)
    place.artifacts.write("jobs/job_other/fit-1.safetensors", b"x")
    place.artifacts.delete(delete_job(db, job.id))
    assert _files(tmp_path) == ["jobs/job_other/fit-1.safetensors"]


@pytest.mark.parametrize(
    ("name", "every"), [("folds", 1), ("halving", 1), ("halving", 2), ("boosting", 2), ("bagging", 1), ("nested_cv", 3), ("bayesian", 3)]
)
def test_a_job_interrupted_at_its_epochs_leaves_what_an_undisturbed_one_leaves(
    sqlite_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, every: int
) -> None:
    """B081: curves, figures, weights and outputs, to the last bit; nothing is trained twice."""
    calm = a_place(sqlite_db, tmp_path)
    undisturbed = submit(sqlite_db, body_of(name))
    drain(calm, undisturbed.job.id)
    hurried = restless(calm, monkeypatch, lambda epochs: epochs % every == 0)
    disturbed = submit(sqlite_db, body_of(name))
    came_of = drain(hurried, disturbed.job.id)
    assert came_of.count("handed_back") >= 3
    assert left_by(calm, disturbed.job.id) == left_by(calm, undisturbed.job.id)


def test_a_worker_that_dies_between_checkpoints_loses_no_more_than_it_had_since(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B010, B081: whoever takes over goes on from the last checkpoint that was committed."""
    monkeypatch.setattr(worker.runner, "_CHECKPOINT_PAUSE", 0)
    body = body_of("bagging", training={"max_epochs": 12})
    undisturbed = submit(db, body, workers=1)
    drain(a_place(db, tmp_path), undisturbed.job.id)
    created = submit(db, body, workers=1)
    nudges: Iterator[int] = itertools.count(1)

    def dies(_: str) -> None:
        if next(nudges) == 18:
            raise KeyboardInterrupt  # no fault of the job: nothing is written any more, as if the process were gone

    with pytest.raises(KeyboardInterrupt):
        run_shard(a_place(db, tmp_path, nudge=dies, lease_seconds=0.5, flush_seconds=1e-6, checkpoint_seconds=1e-6), created.shard_ids[0])
    fits = {fit.number: fit.last_epoch for fit in list_fits(db, created.job.id)}
    assert any((epoch or 0) >= 1 for epoch in fits.values())
    give_up_at = time.monotonic() + 20
    while (held := claim(db, created.shard_ids[0], "host/2", 0.001)) is None:
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    assert max(fit.checkpoint_epoch or 0 for fit in held.fits) >= 1
    time.sleep(0.01)
    run_shard(a_place(db, tmp_path), created.shard_ids[0])
    assert left_by(a_place(db, tmp_path), created.job.id) == left_by(a_place(db, tmp_path), undisturbed.job.id)


def test_a_checkpoint_that_cannot_be_written_fails_no_fit(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = LocalFileSystem.pipe_file

    def away(self: LocalFileSystem, path: str, content: bytes) -> None:
        if ".checkpoint" in path:
            raise TimeoutError("the store is away")
        write(self, path, content)

    monkeypatch.setattr(LocalFileSystem, "pipe_file", away)
    created = submit(db, body_of("bagging"), workers=1)
    drain(a_place(db, tmp_path, checkpoint_seconds=1e-6), created.job.id)
    assert get_job(db, created.job.id).status is JobStatus.SUCCEEDED


@pytest.mark.parametrize("workers", [1, 3])
def test_a_fold_that_raises_fails_the_job_and_the_others_can_be_read(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """B097: fold 2 of 3; in one shard, and in three."""
    monkeypatch.setattr(worker.runner.Materializer, "materialize", breaking(2))
    created = submit(db, body_of("fit", **FOLDS), workers=workers)
    assert len(created.shard_ids) == workers
    drain(a_place(db, tmp_path), created.job.id)
    job = get_job(db, created.job.id)
    assert job.failure is not None
    assert (job.status, job.result, job.failure["kind"]) == (JobStatus.FAILED, None, "internal")
    assert _statuses(db, job.id) == ["finished", "failed", "finished"]
    left = left_by(a_place(db, tmp_path), job.id)
    assert {row[0] for row in left.rows} == set(left.weights) == {1, 3}


@pytest.mark.parametrize("name", ["comparison", "bagging", "grid"])
def test_plans_that_can_do_without_a_fit_do(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """B097."""
    monkeypatch.setattr(worker.runner.Materializer, "materialize", breaking(2))
    created = submit(db, body_of(name))
    drain(a_place(db, tmp_path), created.job.id)
    job = get_job(db, created.job.id)
    assert (job.status, job.failure, job.progress) == (JobStatus.SUCCEEDED, None, 1.0)
    assert _statuses(db, job.id)[1] == "failed"
    assert _statuses(db, job.id).count("finished") == len(list_fits(db, job.id)) - 1


@pytest.mark.parametrize("name", ["comparison", "bagging"])
def test_a_shard_that_breaks_as_a_whole_fails_its_fits_and_their_plan_decides(
    sqlite_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """B097: first or last, alone or not."""
    for broken in (0, -1):
        created, place = submit(sqlite_db, body_of(name), workers=2), a_place(sqlite_db, tmp_path)
        shards = waiting(sqlite_db, created.job.id)
        assert len(shards) > 1

        def groups(*_: object) -> Any:
            raise MemoryError

        for shard in shards:
            with monkeypatch.context() as patch:
                if shard == shards[broken]:
                    patch.setattr(worker.runner._Shard, "_groups", groups)
                run_shard(place, shard)
        job = get_job(sqlite_db, created.job.id)
        assert job.status is JobStatus.SUCCEEDED, job.failure
        assert set(job.fit_counts) == {"finished", "failed"}


def test_celerys_time_limit_is_not_taken_for_a_fault_of_one_fit(
    sqlite_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B094: raised in one fold, the others never start, in this shard or another."""
    calls: list[int] = []

    def late(stack: worker.runner.Stack) -> Any:
        calls.append(len(stack.members))
        raise OutOfTime
        yield

    monkeypatch.setattr(worker.runner, "train", late)
    created = submit(sqlite_db, body_of("bagging"), workers=4)
    place = a_place(sqlite_db, tmp_path)
    assert run_shard(place, created.shard_ids[0]) == "failed"
    assert all(run_shard(place, shard) == "not_claimed" for shard in created.shard_ids[1:])
    job = get_job(sqlite_db, created.job.id)
    assert job.failure is not None
    assert (job.status, job.failure["kind"], calls) == (JobStatus.FAILED, "time_limit", [1])


def test_a_plan_whose_worker_died_before_it_advanced_is_advanced_by_others_once(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B049: between the last commit of a round and the next, and before the end, by two at once."""
    created, place = submit(db, body_of("boosting")), a_place(db, tmp_path)
    monkeypatch.setattr(worker.runner, "advance", lambda *_: "died")
    came_of = []
    while get_job(db, created.job.id).status in ACTIVE:
        ran = [run_shard(place, shard) for shard in waiting(db, created.job.id)]
        assert len(ran) == 1
        if ran == ["died"]:
            with ThreadPoolExecutor(2) as pool:
                came_of.append(sorted(pool.map(lambda _: advance(place, created.job.id), range(2))))
            assert advance(place, created.job.id) == "not_ready"
    assert came_of == [["next_round", "not_ready"]] * len(came_of)
    assert came_of
    again = submit(db, body_of("boosting"))
    monkeypatch.undo()
    drain(place, again.job.id)
    assert left_by(place, created.job.id) == left_by(place, again.job.id)


def test_a_plan_that_cannot_be_advanced_ends_its_job(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It never stays running for ever, but what the database's absence keeps from happening may happen later."""

    def broken(*_: object) -> Any:
        raise error

    created, place = submit(db, body_of("boosting")), a_place(db, tmp_path)
    error: Exception = DatabaseUnavailable("away")
    with monkeypatch.context() as patch:
        patch.setattr("worker.advance.begin_round", broken)
        assert run_shard(place, created.shard_ids[0]) == "lost"
        assert get_job(db, created.job.id).status is JobStatus.RUNNING
        error = RuntimeError("a fault of ours")
        assert advance(place, created.job.id) == "failed"
    failure = get_job(db, created.job.id).failure
    assert failure is not None
    assert failure["kind"] == "internal"


def test_two_workers_share_one_job_and_one_cancellation_ends_both(db: Database, tmp_path: Path) -> None:
    """B008."""
    created = submit(db, body_of("bagging", **LONG), workers=4)
    came_of: dict[str, str] = {}

    def work(worker_id: str, shard: str) -> None:
        came_of[worker_id] = run_shard(a_place(db, tmp_path, worker_id=worker_id, lease_seconds=2.0), shard)

    threads = [threading.Thread(target=work, args=(f"host/{i}", created.shard_ids[i])) for i in range(2)]
    for thread in threads:
        thread.start()
    give_up_at = time.monotonic() + 60
    while sum((fit.last_epoch or 0) > 1 for fit in list_fits(db, created.job.id)) < 2:
        assert time.monotonic() < give_up_at
        time.sleep(0.02)
    request_cancel(db, created.job.id)
    for thread in threads:
        thread.join()
    assert came_of == {"host/0": "cancelled", "host/1": "cancelled"}
    job = get_job(db, created.job.id)
    assert (job.status, job.fit_counts) == (JobStatus.CANCELLED, {"cancelled": 4})
    fits = list_fits(db, job.id)
    assert [fit.weights_url is not None for fit in fits] == [True, True, False, False]
    assert all(fit.evaluation is not None for fit in fits[:2])


def test_a_time_limit_ends_a_job_of_two_workers(sqlite_db: Database, tmp_path: Path) -> None:
    """B094."""
    created = submit(sqlite_db, body_of("bagging", **LONG, time_limit_seconds=0.5), workers=4)
    places = [a_place(sqlite_db, tmp_path, worker_id=f"host/{i}") for i in range(2)]
    threads = [threading.Thread(target=run_shard, args=(places[i], created.shard_ids[i])) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    job = get_job(sqlite_db, created.job.id)
    assert job.failure is not None
    assert (job.status, job.failure["kind"]) == (JobStatus.FAILED, "time_limit")
    assert {fit.stop_reason for fit in list_fits(sqlite_db, job.id)} == {"time_limit"}

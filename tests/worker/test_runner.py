"""A shard at work, on both databases, in this process."""

import errno
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from celery.exceptions import SoftTimeLimitExceeded

import worker.runner
from data.builtin import BUILTINS
from jobs.resolve import resolve
from jobs.spec import JobSpec
from jobs.states import JobStatus
from store.artifacts import Artifacts
from store.datasets import Datasets, store_dataset
from store.engine import Database
from store.epochs import curves
from store.errors import ArtifactsUnavailable
from store.fits import get_fit
from store.jobs import create_job, get_job
from store.orders import request_cancel
from store.shards import release_worker
from tests.factories import a_job, an_upload
from worker.failures import failure_of
from worker.heartbeat import Heartbeat
from worker.place import Workplace
from worker.runner import run_shard

LONG = {"dataset": "iris", "training": {"max_epochs": 5000}}


def _place(db: Database, tmp_path: Path, nudge: Callable[[str], None] = lambda _: None, **fields: Any) -> Workplace:
    values = {"worker_id": "host/1", "lease_seconds": 5.0, "flush_seconds": 0.05, **fields}
    return Workplace(db=db, artifacts=Artifacts(f"file://{tmp_path}/files"), datasets=BUILTINS, nudge=nudge, **values)


def test_a_shard_is_trained_to_success_and_its_weights_are_stored(db: Database, tmp_path: Path) -> None:
    nudged: list[str] = []
    created = a_job(db)
    place = _place(db, tmp_path, nudged.append)
    assert run_shard(place, created.shard_ids[0]) == "succeeded"
    job = get_job(db, created.job.id)
    assert job.status is JobStatus.SUCCEEDED
    assert job.result is not None
    assert job.environment is not None
    assert curves(db, job.id).fits[0].epoch == [0, 1, 2, 3, 4]
    fit = get_fit(db, job.id, 1)
    assert fit.weights_url == f"jobs/{job.id}/fit-1-attempt-1.safetensors"
    assert place.artifacts.read(fit.weights_url)
    assert set(nudged) == {job.id}


def test_an_uploaded_dataset_is_trained_on_and_one_whose_files_are_gone_is_invalid(db: Database, tmp_path: Path) -> None:
    place = _place(db, tmp_path)
    place = replace(place, datasets=Datasets(db, place.artifacts))
    dataset_id = store_dataset(db, place.artifacts, an_upload(tmp_path / "upload"))[0].info.id
    spec = JobSpec.model_validate({"dataset": dataset_id, "seed": 0, "training": {"max_epochs": 2}})
    first, second = (create_job(db, resolve(spec, source=place.datasets)) for _ in range(2))
    assert run_shard(place, first.shard_ids[0]) == "succeeded"
    assert curves(db, first.job.id).fits[0].epoch == [0, 1, 2]
    (tmp_path / "files" / "datasets" / dataset_id / "x.npy").unlink()
    elsewhere = replace(place, datasets=Datasets(db, place.artifacts))
    assert run_shard(elsewhere, second.shard_ids[0]) == "failed"
    failure = get_job(db, second.job.id).failure
    assert failure is not None
    assert failure["kind"] == "invalid_data"
    assert str(tmp_path) not in str(failure)


def test_a_second_delivery_does_nothing(db: Database, tmp_path: Path) -> None:
    """B007."""
    created = a_job(db)
    place = _place(db, tmp_path)
    done = threading.Barrier(2)
    came_of: list[str] = []

    def deliver() -> None:
        done.wait()
        came_of.append(run_shard(place, created.shard_ids[0]))

    threads = [threading.Thread(target=deliver) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(came_of) == ["not_claimed", "succeeded"]
    assert curves(db, created.job.id).fits[0].epoch == [0, 1, 2, 3, 4]
    assert run_shard(place, created.shard_ids[0]) == "not_claimed"


def test_an_unknown_shard_is_not_claimed(db: Database, tmp_path: Path) -> None:
    """B047: a message without a row harms nothing."""
    assert run_shard(_place(db, tmp_path), "shard_unknown") == "not_claimed"


def test_a_job_cancelled_before_its_message_arrives_trains_nothing(db: Database, tmp_path: Path) -> None:
    """B048."""
    created = a_job(db)
    request_cancel(db, created.job.id)
    assert run_shard(_place(db, tmp_path), created.shard_ids[0]) == "not_claimed"
    assert curves(db, created.job.id).fits[0].epoch == []


def test_a_job_cancelled_while_it_trains_keeps_its_epochs_and_weights(db: Database, tmp_path: Path) -> None:
    """B008, B040."""
    created = a_job(db, **LONG)
    flushes: list[str] = []

    def nudge(job_id: str) -> None:
        flushes.append(job_id)
        if len(flushes) == 3:
            request_cancel(db, job_id)

    assert run_shard(_place(db, tmp_path, nudge), created.shard_ids[0]) == "cancelled"
    job = get_job(db, created.job.id)
    fit = get_fit(db, job.id, 1)
    assert (job.status, fit.status.value, fit.stop_reason) == (JobStatus.CANCELLED, "cancelled", "cancelled")
    assert fit.weights_url is not None
    [curve] = curves(db, job.id).fits
    assert curve.epoch == list(range(len(curve.epoch)))
    assert fit.best is not None
    assert fit.evaluation is not None
    assert fit.evaluation["val"]["loss"]["value"] == fit.best["val_loss"]


def test_a_time_limit_ends_the_job_whatever_was_asked_for(db: Database, tmp_path: Path) -> None:
    """B094."""
    created = a_job(db, **LONG, time_limit_seconds=0.2)
    assert run_shard(_place(db, tmp_path), created.shard_ids[0]) == "failed"
    job = get_job(db, created.job.id)
    assert job.failure is not None
    assert job.failure["kind"] == "time_limit"
    assert get_fit(db, job.id, 1).stop_reason == "time_limit"


def test_celerys_own_time_limit_is_not_taken_for_a_fault_of_one_epoch(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B094: raised inside training, it ends the job; nothing trains on."""

    def interrupted(_stack: object) -> Any:
        raise SoftTimeLimitExceeded
        yield

    monkeypatch.setattr(worker.runner, "train", interrupted)
    created = a_job(db)
    assert run_shard(_place(db, tmp_path), created.shard_ids[0]) == "failed"
    failure = get_job(db, created.job.id).failure
    assert failure is not None
    assert failure["kind"] == "time_limit"


def test_a_worker_that_must_leave_hands_its_shard_back(db: Database, tmp_path: Path) -> None:
    created = a_job(db, **LONG)
    assert run_shard(_place(db, tmp_path, must_leave=lambda: True), created.shard_ids[0]) == "handed_back"
    assert get_job(db, created.job.id).phase == "waiting for a worker"


def test_a_worker_that_lost_its_lease_stops_and_writes_nothing_more(db: Database, tmp_path: Path) -> None:
    """B095."""
    created = a_job(db, **LONG)
    taken: list[str] = []

    def nudge(job_id: str) -> None:
        if len(taken) == 2:
            release_worker(db, "host/1")
            run = worker.runner.claim(db, created.shard_ids[0], "other/1", 60)
            assert run is not None
        taken.append(job_id)

    assert run_shard(_place(db, tmp_path, nudge), created.shard_ids[0]) == "lost"
    assert curves(db, created.job.id).fits[0].epoch == []


def test_the_heartbeat_keeps_a_lease_through_a_long_epoch(db: Database, tmp_path: Path) -> None:
    """B095: it renews whatever the training thread does, and reports a cancellation."""
    created = a_job(db)
    held = worker.runner.claim(db, created.shard_ids[0], "host/1", 0.4)
    assert held is not None
    with Heartbeat(_place(db, tmp_path, lease_seconds=0.4), held) as heartbeat:
        time.sleep(1.2)
        assert worker.runner.claim(db, created.shard_ids[0], "other/1", 1) is None
        assert not heartbeat.is_cancelled
        request_cancel(db, created.job.id)
        give_up_at = time.monotonic() + 10
        while not heartbeat.is_cancelled:
            assert time.monotonic() < give_up_at
            time.sleep(0.02)


def test_an_unexpected_error_ends_the_job_without_telling_its_trace(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("/secret/path\x00")

    monkeypatch.setattr(worker.runner.Materializer, "materialize", broken)
    created = a_job(db)
    assert run_shard(_place(db, tmp_path), created.shard_ids[0]) == "failed"
    job = get_job(db, created.job.id)
    assert job.failure is not None
    assert (job.failure["kind"], "secret" in str(job.failure), "\x00" in str(job.failure)) == ("internal", False, False)
    assert job.fit_counts == {"failed": 1}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out_of_memory"),
        (RuntimeError("could not create a memory object"), "out_of_memory"),
        (RuntimeError("std::bad_alloc"), "out_of_memory"),
        (np.exceptions.AxisError(3), "internal"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out_of_memory"),
        (ArtifactsUnavailable(errno.ENOSPC, "OSError: No space left on device"), "internal"),
        (FileNotFoundError("x"), "invalid_data"),
        (ValueError("x"), "internal"),
    ],
)
def test_every_error_has_a_kind(error: Exception, kind: str) -> None:
    assert failure_of(error)["kind"] == kind

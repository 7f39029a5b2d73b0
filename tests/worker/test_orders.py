"""Pauses, and leases lost at every commit, through the store: what is left is what an undisturbed job leaves, to the last bit."""

import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import worker.ledger
from jobs.states import ACTIVE, JobStatus
from store.engine import Database
from store.errors import LeaseLost
from store.fits import list_fits
from store.jobs import get_job
from store.orders import request_cancel, request_pause, request_resume
from store.shards import release_worker
from tests.plan_bodies import BODIES, body_of
from tests.trained import a_place, drain, left_by, restless, submit, waiting
from worker.advance import advance
from worker.runner import run_shard

EAGER: dict[str, Any] = {"flush_seconds": 1e-9}
"""Every epoch is stored as it comes about, so that orders arrive between any two."""


def _paused_at(db: Database, tmp_path: Path, job_id: str, turn: int) -> list[str]:
    """Train a job to its end, with a pause asked for at one of its commits; tell what came of each claim."""
    turns = itertools.count()

    def nudge(_: str) -> None:
        if next(turns) == turn and get_job(db, job_id).status in ACTIVE:
            request_pause(db, job_id)

    place, came_of = a_place(db, tmp_path, nudge=nudge, **EAGER), []
    while get_job(db, job_id).status in ACTIVE:
        assert len(came_of) < 100, came_of
        if get_job(db, job_id).status is JobStatus.PAUSED:
            request_resume(db, job_id)
        shards = waiting(db, job_id)
        came_of.append(run_shard(place, shards[0]) if shards else advance(place, job_id))
    return came_of


@pytest.mark.parametrize("name", ["fit", "folds", "halving", "boosting"])
def test_a_job_paused_at_any_commit_leaves_what_an_undisturbed_one_leaves(sqlite_db: Database, tmp_path: Path, name: str) -> None:
    """B081: within a round, with its last epoch, between two rounds, or with its end."""
    undisturbed = submit(sqlite_db, body_of(name), workers=1)
    drain(a_place(sqlite_db, tmp_path), undisturbed.job.id)
    expected, paused = left_by(a_place(sqlite_db, tmp_path), undisturbed.job.id), 0
    for turn in itertools.count(0, 1 if name in {"fit", "folds"} else 3):
        created = submit(sqlite_db, body_of(name), workers=1)
        came_of = _paused_at(sqlite_db, tmp_path, created.job.id, turn)
        assert left_by(a_place(sqlite_db, tmp_path), created.job.id) == expected, (turn, came_of)
        statuses = [one["status"] for one in get_job(sqlite_db, created.job.id).transitions]
        paused += "paused" in statuses
        if turn > 3 and "paused" not in statuses:
            break
    assert paused >= 3


@pytest.mark.parametrize("name", BODIES)
def test_a_lease_lost_at_any_commit_changes_nothing_that_is_left(
    sqlite_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """B010, B081, B095: each attempt at a shard loses it three commits later than the one before, until one comes through."""
    commit = worker.ledger.commit
    limits, made = itertools.count(2, 3), [0, 10_000]

    def losing(db: Database, claim: Any, **what: Any) -> Any:
        made[0] += 1
        if made[0] >= made[1]:
            raise LeaseLost(claim.shard_id)
        return commit(db, claim, **what)

    monkeypatch.setattr(worker.ledger, "commit", losing)
    monkeypatch.setattr("worker.runner._CHECKPOINT_PAUSE", 0)
    undisturbed = submit(sqlite_db, body_of(name))
    drain(a_place(sqlite_db, tmp_path), undisturbed.job.id)
    place = a_place(sqlite_db, tmp_path, checkpoint_seconds=1e-9, **EAGER)
    created, came_of = submit(sqlite_db, body_of(name)), []
    held: list[str] = []
    while get_job(sqlite_db, created.job.id).status in ACTIVE:
        assert len(came_of) < 300, came_of[-10:]
        shards = held or waiting(sqlite_db, created.job.id)
        if not shards:
            came_of.append(advance(place, created.job.id))
            continue
        made[:] = [0, next(limits)]
        came_of.append(run_shard(place, shards[0]))
        release_worker(sqlite_db, "host/")
        held = [shards[0]] if came_of[-1] == "lost" else []
        limits = limits if held else itertools.count(2, 3)
    assert came_of.count("lost") >= 2
    assert left_by(place, created.job.id) == left_by(place, undisturbed.job.id)


@pytest.mark.parametrize("order", [request_pause, request_cancel], ids=["paused", "cancelled"])
def test_two_workers_of_one_job_hand_it_back_and_a_cancellation_still_ends_it(
    db: Database, tmp_path: Path, order: Callable[[Database, str], Any]
) -> None:
    """B008: a cancellation that comes while a pause is under way wins, and best weights are kept."""
    created = submit(db, body_of("bagging", training={"max_epochs": 5000}), workers=4)
    places = [a_place(db, tmp_path, worker_id=f"host/{i}") for i in range(2)]
    came_of: list[str] = []
    threads = [
        threading.Thread(target=lambda i=i: came_of.append(run_shard(places[i], created.shard_ids[i])))  # type: ignore[misc]  # bound now
        for i in range(2)
    ]
    for thread in threads:
        thread.start()
    give_up_at = time.monotonic() + 60
    while sum((fit.last_epoch or 0) > 1 for fit in list_fits(db, created.job.id)) < 2:
        assert time.monotonic() < give_up_at
        time.sleep(0.02)
    request_pause(db, created.job.id)
    order(db, created.job.id)
    for thread in threads:
        thread.join()
    job = get_job(db, created.job.id)
    if order is request_pause:
        assert (came_of, job.status, job.fit_counts) == (["paused", "paused"], JobStatus.PAUSED, {"pending": 4})
        job = request_cancel(db, job.id)
    assert (job.status, job.fit_counts, job.pause_requested_at) == (JobStatus.CANCELLED, {"cancelled": 4}, None)


def test_a_worker_told_to_pause_and_to_cancel_at_once_keeps_the_best_weights(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B008, B040: it learns of the cancellation when it is about to hand its shard back."""
    created = submit(db, body_of("fit", training={"max_epochs": 5000}))

    def must_leave(epochs: int) -> bool:
        if epochs < 3:
            return False
        request_cancel(db, created.job.id)
        return True

    place = restless(a_place(db, tmp_path, flush_seconds=60.0), monkeypatch, must_leave)
    assert run_shard(place, created.shard_ids[0]) == "cancelled"
    [fit] = list_fits(db, created.job.id)
    assert (fit.status.value, fit.weights_url is not None, fit.last_epoch) == ("cancelled", True, 2)
    assert get_job(db, created.job.id).status is JobStatus.CANCELLED

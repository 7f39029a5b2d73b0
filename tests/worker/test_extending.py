"""A job that was extended is, bit for bit, the job that had been submitted with so many epochs: every plan, however it ended, on both databases."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from jobs.extending import Extended, Extension, check_extendable, extend
from jobs.planning import shards_of
from jobs.plans.extendable import is_extendable
from jobs.resolve import resolve
from jobs.spec import JobSpec
from jobs.states import JobStatus
from store.engine import Database
from store.events import events_after
from store.extending import extend_job, read_ended
from store.fits import list_fits
from store.jobs import Created, delete_job, get_job
from store.orders import request_cancel
from store.tables import FitRow
from tests.plan_bodies import BODIES, body_of
from tests.trained import Left, a_place, drain, left_by, submit
from worker.place import Workplace
from worker.runner import run_shard

ROWS = {"fit": 1, "folds": 4, "time": 3, "comparison": 3, "bagging": 4, "bias_variance": 3, "learning_curve": 2}
STOPPING = {"early_stopping": {"patience": 1, "min_delta": 0.3}, "optimizer": {"name": "adam", "learning_rate": 0.05}}


def _epochs(number: int) -> dict[str, Any]:
    return {"training": {"max_epochs": number}}


def _extended(db: Database, job_id: str, **fields: Any) -> Extended:
    old = read_ended(db, job_id)
    check_extendable(old)
    return extend(old, resolve(Extension.model_validate(fields).of(old.spec)))


def _extend(place: Workplace, job_id: str, epochs: int, *, workers: int = 2, **fields: Any) -> Created:
    found = _extended(place.db, job_id, max_epochs=epochs, **fields)
    return extend_job(place.db, place.artifacts, found, shards_of(found.to_train, found.resolved.info, workers))


def _at_once(place: Workplace, body: dict[str, Any]) -> Left:
    """Train a job from its beginning and give what it left."""
    created = submit(place.db, body)
    drain(place, created.job.id)
    return left_by(place, created.job.id)


def _named(place: Workplace, job_id: str) -> list[str]:
    """List the files that a job's rows name."""
    columns = (FitRow.weights_url, FitRow.outputs_url, FitRow.checkpoint_url)
    with place.db.read() as connection:
        rows = connection.execute(select(*columns).where(FitRow.job_id == job_id)).all()
    return sorted(url for row in rows for url in row if url is not None)


def _files(tmp_path: Path, job_id: str = "") -> list[str]:
    root = tmp_path / "files"
    return sorted(str(path.relative_to(root)) for path in (root / "jobs" / job_id).rglob("*") if path.is_file())


def _run_until(db: Database, tmp_path: Path, created: Created, epoch: int, order: Callable[[Database, str], Any]) -> str:
    """Train a job's first shard and give an order once an epoch is stored; tell what came of it."""

    def nudge(job_id: str) -> None:
        if (-1 if (found := read_ended(db, job_id).furthest_epoch) is None else found) >= epoch:
            order(db, job_id)

    return run_shard(a_place(db, tmp_path, nudge=nudge, flush_seconds=1e-6), created.shard_ids[0])


def test_the_plans_here_are_all_that_can_be_extended() -> None:
    specs = {name: JobSpec.model_validate(body_of(name)).plan for name in BODIES}
    assert set(ROWS) == {name for name, plan in specs.items() if is_extendable(plan)}


@pytest.mark.parametrize("name", ROWS)
def test_an_extended_job_is_the_job_submitted_with_so_many_epochs(db: Database, tmp_path: Path, name: str) -> None:
    """B010, B040, B081: rows, figures, weights, outputs and result, though the old job is deleted before the new one begins."""
    place = a_place(db, tmp_path)
    first = submit(db, body_of(name))
    drain(place, first.job.id)
    created = _extend(place, first.job.id, 6)
    assert (created.job.continues, created.job.status, created.job.warnings) == (first.job.id, JobStatus.QUEUED, first.job.warnings)
    assert created.job.spec == {**first.job.spec, "training": {**first.job.spec["training"], "max_epochs": 6}}
    assert 0 < created.job.progress < 1
    assert [event.kind for event in events_after(db, created.job.id, 0).events][-1] == "status"
    place.artifacts.delete(delete_job(db, first.job.id))
    assert _files(tmp_path) == _named(place, created.job.id)
    drain(place, created.job.id)
    assert left_by(place, created.job.id) == _at_once(place, body_of(name, **_epochs(6)))
    assert _files(tmp_path, created.job.id) == _named(place, created.job.id)
    assert len(list_fits(db, created.job.id)) == ROWS[name]


@pytest.mark.parametrize("name", ["folds", "comparison", "bagging"])
def test_an_extension_can_be_extended(sqlite_db: Database, tmp_path: Path, name: str) -> None:
    place = a_place(sqlite_db, tmp_path)
    job_id = submit(sqlite_db, body_of(name, **_epochs(1))).job.id
    drain(place, job_id)
    for epochs in (2, 3, 6):
        before = job_id
        job_id = _extend(place, job_id, epochs).job.id
        drain(place, job_id)
        assert get_job(sqlite_db, job_id).continues == before
    assert left_by(place, job_id) == _at_once(place, body_of(name, **_epochs(6)))


@pytest.mark.parametrize("name", ["folds", "bagging"])
def test_fits_that_were_stopped_early_keep_their_end_where_others_go_on(db: Database, tmp_path: Path, name: str) -> None:
    place = a_place(db, tmp_path)
    body = body_of(name, **{**STOPPING, "early_stopping": {"patience": 2, "min_delta": 0.02}})
    for epochs in range(2, 30):
        first = submit(db, {**body, **_epochs(epochs)})
        drain(place, first.job.id)
        ended = [fit.stop_reason for fit in list_fits(db, first.job.id)][: 3 if name == "folds" else 4]
        if "early_stopping" in ended:
            break
    assert set(ended) == {"early_stopping", "max_epochs"}, ended
    created = _extend(place, first.job.id, epochs + 6)
    stopped = {number for number, reason in enumerate(ended, start=1) if reason == "early_stopping"}
    before = {fit.number: fit for fit in list_fits(db, created.job.id) if fit.number in stopped}
    assert {fit.status.value for fit in before.values()} == {"finished"}
    drain(place, created.job.id)
    assert left_by(place, created.job.id) == _at_once(place, {**body, **_epochs(epochs + 6)})


@pytest.mark.parametrize("epoch", [0, 1, 4])
def test_a_cancelled_job_goes_on_where_it_was_cancelled(db: Database, tmp_path: Path, epoch: int) -> None:
    """B008, B081: two of four members were begun; the others are trained from the beginning, and a warning says so."""
    body = body_of("bagging", **_epochs(5000))
    created = submit(db, body, workers=2)
    _run_until(db, tmp_path, created, epoch, request_cancel)
    old = get_job(db, created.job.id)
    assert (old.status, old.fit_counts) == (JobStatus.CANCELLED, {"cancelled": 4})
    place = a_place(db, tmp_path)
    reached = read_ended(db, old.id).furthest_epoch
    assert reached is not None
    assert reached >= epoch
    on = _extend(place, old.id, reached + 2)
    assert on.job.warnings == [f"fits 3, 4 have no checkpoint in job {old.id}: trained from the beginning"]
    drain(place, on.job.id)
    assert left_by(place, on.job.id) == _at_once(place, body_of("bagging", **_epochs(reached + 2)))

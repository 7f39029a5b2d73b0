"""A job that was extended is, bit for bit, the job that had been submitted with so many epochs: every plan, however it ended, on both databases."""

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from sqlalchemy import select, update

import worker.runner
from api.techniques import members
from jobs.extending import CannotExtend, Extended, Extension, check_extendable, extend
from jobs.planning import shards_of
from jobs.plans.extendable import is_extendable
from jobs.resolve import resolve
from jobs.spec import JobSpec
from jobs.states import FitStatus, JobStatus
from store.artifacts import Artifacts
from store.commits import commit
from store.datasets import collect_garbage
from store.engine import Database
from store.epochs import curves
from store.errors import Conflict, NotFound
from store.events import events_after
from store.extending import extend_job, read_ended
from store.fits import list_fits
from store.jobs import Created, delete_job, get_job
from store.orders import request_cancel
from store.shards import claim, release_worker
from store.sweeping import reap
from store.tables import FitRow, JobRow, ShardRow
from tests.plan_bodies import BODIES, body_of
from tests.trained import Left, a_place, breaking, drain, left_by, restless, submit
from training.schedules.spec import ScheduleSpec
from worker.failures import OutOfTime
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


def test_a_job_whose_time_was_over_goes_on_with_new_time(db: Database, tmp_path: Path) -> None:
    """B094."""
    place = a_place(db, tmp_path)
    created = submit(db, body_of("fit", **_epochs(5000), time_limit_seconds=0.3))
    assert run_shard(place, created.shard_ids[0]) == "failed"
    reached = read_ended(db, created.job.id).furthest_epoch
    assert reached is not None
    on = _extend(place, created.job.id, reached + 3)
    assert on.job.spec["time_limit_seconds"] == 0.3
    with db.write() as connection:  # this machine may be slow
        connection.execute(update(JobRow).where(JobRow.id == on.job.id).values(spec={**on.job.spec, "time_limit_seconds": None}))
    drain(place, on.job.id)
    assert left_by(place, on.job.id) == _at_once(place, body_of("fit", **_epochs(reached + 3)))


def test_celerys_time_limit_leaves_the_last_checkpoint(sqlite_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """B094: it may come in the middle of an update, so what is kept is what was kept before."""
    follow = worker.runner.train

    def late(stack: worker.runner.Stack) -> Any:
        for event in follow(stack):
            if stack.next_epoch == 4:
                raise OutOfTime
            yield event

    monkeypatch.setattr(worker.runner, "train", late)
    monkeypatch.setattr(worker.runner, "_CHECKPOINT_PAUSE", 0)
    place = a_place(sqlite_db, tmp_path, checkpoint_seconds=1e-6)
    created = submit(sqlite_db, body_of("fit", **_epochs(9)))
    assert run_shard(place, created.shard_ids[0]) == "failed"
    monkeypatch.undo()
    old = read_ended(sqlite_db, created.job.id)
    assert (old.failure_kind, old.fits[1].checkpoint_epoch) == ("time_limit", 2)
    on = _extend(place, created.job.id, 9)
    assert on.job.steps_done == 2 * 4
    drain(place, on.job.id)
    assert left_by(place, on.job.id) == _at_once(place, body_of("fit", **_epochs(9)))


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_job_whose_workers_were_lost_goes_on_from_its_last_checkpoint(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_cancelled: bool
) -> None:
    """B009, B010: rows that came after it are left behind."""
    place = a_place(db, tmp_path)
    created = submit(db, body_of("fit", **_epochs(5000)))
    assert run_shard(restless(place, monkeypatch, lambda epochs: epochs == 4), created.shard_ids[0]) == "handed_back"
    for attempt in range(3):
        held = claim(db, created.shard_ids[0], f"dead/{attempt}", 60)
        assert held is not None
        release_worker(db, "dead/")
    if is_cancelled:
        request_cancel(db, created.job.id)
    reap(db)
    old = read_ended(db, created.job.id)
    assert (old.status.value, old.failure_kind) == (("cancelled", None) if is_cancelled else ("failed", "worker_lost"))
    on = _extend(place, created.job.id, 6)
    assert [fit.last_epoch for fit in list_fits(db, on.job.id)] == [3]
    drain(place, on.job.id)
    assert left_by(place, on.job.id) == _at_once(place, body_of("fit", **_epochs(6)))


def test_epochs_after_the_checkpoint_are_trained_again(db: Database, tmp_path: Path) -> None:
    """B010."""
    place = a_place(db, tmp_path)
    created = submit(db, body_of("fit", **_epochs(5)))
    drain(place, created.job.id)
    shorter = submit(db, body_of("fit", **_epochs(3)))
    drain(place, shorter.job.id)
    checkpoint = place.artifacts.read(read_ended(db, shorter.job.id).fits[1].checkpoint_url or "")
    url = place.artifacts.write(f"jobs/{created.job.id}/fit-1-epoch-3-attempt-1.checkpoint", checkpoint)
    with db.write() as connection:
        connection.execute(update(FitRow).where(FitRow.job_id == created.job.id).values(checkpoint_url=url, checkpoint_epoch=3))
    on = _extend(place, created.job.id, 7)
    assert curves(db, on.job.id).fits[0].epoch == [0, 1, 2, 3]
    drain(place, on.job.id)
    assert left_by(place, on.job.id) == _at_once(place, body_of("fit", **_epochs(7)))


def test_an_extended_job_whose_worker_dies_goes_on_from_what_it_was_given(db: Database, tmp_path: Path) -> None:
    """B081: and an attempt that adds nothing is idle."""
    place = a_place(db, tmp_path)
    created = submit(db, body_of("bagging"), workers=1)
    drain(place, created.job.id)
    on = _extend(place, created.job.id, 6, workers=1)
    for _ in range(2):
        held = claim(db, on.shard_ids[0], "dead/1", 60)
        assert held is not None
        assert {fit.checkpoint_epoch for fit in held.fits} == {3}
        assert not commit(db, held, lease_seconds=60).is_cancelled
        release_worker(db, "dead/1")
    with db.read() as connection:
        assert connection.scalar(select(ShardRow.idle_attempts).where(ShardRow.id == on.shard_ids[0])) == 2
    assert run_shard(place, on.shard_ids[0]) == "succeeded"
    assert left_by(place, on.job.id) == _at_once(place, body_of("bagging", **_epochs(6)))


def test_a_variant_with_epochs_of_its_own_keeps_its_end(sqlite_db: Database, tmp_path: Path) -> None:
    variants = [{"label": "short", "set": {"/training/max_epochs": 2}}, {"label": "as asked", "set": {"/optimizer/learning_rate": 0.01}}]
    body = body_of("comparison", plan={"name": "comparison", "variants": variants})
    place = a_place(sqlite_db, tmp_path)
    created = submit(sqlite_db, body)
    drain(place, created.job.id)
    on = _extend(place, created.job.id, 5)
    assert [(fit.status.value, fit.last_epoch) for fit in list_fits(sqlite_db, on.job.id)] == [("finished", 2), ("pending", 3)]
    drain(place, on.job.id)
    assert left_by(place, on.job.id) == _at_once(place, {**body, **_epochs(5)})


@pytest.mark.parametrize("kind", ["diverged", "failed"])
def test_a_fit_that_did_not_finish_is_trained_again_where_others_go_on(
    sqlite_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    rates = {"good": 0.01, "other": 1e25 if kind == "diverged" else 0.02}
    variants = [{"label": label, "set": {"/optimizer": {"name": "sgd", "learning_rate": rate}}} for label, rate in rates.items()]
    body = body_of("comparison", plan={"name": "comparison", "variants": variants})
    place = a_place(sqlite_db, tmp_path)
    created = submit(sqlite_db, body)
    with monkeypatch.context() as patch:
        if kind == "failed":
            patch.setattr(worker.runner.Materializer, "materialize", breaking(2))
        drain(place, created.job.id)
    assert [fit.status.value for fit in list_fits(sqlite_db, created.job.id)] == ["finished", kind]
    on = _extend(place, created.job.id, 5)
    assert on.job.warnings[-1] == f"fit 2 has no checkpoint in job {created.job.id}: trained from the beginning"
    drain(place, on.job.id)
    assert left_by(place, on.job.id) == _at_once(place, {**body, **_epochs(5)})


@pytest.mark.parametrize("schedule", members(ScheduleSpec), ids=lambda one: get_args(one.model_fields["name"].annotation)[0])
def test_a_schedule_that_depends_on_max_epochs_is_warned_of(sqlite_db: Database, tmp_path: Path, schedule: type[BaseModel]) -> None:
    """Whoever is not warned gets the curve of a job submitted with so many epochs, and who is warned gets another."""
    name = get_args(schedule.model_fields["name"].annotation)[0]
    settings = {"step": {"every": 2}, "reduce_on_plateau": {"patience": 1, "min_delta": 0.5}}.get(name, {})
    body = body_of("fit", schedule={"name": name, **settings, "warmup_epochs": 1})
    place = a_place(sqlite_db, tmp_path)
    created = submit(sqlite_db, body)
    drain(place, created.job.id)
    on = _extend(place, created.job.id, 6)
    drain(place, on.job.id)
    is_warned = any("depends on max_epochs" in one for one in on.job.warnings)
    ours, theirs = left_by(place, on.job.id), _at_once(place, {**body, **_epochs(6)})
    assert (ours.rows != theirs.rows) is is_warned
    assert is_warned is (name in {"cosine", "one_cycle"})
    assert [row[:2] for row in ours.rows] == [row[:2] for row in theirs.rows]


def _refusal(db: Database, job_id: str, epochs: int = 9) -> tuple[str, str]:
    with pytest.raises(CannotExtend) as caught:
        _extended(db, job_id, max_epochs=epochs)
    return caught.value.code, caught.value.detail


@pytest.mark.parametrize("name", [name for name in BODIES if name not in ROWS])
def test_plans_whose_rounds_follow_from_one_another_are_not_extended_and_keep_no_checkpoint(
    sqlite_db: Database, tmp_path: Path, name: str
) -> None:
    place = a_place(sqlite_db, tmp_path)
    created = submit(sqlite_db, body_of(name))
    drain(place, created.job.id)
    assert _refusal(sqlite_db, created.job.id)[0] == "cannot_extend"
    assert [url for url in _files(tmp_path) if url.endswith(".checkpoint") and url in _ended_checkpoints(sqlite_db, created.job.id)] == []


def _ended_checkpoints(db: Database, job_id: str) -> list[str]:
    with db.read() as connection:
        query = select(FitRow.checkpoint_url).where(FitRow.job_id == job_id, FitRow.status == FitStatus.FINISHED)
        return [url for url in connection.scalars(query) if url is not None]


def test_jobs_with_nothing_to_go_on_from_are_refused_with_what_to_do_instead(sqlite_db: Database, tmp_path: Path) -> None:
    place = a_place(sqlite_db, tmp_path)
    stopped = submit(sqlite_db, body_of("fit", **{**STOPPING, **_epochs(50)}))
    diverged = submit(sqlite_db, body_of("fit", dataset="diabetes", optimizer={"name": "sgd", "learning_rate": 1e25}))
    without = submit(sqlite_db, body_of("fit"))
    unbegun = submit(sqlite_db, body_of("fit"))
    drain(place, stopped.job.id)
    drain(place, diverged.job.id)
    drain(replace(place, keeps_last_checkpoints=False), without.job.id)
    assert _refusal(sqlite_db, unbegun.job.id)[0] == "job_active"
    request_cancel(sqlite_db, unbegun.job.id)
    expected = [(stopped, "more patience"), (diverged, "smaller learning rate"), (without, "no checkpoint"), (unbegun, "no checkpoint")]
    for created, advice in expected:
        code, detail = _refusal(sqlite_db, created.job.id, 99)
        assert (code, advice in detail) == ("nothing_to_extend", True), detail
    assert not [url for url in _files(tmp_path) if url.endswith(".checkpoint")]


def test_rows_that_are_not_those_of_the_old_job_are_refused(sqlite_db: Database, tmp_path: Path) -> None:
    created = submit(sqlite_db, body_of("fit"))
    drain(a_place(sqlite_db, tmp_path), created.job.id)
    with sqlite_db.write() as connection:
        connection.execute(update(FitRow).where(FitRow.job_id == created.job.id).values(row_hash="0" * 64))
    assert _refusal(sqlite_db, created.job.id)[0] == "rows_changed"


def test_what_a_dead_api_copied_is_collected_and_a_lost_checkpoint_leaves_nothing(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = a_place(db, tmp_path)
    created = submit(db, body_of("bagging"), workers=1)
    drain(place, created.job.id)
    found = _extended(db, created.job.id, max_epochs=6)
    before = _files(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Artifacts, "delete", lambda *_: None)  # it died before it could
        patch.setattr("store.extending.made_once", _dies)
        with pytest.raises(KeyboardInterrupt):
            extend_job(db, place.artifacts, found, [found.to_train])
    assert len(_files(tmp_path)) == len(before) + 4
    assert len(collect_garbage(db, place.artifacts, age=dt.timedelta(seconds=-5))) == 4
    assert _files(tmp_path) == before
    place.artifacts.delete([found.old.fits[3].checkpoint_url or ""])
    with pytest.raises(Conflict) as caught:
        extend_job(db, place.artifacts, found, [found.to_train])
    assert caught.value.code == "checkpoint_lost"
    assert len(_files(tmp_path)) == len(before) - 1
    delete_job(db, created.job.id)
    with pytest.raises((NotFound, Conflict)):
        extend_job(db, place.artifacts, found, [found.to_train])
    assert len(_files(tmp_path)) == len(before) - 1


def _dies(*_: object, **__: object) -> Any:
    raise KeyboardInterrupt


def test_one_key_extends_once_however_many_ask(db: Database, tmp_path: Path) -> None:
    """B026: and files that were copied for the others are gone."""
    place = a_place(db, tmp_path)
    created = submit(db, body_of("fit"))
    drain(place, created.job.id)
    found = _extended(db, created.job.id, max_epochs=6)

    def ask(_: int) -> Created:
        return extend_job(db, place.artifacts, found, [found.to_train], idempotency_key="key", body_hash="h")

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(ask, range(4)))
    assert len({one.job.id for one in made}) == 1
    assert sum(one.is_new for one in made) == 1
    assert len([url for url in _files(tmp_path) if url.endswith(".checkpoint")]) == 2


def test_a_last_checkpoint_that_cannot_be_written_ends_no_job(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Artifacts.write

    def away(self: Artifacts, key: str, content: bytes) -> str:
        if key.endswith(".checkpoint"):
            raise TimeoutError("the store is away")
        return write(self, key, content)

    created = submit(db, body_of("fit"))
    with monkeypatch.context() as patch:
        patch.setattr(Artifacts, "write", away)
        drain(a_place(db, tmp_path), created.job.id)
    assert get_job(db, created.job.id).status is JobStatus.SUCCEEDED
    assert _refusal(db, created.job.id)[0] == "nothing_to_extend"

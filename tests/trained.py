"""Jobs trained by workers in this process, from their first claim to their end, and all that they leave."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

import worker.runner
from data.builtin import BUILTINS
from jobs.planning import shards_of
from jobs.plans.fits import PlannedFit
from jobs.resolve import resolve
from jobs.spec import JobSpec
from jobs.states import ACTIVE, JobStatus, ShardStatus
from store.artifacts import Artifacts
from store.engine import Database
from store.jobs import Created, create_job, get_job
from store.tables import EpochRow, FitRow, ShardRow
from training.export import load_safetensors
from training.loop import Stack
from training.records import EpochRecord, TrainingEvent
from worker.place import Workplace
from worker.runner import run_shard


def a_place(db: Database, tmp_path: Path, **fields: Any) -> Workplace:
    """Make a workplace of a patient worker."""
    values = {"worker_id": "host/1", "lease_seconds": 20.0, "flush_seconds": 0.02, "nudge": lambda _: None, **fields}
    return Workplace(db=db, artifacts=Artifacts(f"file://{tmp_path}/files"), datasets=BUILTINS, **values)


def restless(place: Workplace, monkeypatch: pytest.MonkeyPatch, when: Callable[[int], bool]) -> Workplace:
    """Let a worker be asked to leave between two epochs: `when` is told how many have passed, over all its claims."""
    train, passed, asked = worker.runner.train, itertools.count(1), [False]

    def watched(stack: Stack) -> Iterator[TrainingEvent]:
        epoch = -1
        try:
            for event in train(stack):
                if isinstance(event, EpochRecord) and event.epoch != epoch:
                    epoch, asked[0] = event.epoch, when(next(passed))
                yield event
        finally:  # it has left, and comes back to the next claim
            asked[0] = False

    monkeypatch.setattr(worker.runner, "train", watched)
    return replace(place, must_leave=lambda: asked[0])


def submit(db: Database, body: dict[str, Any], *, workers: int = 2) -> Created:
    """Submit a job as the API does where so many workers live."""
    resolved = resolve(JobSpec.model_validate(body))
    return create_job(db, resolved, shards_of(resolved.first_round.fits, resolved.info, workers))


def waiting(db: Database, job_id: str) -> list[str]:
    """List a job's shards that wait."""
    with db.read() as connection:
        query = select(ShardRow.id).where(ShardRow.job_id == job_id, ShardRow.status == ShardStatus.PENDING)
        return list(connection.scalars(query.order_by(ShardRow.round, ShardRow.id)))


def drain(place: Workplace, job_id: str, each: Callable[[], None] = lambda: None) -> list[str]:
    """Run a job's shards in order until it ends; tell what came of each claim. `each` is called after each."""
    came_of: list[str] = []
    while get_job(place.db, job_id).status in ACTIVE:
        assert len(came_of) < 500, came_of[-10:]
        [shard, *_] = waiting(place.db, job_id)
        came_of.append(run_shard(place, shard))
        each()
    return came_of


@dataclass(frozen=True)
class Left:
    """All that a job leaves, but for the clock and its own id."""

    status: JobStatus
    result: dict[str, Any] | None
    rows: list[tuple[Any, ...]]
    fits: list[tuple[Any, ...]]
    weights: dict[int, dict[str, bytes]]
    outputs: dict[int, bytes]


def left_by(place: Workplace, job_id: str) -> Left:
    """Gather all that a job left."""
    columns = [column for column in EpochRow.__table__.columns if column.name not in {"job_id", "version", "seconds"}]
    job = get_job(place.db, job_id)
    with place.db.read() as connection:
        query = select(*columns).where(EpochRow.job_id == job_id).order_by(EpochRow.fit_number, EpochRow.epoch)
        rows = [tuple(row) for row in connection.execute(query)]
        fits = connection.execute(select(FitRow.__table__).where(FitRow.job_id == job_id).order_by(FitRow.number)).all()
    names = ("number", "label", "seed", "row_hash", "status", "stop_reason", "steps_planned", "steps_done", "best_epoch", "last_epoch", "kept_epoch", "evaluation", "rungs", "pause_at")  # fmt: skip
    weights = {
        fit.number: {name: values.tobytes() for name, values in load_safetensors(place.artifacts.read(fit.weights_url)).items()}
        for fit in fits
        if fit.weights_url is not None
    }
    return Left(
        status=job.status,
        result=job.result,
        rows=rows,
        fits=[tuple(getattr(fit, name) for name in names) for fit in fits],
        weights=weights,
        outputs={fit.number: place.artifacts.read(fit.outputs_url) for fit in fits if fit.outputs_url is not None},
    )


def breaking(number: int) -> Callable[..., Any]:
    """Prepare rows, but not those of one fit."""
    prepare = worker.runner.Materializer.materialize

    def materialize(self: worker.runner.Materializer, planned: PlannedFit) -> Any:
        if planned.number == number:
            raise ValueError("these rows cannot be prepared")
        return prepare(self, planned)

    return materialize

"""Plans run without a store: by a trainer of the test's making, or for real in this process."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from data.dataset import Array, Dataset
from jobs.materialize import materialize
from jobs.plans.fits import Conclusion, FitResult, PlannedFit, Round
from jobs.plans.replay import replay
from jobs.resolve import Resolved, resolve
from jobs.spec import JobSpec
from jobs.states import FitStatus
from tests.factories import Source
from training.loop import train
from training.records import EpochRecord, FitOutcome
from training.stack import Stack

Trainer = Callable[[PlannedFit], FitResult]


def resolved(dataset: Dataset, **fields: Any) -> Resolved:
    """Resolve a job on a test's dataset."""
    return resolve(JobSpec.model_validate({"dataset": dataset.info.id, "seed": 0, **fields}), source=Source(dataset))


@dataclass
class Ran:
    """What a plan asked for, was told, and concluded."""

    conclusion: Conclusion
    rounds: list[Round] = field(default_factory=list)
    results: dict[int, FitResult] = field(default_factory=dict)

    @property
    def planned(self) -> dict[int, PlannedFit]:
        """Give every fit by number, as it was asked for last."""
        return {fit.number: fit for one in self.rounds for fit in one.fits}

    @property
    def result(self) -> dict[str, Any]:
        """Give the result of a plan that has one."""
        assert self.conclusion.result is not None, self.conclusion
        return self.conclusion.result


def run(spec: JobSpec, dataset: Dataset, trainer: Trainer) -> Ran:
    """Run a resolved spec's plan to its end; it is replayed from its beginning after every round, as workers do."""
    rounds: list[Round] = []
    results: dict[int, FitResult] = {}
    while True:
        found = replay(spec, dataset, list(results.values()))
        if found.conclusion is not None:
            return Ran(found.conclusion, rounds, results)
        assert found.awaited is not None
        rounds.append(found.awaited)
        results |= {number: replace(results[number], status=FitStatus.PRUNED) for number in found.awaited.pruned}
        results |= {fit.number: trainer(fit) for fit in found.awaited.fits}


def scripted(val_loss: Callable[[PlannedFit], float], outputs: Callable[[PlannedFit, Array], Array] | None = None) -> Trainer:
    """Make a trainer whose fits finish with the losses given; `outputs` says what they answer for the rows asked for."""

    def trainer(fit: PlannedFit) -> FitResult:
        loss = val_loss(fit)
        figures = {"loss": {"value": loss, "low": loss, "high": loss}, "accuracy": {"value": 1 - loss, "low": 0.0, "high": 1.0}}
        gap = {"value": 0.1, "low": 0.0, "high": 0.2}
        asked = fit.rows().asked
        is_paused = fit.pause_at is not None
        return FitResult(
            number=fit.number,
            status=FitStatus.PENDING if is_paused else FitStatus.FINISHED,
            row_hash=fit.row_hash,
            best_epoch=1,
            kept_epoch=None if is_paused else 1,
            evaluation=None
            if is_paused
            else {
                "train": figures,
                "val": figures if fit.num_rows["val"] else None,
                "test": figures if fit.num_rows["test"] else None,
                "generalization_gap": gap,
            },
            rungs={fit.pause_at: {"train_loss": loss, "val_loss": loss, "val_accuracy": 1 - loss}} if fit.pause_at is not None else {},
            outputs=None if asked is None or outputs is None else (lambda: outputs(fit, asked)),
        )

    return trainer


def real(dataset: Dataset, curves: dict[int, list[EpochRecord]] | None = None) -> Trainer:
    """Make a trainer that trains, each fit alone, in this process; `curves` takes their epochs by number."""
    checkpoints: dict[int, bytes] = {}
    rungs: dict[int, dict[int, dict[str, float]]] = {}

    def trainer(planned: PlannedFit) -> FitResult:
        made = materialize(planned, dataset)
        stack = Stack([made.fit])
        if planned.number in checkpoints:
            stack.restore({planned.number: checkpoints[planned.number]})
        events = list(train(stack))
        [outcome] = [event for event in events if isinstance(event, FitOutcome)]
        if curves is not None:
            curves.setdefault(planned.number, []).extend(event for event in events if isinstance(event, EpochRecord))
        if outcome.status == "paused":
            assert outcome.checkpoint is not None
            assert outcome.figures is not None
            assert planned.pause_at is not None
            checkpoints[planned.number] = outcome.checkpoint
            rungs.setdefault(planned.number, {})[planned.pause_at] = outcome.figures
        outputs = outcome.outputs
        if outputs is not None and dataset.info.task == "regression":
            outputs = outputs * made.preparation.target.scale + made.preparation.target.offset
        return FitResult(
            number=planned.number,
            status=FitStatus.PENDING if outcome.status == "paused" else FitStatus(outcome.status),
            row_hash=planned.row_hash,
            best_epoch=outcome.best_epoch,
            kept_epoch=outcome.kept_epoch,
            evaluation=outcome.evaluation,
            message=outcome.message,
            rungs=rungs.get(planned.number, {}),
            outputs=None if outputs is None else (lambda: np.asarray(outputs)),
        )

    return trainer

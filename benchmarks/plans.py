"""Jobs on digits trained as a worker trains them, but for database and queue: planned, stacked, scored and concluded."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.pool import Pool
from typing import Any

import numpy as np
import torch

from data import builtin
from data.dataset import Array
from jobs.materialize import Materializer
from jobs.planning import shards_of
from jobs.plans.fits import FitResult, PlannedFit
from jobs.plans.replay import replay
from jobs.resolve import resolve
from jobs.spec import JobSpec
from jobs.states import FitStatus
from training.loop import Stack, train
from training.records import EpochRecord, FitOutcome
from training.warmup import warm_up

DIGITS = builtin.load("digits")


@dataclass(frozen=True)
class Trained:
    """What came of stacks: how their fits ended, and what their epochs took together, with figures but without final scores."""

    outcomes: tuple[FitOutcome, ...]
    epoch_seconds: float

    @property
    def epochs(self) -> int:
        """Epochs of all fits together."""
        return sum(outcome.last_epoch or 0 for outcome in self.outcomes)


def digits_job(epochs: int, **fields: Any) -> JobSpec:
    """Ask for the digits MLP 64-128-64-10 with Adam and batches of 32."""
    spec = {
        "dataset": "digits",
        "network": {"name": "mlp", "hidden_units": [128, 64]},
        "optimizer": {"name": "adam", "learning_rate": 0.001},
        "training": {"max_epochs": epochs, "batch_size": 32},
        "seed": 0,
        **fields,
    }
    return resolve(JobSpec.model_validate(spec)).spec


def cross_validation(epochs: int) -> JobSpec:
    """Ask for 10 folds."""
    return digits_job(epochs, split={"name": "k_fold", "folds": 10})


def bagging(epochs: int, members: int) -> JobSpec:
    """Ask for a bag."""
    return digits_job(epochs, split={"name": "holdout", "val_fraction": 0.1}, plan={"name": "bagging", "members": members})


def grid(epochs: int, rates: Sequence[float], early_stopping: dict[str, Any] | None) -> JobSpec:
    """Ask for a search of learning rates without a refit."""
    plan = {"name": "search", "space": {"/optimizer/learning_rate": {"values": list(rates)}}, "refit": False}
    return digits_job(epochs, split={"name": "holdout", "val_fraction": 0.1}, plan=plan, early_stopping=early_stopping)


def warm() -> None:
    """Set up a process as the worker's are: one thread, and everything loaded."""
    torch.set_num_threads(1)
    warm_up()
    concluded(digits_job(1, split={"name": "k_fold", "folds": 2}))


def first_fold(spec: JobSpec) -> tuple[Array, Array, Array, Array]:
    """Give the prepared rows of the first fold: x and y of training, x and y of validation."""
    planned = replay(spec, DIGITS, []).planned[1]
    data = Materializer(DIGITS).materialize(planned).fit.data
    assert data.val is not None
    return data.train.x, data.train.y, data.val.x, data.val.y


def fit_seconds(planned: PlannedFit) -> tuple[float, float]:
    """Train one fit; give seconds to the figures of its last epoch, and to its final scores with their intervals."""
    fit = Materializer(DIGITS).materialize(planned).fit
    began, last = time.perf_counter(), 0.0
    for event in train(Stack([fit])):
        if isinstance(event, EpochRecord):
            last = time.perf_counter()
    return last - began, time.perf_counter() - began


def concluded(spec: JobSpec, workers: int = 1, pool: Pool | None = None) -> Trained:
    """Run a plan of one round to its conclusion, here or by the processes of a pool; give what was trained.

    Raises:
        RuntimeError: it did not conclude with a result.
    """
    round_ = replay(spec, DIGITS, []).awaited
    assert round_ is not None
    shards = shards_of(round_.fits, DIGITS.info, workers)
    if pool is None:
        ended = [_trained(shard) for shard in shards]
    else:
        ended = pool.starmap(_trained_by_number, [(spec, [fit.number for fit in shard]) for shard in shards], chunksize=1)
    trained = Trained(tuple(outcome for one in ended for outcome in one.outcomes), sum(one.epoch_seconds for one in ended))
    hashes = {fit.number: fit.row_hash for fit in round_.fits}
    conclusion = replay(spec, DIGITS, [_result(outcome, hashes[outcome.fit]) for outcome in trained.outcomes]).conclusion
    if conclusion is None or conclusion.result is None:
        raise RuntimeError("the plan did not conclude")
    return trained


def concluded_seconds(spec: JobSpec) -> float:
    """Run a plan to its conclusion here; give seconds."""
    began = time.perf_counter()
    concluded(spec)
    return time.perf_counter() - began


def _trained(shard: Sequence[PlannedFit]) -> Trained:
    """Train one stack to its end."""
    materializer = Materializer(DIGITS)
    outcomes, seconds = [], {}
    for event in train(Stack([materializer.materialize(fit).fit for fit in shard])):
        if isinstance(event, FitOutcome):
            outcomes.append(event)
        else:
            seconds[event.epoch] = event.seconds  # of all fits of the stack
    return Trained(tuple(outcomes), sum(seconds.values()))


def _trained_by_number(spec: JobSpec, numbers: Sequence[int]) -> Trained:
    """Do the same in a process that knows the spec alone: rows are drawn again by replay."""
    planned = replay(spec, DIGITS, []).planned
    return _trained([planned[number] for number in numbers])


def _result(outcome: FitOutcome, row_hash: str) -> FitResult:
    outputs = outcome.outputs
    return FitResult(
        number=outcome.fit,
        status=FitStatus(outcome.status),
        row_hash=row_hash,
        best_epoch=outcome.best_epoch,
        kept_epoch=outcome.kept_epoch,
        evaluation=outcome.evaluation,
        outputs=None if outputs is None else lambda: np.asarray(outputs, dtype=np.float64),
    )

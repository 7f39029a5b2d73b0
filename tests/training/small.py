"""Small valid fits for tests of the training core."""

from typing import Any

import numpy as np

from training.loop import Stack, train
from training.records import EpochRecord, Fit, FitData, FitOutcome, Rows
from training.spec import FitSpec


def rows(count: int, shape: tuple[int, ...], *, classes: int | None = 3, seed: int = 0) -> Rows:
    """Draw learnable rows: targets depend on the features."""
    draws = np.random.default_rng(seed)
    x = draws.normal(size=(count, *shape)).astype(np.float32)
    direction = np.random.default_rng(99).normal(size=(int(np.prod(shape)), classes or 1))
    score = x.reshape(count, -1).astype(np.float64) @ direction
    if classes is None:
        return Rows(x=x, y=score[:, 0] / np.sqrt(len(direction)))
    return Rows(x=x, y=score.argmax(1).astype(np.int64))


def a_fit(
    *,
    number: int = 1,
    seed: int = 0,
    train_rows: int = 96,
    val_rows: int = 40,
    test_rows: int = 0,
    shape: tuple[int, ...] = (6,),
    classes: int | None = 3,
    data: FitData | None = None,
    **spec: Any,
) -> Fit:
    """Make a fit of `spec` on drawn rows."""
    if data is None:
        data = FitData(
            task="regression" if classes is None else "classification",
            num_outputs=classes or 1,
            train=rows(train_rows, shape, classes=classes, seed=1),
            val=rows(val_rows, shape, classes=classes, seed=2) if val_rows else None,
            test=rows(test_rows, shape, classes=classes, seed=3) if test_rows else None,
        )
    fields = {
        "loss": {"name": "cross_entropy" if data.task == "classification" else "squared_error"},
        "evaluation": {"resamples": 100},
        **spec,
    }
    return Fit(number=number, seed=seed, spec=FitSpec.model_validate(fields), data=data)


def run(*fits: Fit) -> tuple[dict[int, list[EpochRecord]], dict[int, FitOutcome]]:
    """Train fits as one stack; give their curves and outcomes by number."""
    curves: dict[int, list[EpochRecord]] = {fit.number: [] for fit in fits}
    outcomes = {}
    for event in train(Stack(fits)):
        if isinstance(event, EpochRecord):
            curves[event.fit].append(event)
        else:
            outcomes[event.fit] = event
    return curves, outcomes


def figures(curve: list[EpochRecord]) -> list[tuple[object, ...]]:
    """Everything of a curve but the clock."""
    return [
        (r.epoch, r.train_loss, r.val_loss, *r.train_metrics.values(), *r.val_metrics.values(), r.objective, r.learning_rate, r.steps)
        for r in curve
    ]

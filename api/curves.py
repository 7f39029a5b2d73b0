"""Curves for readers: smoothed, thinned, as CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace

from store.epochs import FIGURES, Curves, FitCurve

_SMOOTHED = (
    "train_loss",
    "val_loss",
    "generalization_gap",
    "train_accuracy",
    "val_accuracy",
    "accuracy_gap",
    "train_rmse",
    "val_rmse",
    "train_r2",
    "val_r2",
    "objective",
)
COLUMNS = (*FIGURES[:8], "generalization_gap", "accuracy_gap", *FIGURES[8:])
"""Every column that a curve may have, in the order of tables."""


def smooth(values: Sequence[float | None], beta: float) -> list[float | None]:
    """Average exponentially with bias correction: v_t = beta v_(t-1) + (1 - beta) x_t, returned v_t / (1 - beta^t).

    The first value present counts as t = 1; where there is none, there is none in the result.
    """
    found: list[float | None] = []
    average, correction = 0.0, 1.0
    for value in values:
        if value is None:
            found.append(None)
            continue
        average = beta * average + (1 - beta) * value
        correction *= beta
        found.append(average / (1 - correction))
    return found


def smoothed(curve: FitCurve, beta: float) -> dict[str, list[float | None]]:
    """Smooth every figure of a curve."""
    return {name: smooth(curve.columns[name], beta) for name in _SMOOTHED if name in curve.columns}


def only(curve: FitCurve, columns: frozenset[str]) -> FitCurve:
    """Leave out of a curve what was not asked for."""
    return replace(curve, columns={name: values for name, values in curve.columns.items() if name in columns})


def chosen_points(curve: FitCurve, max_points: int) -> list[int]:
    """Choose positions of at most `max_points` points, evenly; the first, the last and the best are always among them."""
    count = len(curve.epoch)
    if count <= max_points:
        return list(range(count))
    always = {0, count - 1}
    best = _best_position(curve)
    if best is not None:
        always.add(best)
    spare = max_points - len(always)
    even = {round((i + 1) * (count - 1) / (spare + 1)) for i in range(spare)}
    return sorted(always | even)


def _best_position(curve: FitCurve) -> int | None:
    """Find the best epoch; of a fit that is in training yet the lowest validation loss, else training loss, so far."""
    if curve.best_epoch is not None:
        return curve.epoch.index(curve.best_epoch) if curve.best_epoch in curve.epoch else None
    losses = [(loss, i) for i, loss in enumerate(curve.columns.get("val_loss", curve.columns["train_loss"])) if loss is not None]
    return min(losses)[1] if losses else None


def picked(values: Sequence[float | None], positions: Sequence[int]) -> list[float | None]:
    """Pick positions of a column."""
    return [values[i] for i in positions]


def as_csv(found: Curves) -> str:
    """Write curves as CSV (RFC 4180): a row for each fit and epoch; what does not apply is empty."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["fit", "label", "epoch", *COLUMNS])
    for curve in found.fits:
        for i, epoch in enumerate(curve.epoch):
            values = (curve.columns[name][i] if name in curve.columns else None for name in COLUMNS)
            writer.writerow([curve.number, curve.label, epoch, *("" if value is None else repr(value) for value in values)])
    return text.getvalue()

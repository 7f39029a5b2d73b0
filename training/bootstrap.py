"""Percentile bootstrap intervals (Efron 1979) of the final figures."""

from typing import Any

import numpy as np

from training.derivation import derive
from training.figures import RowFigures, r_squared

_BLOCK = 65_536
"""Row numbers drawn at once: so many stay in cache."""
_LEVELS = (0.025, 0.975)
_ROUNDING = 1e-12

Draws = dict[str, np.ndarray]
"""Figure name to its values over resamples, [R]."""


def resampled(figures: RowFigures, resamples: int, seed: int, split: str) -> Draws:
    """Recompute every figure on `resamples` draws of the rows with replacement; each split has draws of its own."""
    draws = np.random.default_rng(derive(seed, "bootstrap", split))
    rows = len(figures.loss)
    columns = _columns(figures)
    sums = np.empty((resamples, len(columns)))
    block = max(1, _BLOCK // rows)
    narrowest = np.uint16 if rows <= 2**16 else np.uint32  # fewer random bits to draw
    for start in range(0, resamples, block):
        stop = min(start + block, resamples)
        chosen = draws.integers(0, rows, (stop - start, rows), dtype=narrowest).astype(np.intp)
        drawn = np.empty(chosen.shape)
        for column, values in enumerate(columns):
            # No number is out of range: "clip" spares numpy a second copy, in case one were.
            sums[start:stop, column] = values.take(chosen, out=drawn, mode="clip").sum(axis=1)
    return _from_sums(sums, rows, is_classes=figures.hit is not None)


def interval(value: float, draws: np.ndarray) -> dict[str, float]:
    """Give a figure with the bounds of its 95 % interval."""
    low, high = np.quantile(draws, _LEVELS)
    return {"value": value, "low": float(low), "high": float(high)}


def difference(value: float, draws: np.ndarray, minus: np.ndarray) -> dict[str, float]:
    """Give a gap with its interval: both sets are resampled independently."""
    return interval(value, draws - minus)


def with_intervals(figures: RowFigures, draws: Draws) -> dict[str, Any]:
    """Give the JSON of one split: loss, metrics, rows."""
    values = {"loss": figures.mean_loss, **figures.metrics}
    return {**{name: interval(value, draws[name]) for name, value in values.items()}, "rows": len(figures.loss)}


def _columns(figures: RowFigures) -> list[np.ndarray]:
    """Figures of single rows [n] whose sums give every figure."""
    if figures.hit is not None:
        return [figures.loss, figures.hit]
    if figures.target is None:
        raise ValueError("figures of neither classes nor numbers")
    return [figures.loss, figures.target, figures.target * figures.target]


def _from_sums(sums: np.ndarray, rows: int, *, is_classes: bool) -> Draws:
    loss = sums[:, 0] / rows
    if is_classes:
        return {"loss": loss, "accuracy": sums[:, 1] / rows}
    total = sums[:, 2] - sums[:, 1] ** 2 / rows
    total[total <= _ROUNDING * sums[:, 2]] = 0  # one row drawn over and over has no variation but for rounding
    r2 = np.array([r_squared(residual, whole) for residual, whole in zip(sums[:, 0], total, strict=True)])
    return {"loss": loss, "rmse": np.sqrt(loss), "r2": r2}

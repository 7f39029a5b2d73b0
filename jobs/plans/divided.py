"""Fits over a job's divisions: the rows each sees, and what their answers for the rows held out amount to together.

Rows validated in several repeats count once, with the mean of their figures.
"""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from data.dataset import Array, Dataset
from data.splits.division import Division
from data.splits.summary import division_summary
from jobs.plans.fits import FitResult, FitRows, PlannedFit
from jobs.plans.results import DivisionSummary, Interval, Part, Spread, fit_figures, is_classification, row_figures, spreads, with_intervals
from training.bootstrap import interval, resampled
from training.derivation import derive
from training.figures import RowFigures

Ended = tuple[PlannedFit, FitResult]
"""A fit and how it ended."""


class PooledFigures(Part):
    """Figures over all rows that were held out, each by a fit that had not seen it, with bootstrap intervals over those rows."""

    rows: int
    loss: Interval
    accuracy: Interval | None = None
    rmse: Interval | None = None
    r2: Interval | None = None


def asking(division: Division, train: Array | None = None) -> FitRows:
    """Give the rows of a fit that is compared: it answers for its validation rows, and never sees the test rows.

    `train` are other training rows than the division's.
    """
    rows = division.train if train is None else train
    return FitRows(train=rows, val=division.val, test=division.test[:0], asked=division.val, is_sample=train is not None)


def summaries(dataset: Dataset, divisions: Sequence[Division]) -> list[DivisionSummary]:
    """Describe divisions."""
    return [DivisionSummary(**asdict(division_summary(dataset, one))) for one in divisions]


def has_varied_targets(dataset: Dataset, rows: Array) -> bool:
    """Tell whether targets differ, or are classes: R2 compares errors with the targets' variation, and is 0 by convention without any."""
    return is_classification(dataset) or len(np.unique(dataset.y[rows])) > 1


def summary(dataset: Dataset, ended: Sequence[Ended]) -> dict[str, Spread]:
    """Summarise figures over fits, without the validation R2 where some fit's validation targets have no variation."""
    found = spreads([fit_figures(*one) for one in ended])
    if "val_r2" in found and not all(has_varied_targets(dataset, planned.rows().val) for planned, _ in ended):
        return {name: over for name, over in found.items() if name not in {"val_r2", "r2_gap"}}
    return found


def pooled(dataset: Dataset, ended: Sequence[Ended], resamples: int, seed: int) -> PooledFigures:
    """Pool the answers of finished fits for the rows they were asked for. `seed` decides the bootstrap's draws."""
    each = [_held_out(dataset, one) for one in ended]
    rows, position = _places(each)
    shared = np.bincount(position)

    def mean(values: Array) -> Array:
        return np.bincount(position, weights=values) / shared

    is_classes, y = is_classification(dataset), dataset.y[rows]
    figures = RowFigures(
        loss=mean(np.concatenate([found.loss for _, found in each])),
        hit=mean(np.concatenate([found.hit for _, found in each if found.hit is not None])) if is_classes else None,
        target=None if is_classes else np.zeros_like(y) if y.min() == y.max() else y - y.mean(),
    )
    return PooledFigures(rows=len(rows), **with_intervals(figures, resamples, seed, "pooled"))


def difference(
    dataset: Dataset, ours: Sequence[Ended], theirs: Sequence[Ended], value: float, resamples: int, seed: int
) -> Interval | None:
    """Give `value`, mean validation loss over divisions of `ours` minus that of `theirs`, with a paired bootstrap interval.

    Both answered for the same rows, division by division: rows are drawn, and both losses of a row go together. Divisions
    count alike, whatever their size. Equal arguments but for the fits draw equal rows. None for a single row: it says nothing
    of chance.
    """
    pairs = [(_held_out(dataset, one), _held_out(dataset, other)) for one, other in zip(ours, theirs, strict=True)]
    rows, position = _places([one for one, _ in pairs])
    if len(rows) < 2:
        return None
    shares = [(one.loss - other.loss) / (len(pairs) * len(one.loss)) for (_, one), (_, other) in pairs]
    apart = np.bincount(position, weights=np.concatenate(shares)) * len(rows)
    figures = RowFigures(loss=apart, hit=np.zeros_like(apart), target=None)
    draws = resampled(figures, resamples, derive(seed, "result", "difference"), "rows")["loss"]
    found = interval(value, draws + (value - apart.mean()))  # stored losses and those of single rows are rounded differently
    return Interval(value=value, low=min(found["low"], value), high=max(found["high"], value))


def _held_out(dataset: Dataset, ended: Ended) -> tuple[Array, RowFigures]:
    """Give the rows a fit was asked for, and their figures."""
    planned, result = ended
    rows = planned.rows().asked
    if rows is None or result.outputs is None:
        raise ValueError(f"fit {planned.number} has no answers for rows that its plan asked for")
    return rows, row_figures(result.outputs(), dataset.y[rows], is_classes=is_classification(dataset))


def _places(each: Sequence[tuple[Array, RowFigures]]) -> tuple[Array, Array]:
    """Give the distinct rows, and where each of all rows is among them."""
    rows, position = np.unique(np.concatenate([rows for rows, _ in each]), return_inverse=True)
    return rows, position

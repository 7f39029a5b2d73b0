"""From a split spec to row indices."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import assert_never

import numpy as np
from sklearn.model_selection import train_test_split

from data.dataset import TEST, TRAIN, VAL, Array, Task
from data.splits.spec import HoldoutSpec, PredefinedSpec, SplitSpec


class SplitProblem(ValueError):
    """A split that cannot be made on these rows. `pointer` is a JSON pointer into the job spec."""

    def __init__(self, message: str, *, pointer: str, code: str) -> None:
        """Say what is wrong and where."""
        super().__init__(message)
        self.pointer = pointer
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Division:
    """Row indices of the three parts: disjoint, and together every row. A part that was not asked for is empty."""

    train: Array
    val: Array
    test: Array


def stratifies(spec: HoldoutSpec, task: Task) -> bool:
    """Tell whether class shares are kept: as asked, else for shuffled classes."""
    return spec.stratify if spec.stratify is not None else (spec.shuffle and task == "classification")


def divide(spec: SplitSpec, y: Array, task: Task, seed: int, parts: Array | None = None) -> Division:
    """Divide the rows whose targets are `y` [n]; `seed` (32 bits) decides the order when rows are shuffled.

    `parts` [n] is the dataset's own division: `TRAIN`, `VAL` or `TEST` for each row.

    Raises:
        SplitProblem: too few rows, a stratification that cannot be had, or no division of the dataset's own.
    """
    match spec:
        case HoldoutSpec():
            return _holdout(spec, y, task, seed)
        case PredefinedSpec():
            return _predefined(spec, y, task, seed, parts)
        case _:
            assert_never(spec)


def _predefined(spec: PredefinedSpec, y: Array, task: Task, seed: int, parts: Array | None) -> Division:
    if parts is None:
        raise SplitProblem("this dataset has no division of its own: use holdout", pointer="/split/name", code="no_predefined_split")
    train, val, test = (np.flatnonzero(parts == part) for part in (TRAIN, VAL, TEST))
    if len(val) == 0:
        num_val = _count(spec.val_fraction, len(y))
        if num_val >= len(train):
            message = f"{num_val} validation rows leave none of the {len(train)} training rows"
            raise SplitProblem(message, pointer="/split/val_fraction", code="no_training_rows")
        train, val = _cut(train, num_val, y if task == "classification" else None, seed, "/split/val_fraction")
    return Division(train=train, val=val, test=test)


def _holdout(spec: HoldoutSpec, y: Array, task: Task, seed: int) -> Division:
    num_val, num_test = _count(spec.val_fraction, len(y)), _count(spec.test_fraction, len(y))
    num_train = len(y) - num_val - num_test
    if num_train < 1:
        message = f"{len(y)} rows leave no training row beside {num_val} validation and {num_test} test rows"
        raise SplitProblem(message, pointer="/split", code="no_training_rows")
    if not spec.shuffle:
        if spec.stratify:
            raise SplitProblem(
                "rows kept in file order cannot be stratified: set shuffle to true or stratify to false",
                pointer="/split/stratify",
                code="no_effect",
            )
        rows = np.arange(len(y))
        return Division(train=rows[:num_train], val=rows[num_train : num_train + num_val], test=rows[num_train + num_val :])
    if spec.stratify and task == "regression":
        raise SplitProblem(
            "only classes can be stratified; this dataset's target is a number", pointer="/split/stratify", code="does_not_apply"
        )
    labels = y if stratifies(spec, task) else None
    rest, test = _cut(np.arange(len(y)), num_test, labels, seed, "/split/test_fraction")
    train, val = _cut(rest, num_val, labels, seed, "/split/val_fraction")
    return Division(train=train, val=val, test=test)


def _count(fraction: float, rows: int) -> int:
    """N * fraction to the nearest row, halves up, on the decimal as sent: 0.35 of 10 rows is 4, though 0.35 < 35/100 in binary."""
    if fraction == 0:
        return 0
    return max(1, int((Decimal(repr(fraction)) * rows).quantize(Decimal(1), rounding=ROUND_HALF_UP)))


def _cut(rows: Array, num_out: int, labels: Array | None, seed: int, pointer: str) -> tuple[Array, Array]:
    """Draw `num_out` of `rows`; what stays and what was drawn, both in drawn order."""
    if num_out == 0:
        return rows, rows[:0]
    strata = None if labels is None else labels[rows]
    if strata is not None:
        _check_strata(strata, num_out, pointer)
    kept, drawn = train_test_split(rows, test_size=num_out, train_size=len(rows) - num_out, random_state=seed, stratify=strata)
    return kept, drawn


def _check_strata(strata: Array, num_out: int, pointer: str) -> None:
    counts = np.unique_counts(strata).counts
    advice = "ask for a larger part, or set stratify to false"
    if counts.min() < 2:
        raise SplitProblem(f"a class with a single row cannot be stratified: {advice}", pointer=pointer, code="class_too_small")
    for name, size in (("drawn", num_out), ("remaining", len(strata) - num_out)):
        if size < len(counts):
            raise SplitProblem(
                f"{size} {name} rows cannot hold all {len(counts)} classes: {advice}", pointer=pointer, code="part_too_small"
            )

"""Parts drawn from rows: single rows, whole groups, or the latest."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import assert_never

import numpy as np

from data.counting import counted
from data.dataset import Array, Dataset
from data.later import Later
from data.splits.division import SplitProblem
from data.splits.draws import parts, stratified_parts
from data.splits.grain import grain, stratifies
from data.splits.spec import KFoldSpec, SplitSpec

model_selection = Later("sklearn.model_selection")


class Cutter:
    """Draws parts one after another. Fractions are of `rows`, or their groups, and not of what is left."""

    def __init__(self, spec: SplitSpec, dataset: Dataset, seed: int, rows: Array) -> None:
        """Draw from `rows` as `spec` asks.

        Raises:
            SplitProblem: the dataset has no column to hold out by.
        """
        self._by = grain(spec, dataset)
        self._seed = seed
        self._rows = rows
        self._names = dataset.info.class_labels or ()
        self._labels = dataset.y if stratifies(spec, dataset) else None
        self._unstratified = "by to random" if isinstance(spec, KFoldSpec) else "stratify to false"
        self._groups, self._times = dataset.groups, dataset.times
        for by, values in (("group", self._groups), ("time", self._times)):
            if self._by == by and values is None:
                raise SplitProblem(f"this dataset has no {by} column", pointer="/split/by", code=f"no_{by}_column")

    def cut(self, rows: Array, fraction: float, pointer: str) -> tuple[Array, Array]:
        """Draw a part of `rows`; what stays and what was drawn, both in the order they are to have."""
        match self._by:
            case "rows":
                num_out = count_of(fraction, len(self._rows))
                check_left(len(rows) - num_out, num_out, "rows", pointer)
                return self._cut_rows(rows, num_out, pointer)
            case "group":
                return self._cut_groups(rows, fraction, pointer)
            case "time":
                return self._cut_latest(rows, fraction, pointer)
            case _:
                assert_never(self._by)

    def _cut_rows(self, rows: Array, num_out: int, pointer: str) -> tuple[Array, Array]:
        if num_out == 0:
            return rows, rows[:0]
        strata = None if self._labels is None else self._labels[rows]
        if strata is not None:
            _check_strata(strata, num_out, pointer, self._names, self._unstratified)
        kept, drawn = parts(len(rows), num_out, self._seed) if strata is None else stratified_parts(strata, num_out, self._seed)
        return rows[kept], rows[drawn]

    def _cut_groups(self, rows: Array, fraction: float, pointer: str) -> tuple[Array, Array]:
        assert self._groups is not None
        if fraction == 0:
            return rows, rows[:0]
        num_all = len(np.unique(self._groups[self._rows]))
        num_out, num_here = count_of(fraction, num_all), len(np.unique(self._groups[rows]))
        check_left(num_here - num_out, num_out, "groups", pointer)
        splitter = model_selection.GroupShuffleSplit(1, test_size=num_out, train_size=num_here - num_out, random_state=self._seed)
        [(kept, drawn)] = splitter.split(rows, groups=self._groups[rows])
        return rows[kept], rows[drawn]

    def _cut_latest(self, rows: Array, fraction: float, pointer: str) -> tuple[Array, Array]:
        """Cut in order of time. Rows of one instant stay together: the cut moves to before them, or after if nothing would be left."""
        assert self._times is not None
        ordered = rows[np.argsort(self._times[rows], kind="stable")]
        if fraction == 0:
            return ordered, ordered[:0]
        num_out = count_of(fraction, len(self._rows))
        check_left(len(rows) - num_out, num_out, "rows", pointer)
        times = self._times[ordered]
        instant = times[len(rows) - num_out]
        at = int(np.searchsorted(times, instant, side="left")) or int(np.searchsorted(times, instant, side="right"))
        if at == len(rows):
            message = f"all {len(rows)} rows that are left to divide are of one time: hold out by rows, or a smaller part"
            raise SplitProblem(message, pointer=pointer, code="no_training_rows")
        return ordered[:at], ordered[at:]


def check_left(left: int, out: int, what: str, pointer: str) -> None:
    """Refuse a part that leaves nothing.

    Raises:
        SplitProblem: with both numbers.
    """
    if left < 1:
        message = f"holding out {out} {what} leaves none of {left + out} to train on"
        raise SplitProblem(message, pointer=pointer, code="no_training_rows")


def count_of(fraction: float, rows: int) -> int:
    """N * fraction to the nearest row, halves up, on the decimal as sent: 0.35 of 10 rows is 4, though 0.35 < 35/100 in binary."""
    if fraction == 0:
        return 0
    return max(1, int((Decimal(repr(fraction)) * rows).quantize(Decimal(1), rounding=ROUND_HALF_UP)))


def _check_strata(strata: Array, num_out: int, pointer: str, names: Sequence[str], unstratified: str) -> None:
    classes = np.unique_counts(strata)
    advice = f"ask for a larger part, or set {unstratified}"
    if classes.counts.min() < 2:
        single = classes.values[classes.counts == 1]
        listed = ", ".join(names[number] if number < len(names) else str(number) for number in single[:5])
        message = f"a class of which a single row is left to divide cannot be stratified ({listed}): leave it out, or set {unstratified}"
        raise SplitProblem(message, pointer=pointer, code="class_too_small")
    for name, size in (("drawn", num_out), ("remaining", len(strata) - num_out)):
        if size < len(classes.counts):
            raise SplitProblem(
                f"{counted(size, f'{name} row')} cannot hold all {len(classes.counts)} classes: {advice}",
                pointer=pointer,
                code="part_too_small",
            )

"""From a split spec to row indices."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal, assert_never

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, KFold, StratifiedKFold, TimeSeriesSplit, train_test_split

from data.dataset import TEST, TRAIN, VAL, Array, Dataset
from data.splits.spec import HoldoutSpec, KFoldSpec, PredefinedSpec, SplitSpec, TimeSeriesSpec


class SplitProblem(ValueError):
    """A split that cannot be made on these rows. `pointer` is a JSON pointer into the job spec."""

    def __init__(self, message: str, *, pointer: str, code: str) -> None:
        """Say what is wrong and where."""
        super().__init__(message)
        self.pointer = pointer
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Division:
    """Row indices of the three parts, disjoint. A part that was not asked for is empty.

    One hold-out has every row in one of them. Of several divisions (folds) each has a `place`: fold and repeat, from 1.
    """

    train: Array
    val: Array
    test: Array
    label: str = "holdout"
    place: Mapping[str, int] = field(default_factory=dict)


Features = Callable[[Array], Array]
"""Reads prepared features [n, F] of the rows given, for what divides by them."""


def grain(spec: SplitSpec, dataset: Dataset) -> Literal["rows", "group", "time"]:
    """Tell what is held out: as asked, else by time or group where the dataset has such a column."""
    if isinstance(spec, TimeSeriesSpec):
        return "time"
    if isinstance(spec, KFoldSpec):
        return "group" if spec.by in {"group", "stratified_group", "each_group"} else "rows"
    if spec.by is not None:
        return spec.by
    if isinstance(spec, HoldoutSpec) and not spec.shuffle:
        return "rows"
    if dataset.times is not None:
        return "time"
    return "rows" if dataset.groups is None else "group"


def stratifies(spec: SplitSpec, dataset: Dataset) -> bool:
    """Tell whether class shares are kept: as asked, else for shuffled rows of classes."""
    if isinstance(spec, KFoldSpec | TimeSeriesSpec):
        return isinstance(spec, KFoldSpec) and spec.by in {"stratified", "stratified_group"}
    is_possible = grain(spec, dataset) == "rows" and dataset.info.task == "classification"
    if isinstance(spec, PredefinedSpec):
        return is_possible
    return spec.stratify if spec.stratify is not None else (spec.shuffle and is_possible)


def filled(spec: SplitSpec, dataset: Dataset) -> SplitSpec:
    """Fill in what a client left open."""
    match spec:
        case HoldoutSpec():
            by = grain(spec, dataset)
            return spec.model_copy(update={"by": by, "stratify": stratifies(spec, dataset), "shuffle": spec.shuffle and by != "time"})
        case PredefinedSpec():
            return spec if (dataset.info.predefined_rows or {}).get("val") else spec.model_copy(update={"by": grain(spec, dataset)})
        case KFoldSpec():
            by_rows: Literal["stratified", "random"] = "stratified" if dataset.info.task == "classification" else "random"
            return spec.model_copy(update={"by": spec.by or ("group" if dataset.groups is not None else by_rows), "folds": spec.folds or 5})
        case TimeSeriesSpec():
            return spec
        case _:
            assert_never(spec)


def divisions(spec: SplitSpec, dataset: Dataset, seed: int, rows: Array | None = None, features: Features | None = None) -> list[Division]:
    """Divide a dataset's rows, or the `rows` given: once, or fold by fold. `seed` (32 bits) decides what is drawn.

    Raises:
        SplitProblem: as `divide`.
    """
    all_rows = np.arange(dataset.info.num_rows) if rows is None else rows
    del features
    match spec:
        case HoldoutSpec() | PredefinedSpec():
            one = divide(spec, dataset, seed)
            if rows is None:
                return [one]
            return [
                replace(one, train=np.intersect1d(one.train, rows), val=np.intersect1d(one.val, rows), test=np.intersect1d(one.test, rows))
            ]
        case KFoldSpec():
            kind = StratifiedKFold if spec.by == "stratified" else KFold
            cuts = kind(spec.folds or 5, shuffle=True, random_state=seed).split(all_rows, dataset.y[all_rows])
        case TimeSeriesSpec():
            cuts = TimeSeriesSplit(spec.folds, test_size=spec.val_rows, gap=spec.gap_rows).split(all_rows)
        case _:
            assert_never(spec)
    none = all_rows[:0]
    return [
        Division(train=all_rows[train], val=all_rows[val], test=none, label=f"fold {i}", place={"fold": i})
        for i, (train, val) in enumerate(cuts, start=1)
    ]


def divide(spec: HoldoutSpec | PredefinedSpec, dataset: Dataset, seed: int) -> Division:
    """Divide a dataset's rows; `seed` (32 bits) decides the order when rows are shuffled.

    Raises:
        SplitProblem: too few rows or groups, a stratification that cannot be had, or a column that the dataset lacks.
    """
    match spec:
        case HoldoutSpec():
            return _holdout(spec, dataset, seed)
        case PredefinedSpec():
            return _predefined(spec, dataset, seed)
        case _:
            assert_never(spec)


def _predefined(spec: PredefinedSpec, dataset: Dataset, seed: int) -> Division:
    if dataset.parts is None:
        raise SplitProblem("this dataset has no division of its own: use holdout", pointer="/split/name", code="no_predefined_split")
    train, val, test = (np.flatnonzero(dataset.parts == part) for part in (TRAIN, VAL, TEST))
    if len(val) == 0:
        train, val = _Cutter(spec, dataset, seed).cut(train, spec.val_fraction, "/split/val_fraction")
    elif spec.by is not None:
        message = "this dataset has validation rows of its own: none are drawn, by whatever"
        raise SplitProblem(message, pointer="/split/by", code="no_effect")
    return Division(train=train, val=val, test=test)


def _holdout(spec: HoldoutSpec, dataset: Dataset, seed: int) -> Division:
    rows = np.arange(dataset.info.num_rows)
    by = grain(spec, dataset)
    if by == "rows" and not spec.shuffle:
        return _in_file_order(spec, rows)
    if by == "rows" and spec.stratify and dataset.info.task == "regression":
        raise SplitProblem(
            "only classes can be stratified; this dataset's target is a number", pointer="/split/stratify", code="does_not_apply"
        )
    if by == "group" and not spec.shuffle:
        message = "groups are drawn by the seed: shuffle false would change nothing"
        raise SplitProblem(message, pointer="/split/shuffle", code="no_effect")
    if by != "rows" and spec.stratify:
        message = f"rows held out by {by} cannot be stratified: set stratify to false or by to rows"
        raise SplitProblem(message, pointer="/split/stratify", code="does_not_apply")
    cutter = _Cutter(spec, dataset, seed)
    rest, test = cutter.cut(rows, spec.test_fraction, "/split/test_fraction")
    train, val = cutter.cut(rest, spec.val_fraction, "/split/val_fraction")
    return Division(train=train, val=val, test=test)


def _in_file_order(spec: HoldoutSpec, rows: Array) -> Division:
    if spec.stratify:
        raise SplitProblem(
            "rows kept in file order cannot be stratified: set shuffle to true or stratify to false",
            pointer="/split/stratify",
            code="no_effect",
        )
    num_val, num_test = _count(spec.val_fraction, len(rows)), _count(spec.test_fraction, len(rows))
    num_train = len(rows) - num_val - num_test
    _check_left(num_train, num_val + num_test, "rows", "/split")
    return Division(train=rows[:num_train], val=rows[num_train : num_train + num_val], test=rows[num_train + num_val :])


class _Cutter:
    """Draws parts one after another. Fractions are of everything there is, not of what is left."""

    def __init__(self, spec: SplitSpec, dataset: Dataset, seed: int) -> None:
        self._by = grain(spec, dataset)
        self._seed = seed
        self._num_rows = dataset.info.num_rows
        self._names = dataset.info.class_labels or ()
        self._labels = dataset.y if stratifies(spec, dataset) else None
        self._groups, self._times = dataset.groups, dataset.times
        for by, values in (("group", self._groups), ("time", self._times)):
            if self._by == by and values is None:
                raise SplitProblem(f"this dataset has no {by} column", pointer="/split/by", code=f"no_{by}_column")

    def cut(self, rows: Array, fraction: float, pointer: str) -> tuple[Array, Array]:
        """Draw a part of `rows`; what stays and what was drawn, both in the order they are to have."""
        match self._by:
            case "rows":
                num_out = _count(fraction, self._num_rows)
                _check_left(len(rows) - num_out, num_out, "rows", pointer)
                return _cut(rows, num_out, self._labels, self._seed, pointer, self._names)
            case "group":
                return self._cut_groups(rows, fraction, pointer)
            case "time":
                return self._cut_latest(rows, fraction, pointer)
            case _:
                assert_never(self._by)

    def _cut_groups(self, rows: Array, fraction: float, pointer: str) -> tuple[Array, Array]:
        assert self._groups is not None
        if fraction == 0:
            return rows, rows[:0]
        num_all = len(np.unique(self._groups))
        num_out, num_here = _count(fraction, num_all), len(np.unique(self._groups[rows]))
        _check_left(num_here - num_out, num_out, "groups", pointer)
        splitter = GroupShuffleSplit(1, test_size=num_out, train_size=num_here - num_out, random_state=self._seed)
        [(kept, drawn)] = splitter.split(rows, groups=self._groups[rows])
        return rows[kept], rows[drawn]

    def _cut_latest(self, rows: Array, fraction: float, pointer: str) -> tuple[Array, Array]:
        """Cut in order of time. Rows of one instant stay together: the cut moves to before them, or after if nothing would be left."""
        assert self._times is not None
        ordered = rows[np.argsort(self._times[rows], kind="stable")]
        if fraction == 0:
            return ordered, ordered[:0]
        num_out = _count(fraction, self._num_rows)
        _check_left(len(rows) - num_out, num_out, "rows", pointer)
        times = self._times[ordered]
        instant = times[len(rows) - num_out]
        at = int(np.searchsorted(times, instant, side="left")) or int(np.searchsorted(times, instant, side="right"))
        if at == len(rows):
            message = f"all {len(rows)} rows that are left to divide are of one time: hold out by rows, or a smaller part"
            raise SplitProblem(message, pointer=pointer, code="no_training_rows")
        return ordered[:at], ordered[at:]


def _check_left(left: int, out: int, what: str, pointer: str) -> None:
    if left < 1:
        message = f"holding out {out} {what} leaves none of {left + out} to train on"
        raise SplitProblem(message, pointer=pointer, code="no_training_rows")


def _count(fraction: float, rows: int) -> int:
    """N * fraction to the nearest row, halves up, on the decimal as sent: 0.35 of 10 rows is 4, though 0.35 < 35/100 in binary."""
    if fraction == 0:
        return 0
    return max(1, int((Decimal(repr(fraction)) * rows).quantize(Decimal(1), rounding=ROUND_HALF_UP)))


def _cut(rows: Array, num_out: int, labels: Array | None, seed: int, pointer: str, names: Sequence[str]) -> tuple[Array, Array]:
    """Draw `num_out` of `rows`; what stays and what was drawn, both in drawn order. `names` are those of the classes."""
    if num_out == 0:
        return rows, rows[:0]
    strata = None if labels is None else labels[rows]
    if strata is not None:
        _check_strata(strata, num_out, pointer, names)
    kept, drawn = train_test_split(rows, test_size=num_out, train_size=len(rows) - num_out, random_state=seed, stratify=strata)
    return kept, drawn


def _check_strata(strata: Array, num_out: int, pointer: str, names: Sequence[str]) -> None:
    classes = np.unique_counts(strata)
    advice = "ask for a larger part, or set stratify to false"
    if classes.counts.min() < 2:
        single = classes.values[classes.counts == 1]
        listed = ", ".join(names[number] if number < len(names) else str(number) for number in single[:5])
        message = f"a class with a single row cannot be stratified ({listed}): leave it out, or set stratify to false"
        raise SplitProblem(message, pointer=pointer, code="class_too_small")
    for name, size in (("drawn", num_out), ("remaining", len(strata) - num_out)):
        if size < len(classes.counts):
            raise SplitProblem(
                f"{size} {name} rows cannot hold all {len(classes.counts)} classes: {advice}", pointer=pointer, code="part_too_small"
            )

"""One division: drawn, in file order, by group or time, or the dataset's own."""

import numpy as np

from data.dataset import TEST, TRAIN, VAL, Array, Dataset
from data.splits.cutting import Cutter, check_left, count_of
from data.splits.division import Division, SplitProblem
from data.splits.grain import grain
from data.splits.spec import HoldoutSpec, PredefinedSpec


def holdout(spec: HoldoutSpec, dataset: Dataset, seed: int, rows: Array) -> Division:
    """Set test rows aside, then validation rows; fractions are of `rows`.

    Raises:
        SplitProblem: as `divide`.
    """
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
    cutter = Cutter(spec, dataset, seed, rows)
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
    num_val, num_test = count_of(spec.val_fraction, len(rows)), count_of(spec.test_fraction, len(rows))
    num_train = len(rows) - num_val - num_test
    check_left(num_train, num_val + num_test, "rows", "/split")
    return Division(train=rows[:num_train], val=rows[num_train : num_train + num_val], test=rows[num_train + num_val :])


def predefined(spec: PredefinedSpec, dataset: Dataset, seed: int, rows: Array) -> Division:
    """Take the dataset's own parts of `rows`; validation rows are drawn from the training rows where it has none.

    Raises:
        SplitProblem: as `divide`.
    """
    if dataset.parts is None:
        raise SplitProblem("this dataset has no division of its own: use holdout", pointer="/split/name", code="no_predefined_split")
    own = dataset.parts[rows]
    train, val, test = (rows[np.flatnonzero(own == part)] for part in (TRAIN, VAL, TEST))
    if len(val) == 0:
        train, val = Cutter(spec, dataset, seed, rows).cut(train, spec.val_fraction, "/split/val_fraction")
    elif spec.by is not None:
        message = "this dataset has validation rows of its own: none are drawn, by whatever"
        raise SplitProblem(message, pointer="/split/by", code="no_effect")
    check_left(len(train), len(val) + len(test), "rows", "/split")
    return Division(train=train, val=val, test=test)

"""From a split spec to row indices."""

from typing import assert_never

import numpy as np

from data.dataset import Array, Dataset
from data.splits.division import Division, Features, SplitProblem
from data.splits.grain import fold_by, grain, stratifies
from data.splits.holdout import holdout, predefined
from data.splits.k_fold import k_fold
from data.splits.spec import HoldoutSpec, KFoldSpec, PredefinedSpec, SplitSpec, TimeSeriesSpec
from data.splits.time_series import time_series

__all__ = ["Division", "Features", "SplitProblem", "divide", "divisions", "filled", "grain", "stratifies"]

_FOLDS = 5
_CLUSTERS_PER_FOLD = 3


def filled(spec: SplitSpec, dataset: Dataset) -> SplitSpec:
    """Fill in what a client left open."""
    match spec:
        case HoldoutSpec():
            by = grain(spec, dataset)
            return spec.model_copy(update={"by": by, "stratify": stratifies(spec, dataset), "shuffle": spec.shuffle and by != "time"})
        case PredefinedSpec():
            return spec if (dataset.info.predefined_rows or {}).get("val") else spec.model_copy(update={"by": grain(spec, dataset)})
        case KFoldSpec():
            return _filled_folds(spec, dataset)
        case TimeSeriesSpec():
            return spec
        case _:
            assert_never(spec)


def _filled_folds(spec: KFoldSpec, dataset: Dataset) -> KFoldSpec:
    by = fold_by(spec, dataset)
    folds = spec.folds if spec.folds is not None or by == "each_group" else _FOLDS
    clusters = spec.clusters
    if by == "cluster" and clusters is None and folds is not None:
        clusters = _CLUSTERS_PER_FOLD * folds
    return spec.model_copy(update={"by": by, "folds": folds, "clusters": clusters})


def divisions(spec: SplitSpec, dataset: Dataset, seed: int, rows: Array | None = None, features: Features | None = None) -> list[Division]:
    """Divide a dataset's rows, or the `rows` given: once, or fold by fold. `seed` (32 bits) decides what is drawn.

    Of `rows` only which they are matters, not their order; fractions are then of these rows, and no test rows are drawn from
    them. `features` is what `by: cluster` reads.

    Raises:
        SplitProblem: too few rows, groups or clusters, a stratification that cannot be had, a column that the dataset lacks,
            or a field that changes nothing.
    """
    if rows is not None and not isinstance(spec, PredefinedSpec) and spec.test_fraction > 0:
        message = "rows are divided within training rows here: no test rows are set aside from them"
        raise SplitProblem(message, pointer="/split/test_fraction", code="does_not_apply")
    divided = np.arange(dataset.info.num_rows) if rows is None else np.sort(rows)
    match spec:
        case HoldoutSpec():
            return [holdout(spec, dataset, seed, divided)]
        case PredefinedSpec():
            return [predefined(spec, dataset, seed, divided)]
        case KFoldSpec():
            return k_fold(_filled_folds(spec, dataset), dataset, seed, divided, features)
        case TimeSeriesSpec():
            return time_series(spec, dataset, seed, divided)
        case _:
            assert_never(spec)


def divide(spec: HoldoutSpec | PredefinedSpec, dataset: Dataset, seed: int) -> Division:
    """Divide a dataset's rows once; `seed` (32 bits) decides the order when rows are shuffled.

    Raises:
        SplitProblem: too few rows or groups, a stratification that cannot be had, or a column that the dataset lacks.
    """
    [division] = divisions(spec, dataset, seed)
    return division

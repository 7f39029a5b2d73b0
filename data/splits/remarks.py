"""What a split does that its author may not expect."""

from collections.abc import Iterator, Sequence
from typing import assert_never

import numpy as np

from data.dataset import Dataset
from data.splits.division import Division
from data.splits.grain import stratifies
from data.splits.spec import HoldoutSpec, KFoldSpec, PredefinedSpec, SplitSpec, TimeSeriesSpec

_MOST_NAMES = 5


def split_remarks(spec: SplitSpec, dataset: Dataset, divisions: Sequence[Division]) -> Iterator[str]:
    """Say what is no error but should be known. `spec` is filled in, `divisions` are what it gave."""
    match spec:
        case HoldoutSpec() | PredefinedSpec():
            return
        case KFoldSpec():
            if stratifies(spec, dataset):
                yield from _rare_classes(spec, dataset, divisions[0])
        case TimeSeriesSpec():
            yield from _file_order(dataset)
            yield from _shared_times(dataset, divisions)
        case _:
            assert_never(spec)


def listed(names: Sequence[str]) -> str:
    """Name a few, and count the others."""
    others = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + others


def _rare_classes(spec: KFoldSpec, dataset: Dataset, division: Division) -> Iterator[str]:
    labels, folds = dataset.info.class_labels or (), spec.folds or 0
    counts = np.bincount(dataset.y[np.concatenate([division.train, division.val])], minlength=len(labels))
    rare = [f"{labels[i]} ({counts[i]})" for i in np.flatnonzero((counts > 0) & (counts < folds))]
    if rare:
        yield f"classes with fewer rows than the {folds} folds are absent from the validation rows of some: {listed(rare)}"


def _file_order(dataset: Dataset) -> Iterator[str]:
    if dataset.times is None:
        yield f"{dataset.info.id} has no time column: its rows are taken to be in order of time in the file"


def _shared_times(dataset: Dataset, divisions: Sequence[Division]) -> Iterator[str]:
    if dataset.times is None:
        return
    left_out = []
    for division in divisions:
        first = dataset.times[division.val].min()
        num = int((dataset.times == first).sum() - (dataset.times[division.val] == first).sum())
        if num:
            left_out.append(f"{num} in {division.label}")
    if left_out:
        yield f"rows of the time of a fold's first validation row are not trained on in that fold: {listed(left_out)}"

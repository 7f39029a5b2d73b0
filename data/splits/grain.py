"""What a split holds out, and what it keeps in proportion."""

from typing import Literal

from data.dataset import Dataset
from data.splits.spec import FoldBy, HoldoutSpec, KFoldSpec, PredefinedSpec, SplitSpec, TimeSeriesSpec

Grain = Literal["rows", "group", "time"]


def grain(spec: SplitSpec, dataset: Dataset) -> Grain:
    """Tell what is held out: as asked, else by time or group where the dataset has such a column."""
    if isinstance(spec, TimeSeriesSpec):
        return "time"
    if isinstance(spec, KFoldSpec):
        return "group" if fold_by(spec, dataset) in {"group", "stratified_group", "each_group"} else "rows"
    if spec.by is not None:
        return spec.by
    if isinstance(spec, HoldoutSpec) and not spec.shuffle:
        return "rows"
    if dataset.times is not None:
        return "time"
    return "rows" if dataset.groups is None else "group"


def fold_by(spec: KFoldSpec, dataset: Dataset) -> FoldBy:
    """Tell what folds are made of: as asked, else groups where there are any, else rows."""
    if spec.by is not None:
        return spec.by
    if dataset.groups is not None and spec.shuffle:
        return "group"
    return "stratified" if dataset.info.task == "classification" else "random"


def held_out_by(spec: SplitSpec, dataset: Dataset) -> str:
    """Say in a word what is held out, for messages."""
    by_cluster = isinstance(spec, KFoldSpec) and fold_by(spec, dataset) == "cluster"
    return "cluster" if by_cluster else grain(spec, dataset)


def stratifies(spec: SplitSpec, dataset: Dataset) -> bool:
    """Tell whether class shares are kept: as asked, else for shuffled rows of classes."""
    if isinstance(spec, TimeSeriesSpec):
        return False
    if isinstance(spec, KFoldSpec):
        return fold_by(spec, dataset) in {"stratified", "stratified_group"}
    is_possible = grain(spec, dataset) == "rows" and dataset.info.task == "classification"
    if isinstance(spec, PredefinedSpec):
        return is_possible
    return spec.stratify if spec.stratify is not None else (spec.shuffle and is_possible)

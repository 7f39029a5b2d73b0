"""Datasets on disk: one array file for each of features, target, groups, times and parts."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.dataset import Array, Dataset, DatasetInfo


@dataclass(frozen=True, kw_only=True)
class StoredFiles:
    """Where each role's array lies; those that a dataset does not have are not there."""

    x: Path
    y: Path
    groups: Path | None = None
    times: Path | None = None
    parts: Path | None = None


def open_stored(info: DatasetInfo, files: StoredFiles, x_unit: float) -> Dataset:
    """Open a dataset. Its arrays stay in their files, mapped into memory: what is looked at is read.

    Raises:
        OSError: a file is not there or not whole.
    """

    def array(path: Path | None) -> Array | None:
        return None if path is None else np.load(path, mmap_mode="r", allow_pickle=False)

    def features() -> Array:
        found: Array = np.load(files.x, mmap_mode="r", allow_pickle=False)
        return found

    y = array(files.y)
    assert y is not None
    return Dataset(
        info=info,
        y=y,
        read=features,
        read_column=(lambda i: np.array(features()[:, i])) if info.kind == "table" else None,
        x_unit=x_unit,
        parts=array(files.parts),
        groups=array(files.groups),
        times=array(files.times),
    )

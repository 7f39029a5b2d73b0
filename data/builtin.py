"""Datasets that need no upload: scikit-learn's, those of other packages and Fashion-MNIST where they are installed, and generated ones."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from data.dataset import Array, Column, Dataset, DatasetInfo, content_hash, part_sizes
from data.entries import ENTRIES, BuiltinRows, Entry

_BUILTIN = {entry.info.id: entry for entry in ENTRIES}
_KEPT_BYTES = 8_000_000


def catalog() -> tuple[DatasetInfo, ...]:
    """List every built-in dataset, those that cannot be loaded here included, with the reason."""
    return tuple(info(name) for name in _BUILTIN)


def info(dataset_id: str) -> DatasetInfo:
    """Describe one dataset.

    Raises:
        KeyError: no dataset has this id.
    """
    builtin = _BUILTIN[dataset_id]
    reason = builtin.missing()
    if reason is not None:
        return replace(builtin.info, available=False, unavailable_reason=reason)
    return load(dataset_id).info


@lru_cache(maxsize=32)
def load(dataset_id: str) -> Dataset:
    """Open one dataset; its rows are shared and read-only.

    Raises:
        KeyError: no dataset has this id.
        OSError: its files are not there.
    """
    builtin = _BUILTIN[dataset_id]
    rows = builtin.read()
    x, y = _features(builtin, rows), rows.y.copy()
    y.flags.writeable = False
    counts = None
    if builtin.info.num_classes is not None:
        counts = tuple(int(n) for n in np.bincount(y, minlength=builtin.info.num_classes))
    measured = replace(
        builtin.info,
        num_rows=len(x),
        class_counts=counts,
        content_hash=content_hash(x, y),
        predefined_rows=part_sizes(rows.parts),
        columns=_columns(builtin.info, x),
        num_groups=None if rows.groups is None else len(np.unique(rows.groups)),
    )
    # Large rows are read again by whoever trains on them: a process that only divides rows shall not hold them.
    read = (lambda: x) if x.nbytes <= _KEPT_BYTES else (lambda: _features(builtin, builtin.read()))
    return Dataset(
        info=measured, y=y, read=read, x_unit=builtin.x_unit, parts=rows.parts, groups=rows.groups, times=rows.times, truth=rows.truth
    )


class Builtins:
    """The built-in datasets as a source."""

    def info(self, dataset_id: str) -> DatasetInfo:
        """Describe a dataset; KeyError if there is none of this id."""
        return info(dataset_id)

    def load(self, dataset_id: str) -> Dataset:
        """Open a dataset; KeyError if there is none of this id, OSError if its files are not there."""
        return load(dataset_id)

    def suggestions(self) -> Sequence[str]:
        """Name those that can be used here."""
        return [entry.id for entry in catalog() if entry.available]


BUILTINS = Builtins()


def _features(builtin: Entry, rows: BuiltinRows) -> Array:
    x = rows.x.reshape(len(rows.x), *builtin.info.input_shape).copy()
    x.flags.writeable = False
    return x


def _columns(info: DatasetInfo, x: Array) -> tuple[Column, ...] | None:
    """Complete what is written down about a table's columns by what is missing in them."""
    if info.kind != "table":
        return None
    written = info.columns or tuple(Column(name=name) for name in info.feature_names or ())
    absent = [np.flatnonzero(np.isnan(x[:, i])) for i in range(len(written))]
    return tuple(
        replace(column, num_missing=len(rows), first_missing_row=int(rows[0]) + 1 if len(rows) else None)
        for column, rows in zip(written, absent, strict=True)
    )

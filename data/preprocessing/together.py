"""Raw rows that several preparations read: each learned its words from its own training rows, a row is read once for all.

Words are positions in the `categories` of the columns in common, which are all words that any of them knows, and from there
positions in its own.
"""

from collections.abc import Sequence

import numpy as np

from data.dataset import Array
from data.preprocessing.apply import UNKNOWN
from data.preprocessing.state import CategoryColumn, GridPreparation, NumberColumn, Preparation, TablePreparation


class Apart(ValueError):
    """Preparations that do not read the same rows."""


def in_common(preparations: Sequence[Preparation]) -> TablePreparation | GridPreparation:
    """Describe the rows that all of them read.

    Columns have the words of all, in order of first mention, and what is particular to a single preparation (fill, offset,
    scale) is the first one's: nothing is to be prepared with it.

    Raises:
        Apart: they have other columns, or another shape, unit or size of images.
    """
    first = preparations[0].inputs
    if isinstance(first, GridPreparation):
        grids = [one.inputs for one in preparations if isinstance(one.inputs, GridPreparation)]
        if len(grids) < len(preparations) or any(
            (one.shape, one.unit, one.resize) != (first.shape, first.unit, first.resize) for one in grids
        ):
            raise Apart("members prepare images or signals of different shapes or sizes")
        return first
    tables = [one.inputs for one in preparations if isinstance(one.inputs, TablePreparation)]
    if len(tables) < len(preparations) or any(_plain(one) != _plain(first) for one in tables):
        raise Apart("members have different columns")
    return TablePreparation(columns=tuple(_of_all([table.columns[i] for table in tables]) for i in range(len(first.columns))))


def _plain(table: TablePreparation) -> list[tuple[str, str, tuple[str, ...] | None]]:
    return [(column.kind, column.name, column.order if isinstance(column, NumberColumn) else None) for column in table.columns]


def _of_all(columns: Sequence[NumberColumn | CategoryColumn]) -> NumberColumn | CategoryColumn:
    first = columns[0]
    if isinstance(first, NumberColumn):
        return first
    words = dict.fromkeys(word for column in columns if isinstance(column, CategoryColumn) for word in column.categories)
    return first.model_copy(update={"categories": tuple(words)})


def places(common: CategoryColumn, own: CategoryColumn) -> Array:
    """Give for each word in common its position among a preparation's own words, -1 for those that it does not know; int64."""
    known = {word: position for position, word in enumerate(own.categories)}
    return np.array([known.get(word, UNKNOWN) for word in common.categories], dtype=np.int64)


def own_rows(common: TablePreparation | GridPreparation, own: TablePreparation | GridPreparation, raw: Array) -> Array:
    """Turn rows whose words are positions among those in common into the raw rows of one preparation, for `apply`."""
    if not isinstance(common, TablePreparation) or not isinstance(own, TablePreparation):
        return raw
    out = raw.copy()
    for i, (shared, mine) in enumerate(zip(common.columns, own.columns, strict=True)):
        if isinstance(shared, CategoryColumn) and isinstance(mine, CategoryColumn) and shared.categories != mine.categories:
            found = np.append(places(shared, mine), UNKNOWN)  # position -1 is the last: unknown to all stays unknown
            absent = np.isnan(raw[:, i])
            out[:, i] = np.where(absent, np.nan, found[np.where(absent, UNKNOWN, raw[:, i]).astype(np.int64)])
    return out

"""A dataset: what is known of it without its rows, and the rows themselves."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Task = Literal["classification", "regression"]
Kind = Literal["table", "signal", "image", "volume"]
TRAIN, VAL, TEST = 0, 1, 2
"""Which part a row of a predefined division belongs to."""


class RowsAway(OSError):
    """Files cannot be reached now, and may be later: nothing is known to be wrong with them."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table that a network may be given: numbers, or words, which rows hold as indices of `categories`.

    The words of an ordinal column are in their own order, lowest first, and are prepared as the numbers 0, 1, 2, ...
    `num_missing` counts its missing values; `first_missing_row` is the first of them, the first row being 1.
    """

    name: str
    kind: Literal["number", "category", "ordinal"] = "number"
    categories: tuple[str, ...] = ()
    num_missing: int = 0
    first_missing_row: int | None = None


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What a client may know of a dataset before any row is read.

    `input_shape` is [F] for tables, [C, L] for signals, [C, H, W] for images and [C, D, H, W] for volumes. `predefined_rows`
    counts the rows of the dataset's own division, where it has one. `class_counts` follow `class_labels`. `columns` are
    the features of a table. A dataset that cannot be loaded here has `available` False and says why; then counts and
    `content_hash` are None or 0.
    """

    id: str
    title: str
    kind: Kind
    task: Task
    input_shape: tuple[int, ...]
    num_rows: int
    num_classes: int | None
    class_labels: tuple[str, ...] | None
    class_counts: tuple[int, ...] | None
    feature_names: tuple[str, ...] | None
    target_name: str
    target_unit: str | None
    licence: str
    source: str
    description: str
    columns: tuple[Column, ...] | None = None
    group_name: str | None = None
    num_groups: int | None = None
    time_name: str | None = None
    predefined_rows: Mapping[str, int] | None = None
    available: bool = True
    unavailable_reason: str | None = None
    content_hash: str | None = None

    @property
    def num_outputs(self) -> int:
        """Outputs that a network for this dataset has: one per class, or one number."""
        return self.num_classes or 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """What decides how rows are divided, and a way to their features, which most readers never need.

    `y` [n] is int64 class or float64. `parts` [n] is the dataset's own division (`TRAIN`, `VAL`, `TEST`), `groups` [n] int64
    what belongs together, `times` [n] what orders rows, `truth` [n] the targets without
    noise, where a formula made them; each None if the dataset has none. `x` [n, *input_shape] is in raw
    units (divide by `x_unit` for [0, 1] images); in tables a missing value is NaN and a word the index of its category.
    """

    info: DatasetInfo
    y: Array
    read: Callable[[], Array]
    read_column: Callable[[int], Array] | None = None
    x_unit: float = 1.0
    parts: Array | None = None
    groups: Array | None = None
    times: Array | None = None
    truth: Array | None = None

    @cached_property
    def x(self) -> Array:
        """Read all features, once."""
        return self.read()

    def column(self, position: int) -> Array:
        """Read one column [n] of a table, without the others where the storage allows."""
        return self.x[:, position] if self.read_column is None else self.read_column(position)


class DatasetSource(Protocol):
    """Where datasets are found by id."""

    def info(self, dataset_id: str) -> DatasetInfo:
        """Describe a dataset; KeyError if there is none of this id."""

    def load(self, dataset_id: str) -> Dataset:
        """Open a dataset; KeyError if there is none of this id, OSError if its files are not there."""

    def suggestions(self) -> Sequence[str]:
        """Name datasets for a message to somebody who named one that is not there."""


def content_hash(*arrays: Array) -> str:
    """Hash values, shapes and types (SHA-256, hex): equal content gives equal text."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def part_sizes(parts: Array | None) -> dict[str, int] | None:
    """Count the rows of each part of a dataset's own division."""
    if parts is None:
        return None
    return {name: int((parts == part).sum()) for name, part in (("train", TRAIN), ("val", VAL), ("test", TEST))}

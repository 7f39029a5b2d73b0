"""A dataset: what is known of it without its rows, and the rows themselves."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Task = Literal["classification", "regression"]
Kind = Literal["table", "signal", "image", "volume"]
TRAIN, VAL, TEST = 0, 1, 2
"""Which part a row of a predefined division belongs to."""


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What a client may know of a dataset before any row is read.

    `input_shape` is [F] for tables, [C, L] for signals, [C, H, W] for images and [C, D, H, W] for volumes. `predefined_rows`
    counts the rows of the dataset's own division, where it has one. `class_counts` follow `class_labels`. A dataset that
    cannot be loaded here has `available` False and says why; then counts and `content_hash` are None or 0.
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
    predefined_rows: Mapping[str, int] | None = None
    available: bool = True
    unavailable_reason: str | None = None
    content_hash: str | None = None

    @property
    def num_outputs(self) -> int:
        """Outputs that a network for this dataset has: one per class, or one number."""
        return self.num_classes or 1


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Rows: `x` [n, *input_shape] in raw units (divide by `x_unit` for [0, 1] images), `y` [n] int64 class or float64.

    `parts` [n] is the dataset's own division (`TRAIN`, `VAL`, `TEST`), or None.
    """

    info: DatasetInfo
    x: Array
    y: Array
    x_unit: float = 1.0
    parts: Array | None = None


def content_hash(*arrays: Array) -> str:
    """Hash values, shapes and types (SHA-256, hex): equal content gives equal text."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()

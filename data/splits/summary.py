"""What a division amounts to: sizes, class counts and a name for its row sets."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from data.dataset import Array, Dataset
from data.splits.division import Division


@dataclass(frozen=True, kw_only=True)
class DivisionSummary:
    """One division in figures.

    `num_rows` and `class_counts` are by part: train, val, test; class counts follow the dataset's class labels and are None
    for numbers. `row_hash` is the SHA-256 (hex) of the dataset's content hash and the three sets of rows, whatever their order.
    """

    label: str
    place: Mapping[str, int]
    num_rows: Mapping[str, int]
    class_counts: Mapping[str, tuple[int, ...]] | None
    row_hash: str


def division_summary(dataset: Dataset, division: Division) -> DivisionSummary:
    """Sum up one division of a dataset."""
    parts = {"train": division.train, "val": division.val, "test": division.test}
    classes = dataset.info.num_classes
    counts = None if classes is None else {name: _counts(dataset.y[rows], classes) for name, rows in parts.items()}
    digest = hashlib.sha256(str(dataset.info.content_hash).encode())
    for name, rows in parts.items():
        digest.update(f"|{name} {len(rows)}|".encode())
        digest.update(np.sort(rows).astype("<i8").tobytes())
    return DivisionSummary(
        label=division.label,
        place=division.place,
        num_rows={name: len(rows) for name, rows in parts.items()},
        class_counts=counts,
        row_hash=digest.hexdigest(),
    )


def _counts(labels: Array, classes: int) -> tuple[int, ...]:
    return tuple(np.bincount(labels, minlength=classes).tolist())

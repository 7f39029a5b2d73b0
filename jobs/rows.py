"""Which rows a job's fits see, and a name for exactly those."""

import hashlib
import math
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from data.dataset import Array, Dataset
from data.preprocessing.build import UnfitRows, prepare, prepared_shape
from data.preprocessing.spec import PreprocessingSpec
from data.splits.build import Division, SplitProblem, divisions
from data.splits.spec import SplitSpec
from jobs.plans.fits import FitRows
from jobs.spec import JobSpec
from models.normalizations.spec import BatchNormSpec

_divided: WeakKeyDictionary[Dataset, dict[str, list[Division]]] = WeakKeyDictionary()
_shapes: WeakKeyDictionary[Dataset, dict[str, tuple[int, ...]]] = WeakKeyDictionary()
_KEPT_ROWS = 2_000_000
"""Rows whose divisions of one dataset are kept; one set of divisions is kept whatever its size."""
_KEPT_SHAPES = 256


def divisions_of(spec: JobSpec, dataset: Dataset, *, split: SplitSpec | None = None, rows: Array | None = None) -> list[Division]:
    """Divide the dataset's rows, or the `rows` given, by the job's split or another.

    Raises:
        SplitProblem: the split cannot be made.
    """
    asked = spec.split if split is None else split
    known = _divided.setdefault(dataset, {})
    key = f"{asked.model_dump_json()} {seed_of(spec)} {'' if rows is None else _digest(rows)}"
    if key not in known:
        found = divisions(asked, dataset, seed_of(spec), rows, lambda chosen: _features(dataset, chosen))
        _make_room(known, max(1, min(_KEPT_SHAPES, _KEPT_ROWS // max(1, dataset.info.num_rows * len(found)))))
        known[key] = found
    return known[key]


def _features(dataset: Dataset, rows: Array) -> Array:
    """Prepare rows as numbers that distances are measured between: standardised, words one-hot, what is missing by the median.

    Raises:
        SplitProblem: the rows cannot be prepared so.
    """
    is_table = dataset.info.kind == "table"
    spec = PreprocessingSpec(missing="median") if is_table else PreprocessingSpec()
    try:
        found = prepare(spec, dataset, Division(train=rows, val=rows[:0], test=rows[:0]), np.float64).train.x
    except UnfitRows as error:
        raise SplitProblem(f"rows cannot be clustered: {error}", pointer="/split/by", code="cannot_cluster") from error
    return found.reshape(len(found), -1)


def input_shape_of(spec: JobSpec, dataset: Dataset, train: Array) -> tuple[int, ...]:
    """Give the shape of a prepared row, with `train` as training rows: what the network is built for."""
    info = dataset.info
    if info.kind != "table":
        return prepared_shape(spec.preprocessing, dataset, train)
    known = _shapes.setdefault(dataset, {})
    key = f"{spec.preprocessing.model_dump_json()} {_digest(train)}"
    if key not in known:
        _make_room(known, _KEPT_SHAPES)
        known[key] = prepared_shape(spec.preprocessing, dataset, train)
    return known[key]


def _digest(rows: Array) -> str:
    return hashlib.blake2b(np.ascontiguousarray(rows, dtype=np.int64).tobytes(), digest_size=16).hexdigest()


def _make_room(known: dict[str, Any], most: int) -> None:
    while len(known) >= most:
        known.pop(next(iter(known)), None)


def seed_of(spec: JobSpec) -> int:
    """Give the seed of a resolved spec."""
    if spec.seed is None:
        raise ValueError("a spec without a seed has not been resolved")
    return spec.seed


def row_hash(dataset: Dataset, rows: FitRows) -> str:
    """Name these rows of this content, in this order, with their weights (SHA-256, hex)."""
    digest = hashlib.sha256(str(dataset.info.content_hash).encode())
    parts = [rows.train, rows.val, rows.test] + ([] if rows.asked is None else [rows.asked])
    for part in parts:
        digest.update(f"|{len(part)}|".encode())
        digest.update(part.astype(np.int64).tobytes())
    if rows.weights is not None:
        digest.update(b"|weights|")
        digest.update(rows.weights.astype(np.float64).tobytes())
    return digest.hexdigest()


def batches_per_epoch(spec: JobSpec, rows: int) -> int:
    """Batches of one epoch over `rows` training rows: ceil(rows / batch), a trailing single row merged under batch norm."""
    batch = batch_rows(spec, rows)
    batches = math.ceil(rows / batch)
    if batches > 1 and rows % batch == 1 and batch > 1 and isinstance(spec.network.normalization, BatchNormSpec):
        batches -= 1
    return batches


def steps_per_epoch(spec: JobSpec, rows: int) -> int:
    """Optimizer updates of one epoch: one for every `accumulate_batches` batches, the last of which may take fewer."""
    return math.ceil(batches_per_epoch(spec, rows) / spec.training.accumulate_batches)


def batch_rows(spec: JobSpec, rows: int) -> int:
    """Rows of a full batch: never more than there are."""
    size = spec.training.batch_size
    return rows if size == "full" else min(size, rows)

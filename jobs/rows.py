"""Which rows a job's fits see, and a name for exactly those."""

import hashlib
import math
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from data.dataset import Dataset
from data.preprocessing.build import prepared_shape
from data.splits.build import Division, divide
from jobs.plans.fits import PlannedFit
from jobs.spec import JobSpec
from models.normalizations.spec import BatchNormSpec
from models.shapes import layers, num_parameters

_divided: WeakKeyDictionary[Dataset, dict[str, Division]] = WeakKeyDictionary()
_shapes: WeakKeyDictionary[Dataset, dict[str, tuple[int, ...]]] = WeakKeyDictionary()
_KEPT_ROWS = 2_000_000
"""Rows whose divisions of one dataset are kept; one division is kept whatever its size."""
_KEPT_SHAPES = 8


def division_of(spec: JobSpec, dataset: Dataset) -> Division:
    """Divide the dataset's rows.

    Raises:
        SplitProblem: the split cannot be made.
    """
    known = _divided.setdefault(dataset, {})
    key = f"{spec.split.model_dump_json()} {seed_of(spec)}"
    if key not in known:
        _make_room(known, max(1, min(_KEPT_SHAPES, _KEPT_ROWS // max(1, dataset.info.num_rows))))
        known[key] = divide(spec.split, dataset, seed_of(spec))
    return known[key]


def input_shape_of(spec: JobSpec, dataset: Dataset) -> tuple[int, ...]:
    """Give the shape of a prepared row: what the network is built for."""
    known = _shapes.setdefault(dataset, {})
    key = f"{spec.split.model_dump_json()} {seed_of(spec)} {spec.preprocessing.model_dump_json()}"
    if key not in known:
        _make_room(known, _KEPT_SHAPES)
        known[key] = prepared_shape(spec.preprocessing, dataset, division_of(spec, dataset).train)
    return known[key]


def _make_room(known: dict[str, Any], most: int) -> None:
    while len(known) >= most:
        known.pop(next(iter(known)), None)


def seed_of(spec: JobSpec) -> int:
    """Give the seed of a resolved spec."""
    if spec.seed is None:
        raise ValueError("a spec without a seed has not been resolved")
    return spec.seed


def row_hash(dataset: Dataset, division: Division) -> str:
    """Name these rows of this content, in this order (SHA-256, hex)."""
    digest = hashlib.sha256(str(dataset.info.content_hash).encode())
    for part in (division.train, division.val, division.test):
        digest.update(f"|{len(part)}|".encode())
        digest.update(part.astype(np.int64).tobytes())
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


def planned_fit(spec: JobSpec, dataset: Dataset, number: int, label: str) -> PlannedFit:
    """Describe the fit that trains on the rows of the job's split."""
    division = division_of(spec, dataset)
    steps = steps_per_epoch(spec, len(division.train))
    return PlannedFit(
        number=number,
        label=label,
        seed=seed_of(spec),
        row_hash=row_hash(dataset, division),
        num_rows={"train": len(division.train), "val": len(division.val), "test": len(division.test)},
        steps_per_epoch=steps,
        steps_planned=steps * spec.training.max_epochs,
        num_parameters=num_parameters(layers(spec.network, input_shape_of(spec, dataset), dataset.info.num_outputs)),
    )

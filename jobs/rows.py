"""Which rows a job's fits see, and a name for exactly those."""

import hashlib
import math
from functools import lru_cache

import numpy as np

from data.builtin import load
from data.dataset import Dataset
from data.splits.build import Division, divide
from data.splits.spec import SplitSpec
from jobs.plans.fits import PlannedFit
from jobs.spec import JobSpec
from models.normalizations.spec import BatchNormSpec
from models.shapes import layers, num_parameters


def division_of(spec: JobSpec) -> tuple[Dataset, Division]:
    """Load the dataset and divide its rows.

    Raises:
        SplitProblem: the split cannot be made.
    """
    dataset = load(spec.dataset)
    return dataset, _divided(spec.dataset, spec.split, seed_of(spec))


@lru_cache(maxsize=8)
def _divided(dataset_id: str, split: SplitSpec, seed: int) -> Division:
    dataset = load(dataset_id)
    return divide(split, dataset.y, dataset.info.task, seed, dataset.parts)


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


def planned_fit(spec: JobSpec, number: int, label: str) -> PlannedFit:
    """Describe the fit that trains on the rows of the job's split."""
    dataset, division = division_of(spec)
    steps = steps_per_epoch(spec, len(division.train))
    return PlannedFit(
        number=number,
        label=label,
        seed=seed_of(spec),
        row_hash=row_hash(dataset, division),
        num_rows={"train": len(division.train), "val": len(division.val), "test": len(division.test)},
        steps_per_epoch=steps,
        steps_planned=steps * spec.training.max_epochs,
        num_parameters=num_parameters(layers(spec.network, dataset.info.input_shape, dataset.info.num_outputs)),
    )

"""Nested parts of training rows."""

import numpy as np

from data.dataset import Array, Dataset
from data.splits.cutting import count_of
from data.splits.grain import grain
from jobs.plans.results import is_classification
from jobs.spec import JobSpec


def subset(spec: JobSpec, dataset: Dataset, train: Array, fraction: float, seed: int) -> Array:
    """Give a share of `train`, in the order of `train`. Of one `seed`, larger shares contain smaller ones.

    Rows are drawn so that every class has its share to the nearest row; of rows in order of time the latest are taken.
    """
    chosen = np.zeros(len(train), dtype=bool)
    chosen[_precedence(spec, dataset, train, seed)[: count_of(fraction, len(train))]] = True
    return train[chosen]


def _precedence(spec: JobSpec, dataset: Dataset, train: Array, seed: int) -> Array:
    """Order positions of `train`: who comes first is in every share."""
    if grain(spec.split, dataset) == "time":
        times = np.arange(len(train)) if dataset.times is None else dataset.times[train]
        return np.argsort(times, kind="stable")[::-1]
    drawn = np.random.default_rng(seed).permutation(len(train))
    if not is_classification(dataset):
        return drawn
    # The j-th of n rows of a class stands at (j + 1/2) / n of the way: any beginning has each class in proportion.
    labels, at = dataset.y[train][drawn], np.empty(len(train))
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        at[own] = (np.arange(len(own)) + 0.5) / len(own)
    return drawn[np.argsort(at, kind="stable")]

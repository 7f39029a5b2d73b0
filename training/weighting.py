"""How much each training row counts: weights of classes and of rows, and epochs in which every class comes equally often."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from training.seeding import generator

_MEAN_TOLERANCE = 1e-6
"""Weights that went through float32 still have a mean of 1."""


def class_weights(asked: Literal["balanced"] | Sequence[float], labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Give the weight of each class [K] so that the mean over the rows `labels` [n] is 1.

    `balanced` is n / (K * n_c), K the classes present: every class then weighs the same in sum, an absent one nothing.
    """
    counts = np.bincount(labels, minlength=num_classes)
    weights = (counts > 0) / np.maximum(counts, 1) if asked == "balanced" else np.asarray(asked, dtype=np.float64)
    scaled: np.ndarray = weights * (len(labels) / float((weights * counts).sum()))
    return scaled


def row_weights(asked: np.ndarray, rows: int) -> np.ndarray:
    """Check the weights [n] of `rows` training rows, and give them.

    Raises:
        ValueError: they are not `rows` finite numbers >= 0 of mean 1.
    """
    weights = np.asarray(asked, dtype=np.float64)
    if weights.shape != (rows,) or not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError(f"weights of {rows} training rows must be as many finite numbers >= 0")
    if abs(weights.mean() - 1) > _MEAN_TOLERANCE:
        raise ValueError(f"weights of training rows must have the mean 1, not {weights.mean()}")
    return weights


class BalancedRows:
    """Epochs of n rows drawn with replacement: first a class that is present, then one of its rows."""

    def __init__(self, labels: np.ndarray) -> None:
        """Sort the rows by class; `labels` [n] are class numbers."""
        _, starts, counts = np.unique(np.sort(labels), return_index=True, return_counts=True)
        self._rows = torch.from_numpy(np.argsort(labels, kind="stable"))
        self._starts, self._counts = torch.from_numpy(starts), torch.from_numpy(counts)

    def order(self, seed: int, epoch: int) -> Tensor:
        """Draw the rows of one epoch, [n]."""
        source = generator(seed, epoch, "balanced_rows")
        classes = torch.randint(0, len(self._counts), (len(self._rows),), generator=source)
        share = torch.rand(len(self._rows), generator=source, dtype=torch.float64)
        counts = self._counts[classes]
        return self._rows[self._starts[classes] + (share * counts).long().clamp_max(counts - 1)]

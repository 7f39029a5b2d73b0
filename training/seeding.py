"""Randomness is derived, not carried: every draw comes from a generator seeded by what the draw is for.

A fit's draws then depend neither on the fits beside it, nor on what was drawn before, nor on the batch size.
"""

import numpy as np
import torch
from torch import Tensor

from training.derivation import derive

_WORD = 2**32


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """Give a CPU generator for one purpose."""
    return torch.Generator().manual_seed(derive(seed, *purpose))


def row_order(seed: int, epoch: int, rows: int) -> Tensor:
    """Draw the order in which an epoch visits its rows: a permutation of 0 ... rows - 1."""
    return torch.randperm(rows, generator=generator(seed, epoch, "rows"))


def stratified_sample(seed: int, y: np.ndarray, size: int) -> np.ndarray:
    """Draw `size` row numbers, ascending; where `y` [n] holds classes every class keeps its share (largest remainders)."""
    draws = np.random.default_rng(derive(seed, "evaluation_rows"))
    if y.dtype.kind != "i":
        return np.sort(draws.permutation(len(y))[:size])
    classes, counts = np.unique(y, return_counts=True)
    exact = counts * (size / len(y))
    taken = np.floor(exact).astype(np.int64)
    for index in np.argsort(taken - exact, kind="stable")[: size - int(taken.sum())]:
        taken[index] += 1
    parts = [draws.permutation(np.flatnonzero(y == label))[:count] for label, count in zip(classes, taken, strict=True)]
    return np.sort(np.concatenate(parts))


def keep_mask(source: torch.Generator, shape: tuple[int, ...], probability: float, dtype: torch.dtype) -> Tensor:
    """Draw a dropout mask: 0 with `probability`, else 1 / (1 - probability).

    Full-range 64-bit integers, seen as two 32-bit ones, draw nine times cheaper than Bernoulli numbers.
    """
    count = 1
    for size in shape:
        count *= size
    bits = torch.empty((count + 1) // 2, dtype=torch.int64).random_(-(2**63), None, generator=source).view(torch.int32)[:count]
    threshold = min(round(probability * _WORD), _WORD - 1) - _WORD // 2
    return (bits >= threshold).to(dtype).mul_(1 / (1 - probability)).view(shape)

"""How several networks answer as one. Whoever measures an ensemble and whoever predicts with it vote by the same rules."""

from collections.abc import Sequence
from typing import Literal, assert_never

import numpy as np

from data.dataset import Array

Vote = Literal["soft", "hard", "mean", "median"]


def combined(outputs: Array, vote: Vote, weights: Sequence[float] | None) -> Array:
    """Let M members vote: `outputs` [M, n, K] of classes or [M, n, 1] of numbers give [n, K] or [n, 1].

    soft: weighted mean of class probabilities. hard: each class's weighted share of the members that name it. mean: weighted
    mean of numbers. median: their weighted median (Drucker 1997). `weights` [M] are not negative; null is alike.

    Raises:
        ValueError: weights of another number than members, negative, or all 0.
    """
    shares = _shares(weights, len(outputs))
    match vote:
        case "soft" | "hard" | "mean":
            total = np.zeros(outputs.shape[1:])
            for share, member in zip(shares, outputs, strict=True):
                total += share * ballots(member, vote)
            mean: Array = total / shares.sum()
            return mean
        case "median":
            return _weighted_median(outputs[:, :, 0].astype(np.float64), shares)[:, None]
        case _:
            assert_never(vote)


def ballots(outputs: Array, vote: Literal["soft", "hard", "mean"]) -> Array:
    """Give what one member adds to a sum of votes: its outputs [n, K], or 1 for the class that it names (ties: the lowest)."""
    if vote != "hard":
        return outputs.astype(np.float64)
    named = np.zeros(outputs.shape)
    named[np.arange(len(outputs)), outputs.argmax(axis=1)] = 1
    return named


def _shares(weights: Sequence[float] | None, members: int) -> Array:
    if weights is None:
        return np.ones(members)
    shares = np.asarray(weights, dtype=np.float64)
    if len(shares) != members or (shares < 0).any() or shares.sum() <= 0:
        raise ValueError(f"{members} members need as many weights, not negative and not all 0")
    return shares


def _weighted_median(values: Array, shares: Array) -> Array:
    """Give for each column of `values` [M, n] the smallest value that, with those below it, holds half of the weight."""
    order = np.argsort(values, axis=0, kind="stable")
    reached = np.cumsum(shares[order], axis=0)
    first = (reached >= 0.5 * reached[-1]).argmax(axis=0)
    columns = np.arange(values.shape[1])
    median: Array = values[order[first, columns], columns]
    return median

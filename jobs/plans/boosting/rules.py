"""How boosting weighs rows and members. Shares of rows are float64 [n], not negative, of sum 1; no result is ever NaN."""

import math
from dataclasses import dataclass

import numpy as np

from data.dataset import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Verdict:
    """What a round makes of its member: its weighted `error`, its vote `alpha` and the next round's `shares` [n].

    alpha is None for a member no better than chance. `shares` is None where nothing follows.
    """

    error: float
    alpha: float | None
    shares: Array | None


def samme(shares: Array, is_wrong: Array, num_classes: int, learning_rate: float) -> Verdict:
    """Judge a member of K = `num_classes` classes by the rows [n] that it got wrong (Zhu et al. 2009)."""
    error = float(shares[is_wrong].sum() / shares.sum())
    if error <= 0:
        return Verdict(error=0.0, alpha=1.0, shares=None)
    if error >= 1 - 1 / num_classes:
        return Verdict(error=error, alpha=None, shares=None)
    alpha = learning_rate * (_log_odds(error) + math.log(num_classes - 1))
    if alpha <= 0:  # an error below 1 - 1/K by less than a rounding
        return Verdict(error=error, alpha=None, shares=None)
    return Verdict(error=error, alpha=alpha, shares=_raised(shares, alpha * is_wrong))


def r2(shares: Array, errors: Array, learning_rate: float) -> Verdict:
    """Judge a member by its absolute errors [n] (Drucker 1997, linear loss)."""
    largest = float(errors.max())
    losses = errors / largest if largest > 0 else np.zeros_like(errors)
    error = float((shares * losses).sum() / shares.sum())
    if error <= 0:
        return Verdict(error=0.0, alpha=1.0, shares=None)
    if error >= 0.5:
        return Verdict(error=error, alpha=None, shares=None)
    alpha = learning_rate * _log_odds(error)
    if alpha <= 0:
        return Verdict(error=error, alpha=None, shares=None)
    return Verdict(error=error, alpha=alpha, shares=_raised(shares, -alpha * (1 - losses)))


def _log_odds(error: float) -> float:
    """Give ln((1 - e) / e), whose quotient would overflow for the smallest e."""
    return math.log1p(-error) - math.log(error)


def _raised(shares: Array, exponents: Array) -> Array:
    """Multiply shares by exp(exponents) and let them add up to 1; by logarithms, so that nothing overflows."""
    with np.errstate(divide="ignore"):  # a share may have become 0, and stays so
        logs = np.log(shares) + exponents
    raised = np.exp(logs - logs.max())
    found: Array = raised / raised.sum()
    return found


def row_weights(shares: Array) -> Array:
    """Give weights of mean 1 for the objective.

    They are rounded to float32: powers differ in their last digits between processors, and a replay elsewhere must find the
    same weights.
    """
    weights: Array = (shares * len(shares)).astype(np.float32).astype(np.float64)
    return weights

"""Figures of single rows and what their sums give. Plain numpy: plans conclude with them where there is no torch."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class RowFigures:
    """Figures of single rows, float64 [n]: `loss` in nats or squared original units, `hit` 1 where the class was right.

    For numbers `target` holds the targets about their mean, in original units. `outputs` [n, O] are kept where asked.
    """

    loss: np.ndarray
    hit: np.ndarray | None
    target: np.ndarray | None
    outputs: np.ndarray | None = None

    @property
    def mean_loss(self) -> float:
        """Give the loss: the sum over rows, divided once."""
        return float(self.loss.sum() / len(self.loss))

    @property
    def metrics(self) -> dict[str, float]:
        """Give accuracy, or rmse and r2."""
        if self.hit is not None:
            return {"accuracy": float(self.hit.sum() / len(self.hit))}
        if self.target is None:
            raise ValueError("figures of neither classes nor numbers")
        squares = float(self.loss.sum())
        return {
            "rmse": math.sqrt(self.mean_loss) if self.mean_loss >= 0 else math.nan,
            "r2": r_squared(squares, float((self.target * self.target).sum())),
        }


def r_squared(residual: float, total: float) -> float:
    """1 - residual / total sum of squares; for targets without variation 1 if they are met exactly, else 0 (as scikit-learn)."""
    ratio = residual / total if total > 0 else math.inf
    if math.isfinite(ratio):
        return 1 - ratio
    return 1.0 if residual == 0 else 0.0

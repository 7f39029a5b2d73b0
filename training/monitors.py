"""Figures of a curve that something follows: early stopping, the kept weights, a schedule. No torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Monitor = Literal["val_loss", "val_accuracy", "val_rmse", "val_r2"]
"""Losses and RMSE improve downwards, accuracy and R2 upwards. Accuracy needs classes, RMSE and R2 need numbers."""
_RISING = {"accuracy", "r2"}


def gap_sign(metric: str) -> int:
    """Give what `train - val` of a metric is multiplied with, so that every gap is positive where rows that were not trained on do worse."""
    return 1 if metric in _RISING else -1


def rises(monitor: Monitor) -> bool:
    """Tell whether larger is better."""
    return monitor.removeprefix("val_") in _RISING


def monitored(monitor: Monitor, val_loss: float | None, val_metrics: Mapping[str, float]) -> float | None:
    """Read the monitor's value from an epoch's figures; None without validation rows."""
    if monitor == "val_loss":
        return val_loss
    return val_metrics.get(monitor.removeprefix("val_"))


@dataclass
class Progress:
    """The best epoch so far, and how many have passed since.

    An epoch is the new best if it beats the best by more than `min_delta` (absolute, strict); epoch 0 is the first best.
    A value that is not finite is never an improvement.
    """

    monitor: Monitor
    min_delta: float = 0.0
    best_epoch: int | None = None
    best_value: float = math.nan
    bad_epochs: int = 0

    def see(self, epoch: int, value: float) -> bool:
        """Take one epoch's value; tell whether it is the new best."""
        if self._improves(value):
            self.best_epoch, self.best_value, self.bad_epochs = epoch, value, 0
            return True
        self.bad_epochs += 1
        return False

    def _improves(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        if self.best_epoch is None:
            return True
        if rises(self.monitor):
            return value > self.best_value + self.min_delta
        return value < self.best_value - self.min_delta

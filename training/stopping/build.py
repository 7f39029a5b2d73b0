"""The best epoch so far, and when to stop looking for a better one."""

import math
from dataclasses import dataclass, field

from training.records import EpochRecord
from training.stopping.spec import EarlyStoppingSpec, Monitor


@dataclass
class Stopper:
    """Follows one fit's monitor. Without a spec it only remembers the best `val_loss` and never stops.

    An epoch is the new best if it beats the best by more than `min_delta` (absolute, strict); epoch 0 is the first best.
    A value that is not finite is never an improvement.
    """

    spec: EarlyStoppingSpec | None
    best_epoch: int | None = None
    best_value: float = field(default=math.nan)
    bad_epochs: int = 0

    @property
    def monitor(self) -> Monitor:
        """Name what is followed."""
        return "val_loss" if self.spec is None else self.spec.monitor

    def see(self, epoch: int, value: float) -> bool:
        """Take one epoch's value; tell whether it is the new best."""
        if self._improves(value):
            self.best_epoch, self.best_value, self.bad_epochs = epoch, value, 0
            return True
        self.bad_epochs += 1
        return False

    @property
    def is_out_of_patience(self) -> bool:
        """Tell whether the fit stops now."""
        return self.spec is not None and self.bad_epochs >= self.spec.patience

    def _improves(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        if self.best_epoch is None:
            return True
        min_delta = 0.0 if self.spec is None else self.spec.min_delta
        if rises(self.monitor):
            return value > self.best_value + min_delta
        return value < self.best_value - min_delta


def rises(monitor: Monitor) -> bool:
    """Tell whether larger is better."""
    return monitor in {"val_accuracy", "val_r2"}


def monitored(record: EpochRecord, monitor: Monitor) -> float | None:
    """Read the monitor's value from an epoch's record; None without validation rows."""
    if monitor == "val_loss":
        return record.val_loss
    return record.val_metrics.get(monitor.removeprefix("val_"))

"""When to stop looking for a better epoch."""

from dataclasses import dataclass, field

from training.monitors import Monitor, Progress
from training.stopping.spec import EarlyStoppingSpec


@dataclass
class Stopper:
    """Follows one fit's monitor. Without a spec it only remembers the best `val_loss` and never stops."""

    spec: EarlyStoppingSpec | None
    progress: Progress = field(init=False)

    def __post_init__(self) -> None:
        """Start before epoch 0."""
        self.progress = Progress("val_loss") if self.spec is None else Progress(self.spec.monitor, self.spec.min_delta)

    @property
    def monitor(self) -> Monitor:
        """Name what is followed."""
        return self.progress.monitor

    @property
    def best_epoch(self) -> int | None:
        """Give the best epoch so far."""
        return self.progress.best_epoch

    def see(self, epoch: int, value: float) -> bool:
        """Take one epoch's value; tell whether it is the new best."""
        return self.progress.see(epoch, value)

    @property
    def is_out_of_patience(self) -> bool:
        """Tell whether the fit stops now."""
        return self.spec is not None and self.progress.bad_epochs >= self.spec.patience

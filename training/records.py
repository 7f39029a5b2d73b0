"""What goes into the training core and what comes out of it. Plain frozen values; no torch."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import numpy as np

from training.spec import FitSpec

Task = Literal["classification", "regression"]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Prepared rows of one split: `x` [n, *input_shape] float, `y` [n] int64 class index or float (standardised units)."""

    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True, kw_only=True)
class FitData:
    """What one fit learns from. `target_scale` turns standardised regression residuals into original units.

    `channel_units` are the mean and scale of each channel that take standardised images back to [0, 1], where they are
    augmented; None for inputs that are augmented as they are. `class_labels` name the classes. `weights` [n] of mean 1 weigh
    training rows in the objective. `asked` [m, *input_shape] are prepared rows whose outputs belong to the outcome.
    """

    task: Task
    num_outputs: int
    train: Rows
    val: Rows | None
    test: Rows | None
    target_scale: float = 1.0
    channel_units: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    class_labels: tuple[str, ...] | None = None
    weights: np.ndarray | None = None
    asked: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Fit:
    """One network to be trained once: from one seed, on one set of rows.

    `stop_at` ends it after that epoch, as if it were the last one, without changing its schedule. `pause_at` leaves it
    unfinished after that epoch, to be gone on with from a checkpoint. `keeps_checkpoint`: where it ends with epochs left to
    come, had there been more of them or more time, its outcome has what it could be gone on with from.
    """

    number: int
    seed: int
    spec: FitSpec
    data: FitData
    stop_at: int | None = None
    pause_at: int | None = None
    keeps_checkpoint: bool = False


class StopReason(StrEnum):
    """Why a fit ended."""

    MAX_EPOCHS = "max_epochs"
    EARLY_STOPPING = "early_stopping"
    DIVERGED = "diverged"
    CANCELLED = "cancelled"
    TIME_LIMIT = "time_limit"
    PAUSED = "paused"


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """One row of a curve: epoch 0 is the network before any update. Evaluation mode, weights at the epoch's end.

    `train_metrics`/`val_metrics`: accuracy, or rmse and r2. `objective` and `learning_rate` are None at epoch 0.
    `steps`: optimizer updates of this epoch. `seconds`: wall time of this epoch, evaluation included.
    """

    fit: int
    epoch: int
    train_loss: float
    val_loss: float | None
    train_metrics: dict[str, float]
    val_metrics: dict[str, float]
    objective: float | None
    learning_rate: float | None
    seconds: float
    steps: int


@dataclass(frozen=True, kw_only=True)
class FitOutcome:
    """How a fit ended. `weights` are the kept ones (name -> array), `evaluation` their JSON-ready final figures.

    `outputs` are what they say of the rows asked for: class probabilities [m, K], or numbers [m, 1] in standardised units.
    A paused fit has neither; `figures` are those of its best epoch so far. `checkpoint` is what it goes on from, or what an
    ended fit that keeps it could go on from after `last_epoch`.
    """

    fit: int
    status: Literal["finished", "diverged", "cancelled", "paused"]
    stop_reason: StopReason
    best_epoch: int | None
    last_epoch: int | None
    kept_epoch: int | None
    weights: dict[str, np.ndarray] | None
    evaluation: dict[str, Any] | None
    message: str | None = None
    outputs: np.ndarray | None = None
    figures: dict[str, float] | None = None
    checkpoint: bytes | None = None


TrainingEvent = EpochRecord | FitOutcome

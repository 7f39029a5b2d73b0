"""What the plan `fit` concludes with."""

from typing import Any, Literal

from pydantic import Field

from jobs.plans.divided import PooledFigures
from jobs.plans.results import DivisionSummary, Interval, Result, Spread


class FitPlanResult(Result):
    """Scores of every division and, where one network is left to use, its final evaluation: `fit` and all fields below it.

    With several divisions that network is the refitted one; without refit there is none, and these fields are null.
    """

    plan: Literal["fit"]
    divisions: list[DivisionSummary]
    summary: dict[str, Spread] = Field(
        description="Each figure (train_loss, val_accuracy, generalization_gap, ...) over the divisions' fits, not the refit."
    )
    pooled: PooledFigures | None = Field(
        None,
        description="Out-of-fold scores over all rows that were validated; of several repeats each row counts by its mean. null for one division.",
    )
    worst_fit: int | None = Field(None, description="Number of the fit with the highest validation loss; null for one division.")
    refit_epochs: int | None = Field(None, description="Epochs of the refit: the median best epoch.")
    fit: int | None = Field(description="Number of the fit whose network is kept for use, and evaluated here.")
    kept_epoch: int | None = None
    train: dict[str, Any] | None = Field(None, description="Final figures on all training rows, with 95 % bootstrap intervals.")
    val: dict[str, Any] | None = Field(None, description="The same on the validation rows; null after a refit, which has none.")
    test: dict[str, Any] | None = Field(None, description="The same on the test rows, measured this once.")
    generalization_gap: Interval | None = Field(None, description="val_loss - train_loss.")
    accuracy_gap: Interval | None = Field(None, description="train_accuracy - val_accuracy.")
    rmse_gap: Interval | None = Field(None, description="val_rmse - train_rmse: as every gap, positive where validation is worse.")
    r2_gap: Interval | None = Field(None, description="train_r2 - val_r2.")
    test_gap: Interval | None = Field(None, description="test_loss - train_loss.")
    sharpness: dict[str, Any] | None = Field(None, description="How flat the minimum is, where evaluation.sharpness asked.")
    train_rows_per_epoch: int | None = None
    resamples: int | None = None

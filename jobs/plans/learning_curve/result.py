"""What the plan `learning_curve` concludes with."""

from typing import Literal

from pydantic import Field

from jobs.plans.results import DivisionSummary, Interval, Part, Result, Spread


class LearningCurvePoint(Part):
    """One share of the training rows."""

    fraction: float
    num_rows: list[int] = Field(description="Training rows, division by division.")
    mean_rows: float
    fits: list[int] = Field(description="Numbers of its fits, one for each division: their figures are in `fits` of the result.")
    val_loss: Interval | None = Field(
        description="Mean over divisions, with the t interval of that mean; for one division, its bootstrap interval over validation rows."
    )
    summary: dict[str, Spread] = Field(description="Each figure over divisions; {} where a fit did not finish.")
    why: str | None = Field(description="Why it has no figures.")


class LearningCurveResult(Result):
    """Figures against training rows."""

    plan: Literal["learning_curve"]
    divisions: list[DivisionSummary]
    points: list[LearningCurvePoint] = Field(description="Fewest rows first.")
    last_change: Interval | None = Field(
        description="Validation loss of the last point with figures minus that of the one before, with a paired bootstrap interval over validation rows; null where there is one such point, or a single row was validated."
    )
    would_more_rows_help: bool | None = Field(
        description="Whether the loss still falls there by more than its interval; null where it has none."
    )

"""What the plan `comparison` concludes with."""

from typing import Any, Literal

from pydantic import Field

from jobs.plans.results import DivisionSummary, Interval, Part, Result, Spread


class VariantResult(Part):
    """One variant: its place in the ranking, its figures, and how far it is from the best."""

    rank: int | None = Field(
        description="1 is the lowest mean validation loss; equal losses in the order of the spec. null: a fit did not finish."
    )
    label: str
    set: dict[str, Any]
    fits: list[int] = Field(description="Numbers of its fits, one for each division: their figures are in `fits` of the result.")
    val_loss: Interval | None = Field(
        description="Mean over divisions, with the t interval of that mean; for one division, its bootstrap interval over validation rows."
    )
    summary: dict[str, Spread] = Field(description="Each figure over divisions; {} where a fit did not finish.")
    difference: Interval | None = Field(
        description="Mean validation loss minus that of the best, with a paired bootstrap interval over validation rows (not corrected for the number of variants). null for the best, and where a single row was validated."
    )
    is_distinguishable: bool | None = Field(
        description="Whether that interval leaves out 0; false where a single row was validated, null for the best."
    )
    why: str | None = Field(description="Why it is not ranked.")


class ComparisonResult(Result):
    """Variants in the order of their ranking."""

    plan: Literal["comparison"]
    divisions: list[DivisionSummary]
    best: str = Field(description="Label of the variant with the lowest mean validation loss.")
    variants: list[VariantResult] = Field(description="Best first; what did not finish is last.")

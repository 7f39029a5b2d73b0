"""What boosting concludes."""

from typing import Literal

from pydantic import Field

from jobs.plans.results import Figures, Interval, Part, Result

Ended = Literal["all_rounds", "no_error", "no_better_than_chance", "member_did_not_finish"]


class BoostingRound(Part):
    """One member, and the ensemble with it. Figures are accuracy for classes, or loss, rmse and r2."""

    round: int
    fit: int
    error: float | None = Field(description="Weighted error e of the member on the training rows; null if it did not finish.")
    alpha: float | None = Field(description="Its vote; null for a member that was dropped.")
    largest_weight: float = Field(description="Largest weight of a training row in this member's objective; the mean is 1.")
    effective_rows: float = Field(description="(sum of weights)^2 / sum of squared weights: n for equal weights (Kish 1965).")
    member_train: Figures | None = Field(description="The member alone on the training rows, unweighted.")
    member_val: Figures | None
    train: Figures | None = Field(description="The ensemble after this round, on the training rows; null for a member that was dropped.")
    val: Figures | None


class BoostingResult(Result):
    """A weighted vote of members. Classes have no loss: a class without votes would make it infinite."""

    plan: Literal["boosting"] = "boosting"
    algorithm: Literal["SAMME", "AdaBoost.R2"]
    num_classes: int | None = Field(description="K: classes present in the training rows; null for numbers.")
    ended: Ended = Field(
        description="all_rounds: as many members as asked for. no_error: the last member made none. no_better_than_chance: the last member did not, and is dropped, or kept alone with alpha 1 if it is the only one. member_did_not_finish: the last member diverged or failed, and is left out."
    )
    rounds: list[BoostingRound]
    train: dict[str, Interval] = Field(description="The ensemble on the training rows.")
    val: dict[str, Interval] | None
    test: dict[str, Interval] | None = Field(description="Measured once, by the ensemble.")
    test_rows: int | None = Field(None, description="How many test rows that are; null in results of before it was kept.")

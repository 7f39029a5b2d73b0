"""What bagging concludes."""

from typing import Literal

from pydantic import Field

from jobs.plans.results import Figures, Interval, Part, Result


class OutOfBagVote(Part):
    """How the members do on training rows: each row is answered by the vote of those members alone that did not draw it."""

    rows: int = Field(description="Training rows that at least one finished member did not draw: only these enter.")
    coverage: float = Field(description="Their share of all training rows.")
    figures: dict[str, Interval] | None = Field(description="Of the vote over those rows; null where no row has a vote.")


class EnsembleStanding(Part):
    """One line of the table of the ensemble against its members. `fit` is null for the ensemble."""

    label: str
    fit: int | None
    val: Figures | None
    test: Figures | None


class EnsembleCurvePoint(Part):
    """The vote of the first `members` members."""

    members: int
    val: Figures


class BaggingResult(Result):
    """An ensemble and its members. Figures are loss and accuracy, or loss, rmse and r2; of a hard vote there is no loss.

    The loss of an ensemble is that of the averaged answer, not the mean of its members' losses.
    """

    plan: Literal["bagging"] = "bagging"
    vote: Literal["soft", "hard", "mean"]
    left_out: list[int] = Field(description="Numbers of fits that did not finish and have no vote.")
    val: dict[str, Interval] | None = Field(description="The ensemble on the validation rows.")
    test: dict[str, Interval] | None = Field(description="The ensemble on the test rows, measured once.")
    test_rows: int | None = Field(None, description="How many test rows that are; null in results of before it was kept.")
    mean_member: dict[Literal["val", "test"], Figures | None] = Field(description="Members' figures, averaged.")
    loss_gain: dict[Literal["val", "test"], Interval | None] = Field(
        description="The mean member's loss minus the ensemble's, over the same rows; above 0 the vote helps. null for hard votes."
    )
    disagreement: float | None = Field(
        description="Validation rows, or else test rows: the mean share on which two members name different classes; for numbers the ambiguity, members' mean squared distance from their mean, which is the mean member's loss minus the ensemble's (Krogh & Vedelsby 1995). null for one member or no rows."
    )
    out_of_bag: OutOfBagVote | None = Field(
        description="Of rows out of the bootstrap's bags. null without bootstrap. Rows are drawn one by one: where rows come in groups, what is out of the bag may be close to what is in it."
    )
    not_drawn: OutOfBagVote | None = Field(description="The same for draws without replacement (bootstrap: false); else null.")
    standings: list[EnsembleStanding] = Field(description="The ensemble, then its members.")
    curve: list[EnsembleCurvePoint] = Field(
        description="Validation figures of the first 1, 2, ... finished members. Empty without validation rows."
    )

"""The plan `bagging`: members on samples of the training rows, and their vote."""

from typing import Annotated, Literal

from pydantic import Field

from models.closed import Spec


class BaggingPlanSpec(Spec):
    """Bootstrap aggregating (Breiman 1996): every member is trained on its own draw of the training rows, then all vote.

    Members have seeds of their own, derived from the job's. Rows that a member did not draw measure it: the out-of-bag score
    needs no validation rows. Needs one division of the rows; one member must finish, others are named and left out.
    """

    name: Literal["bagging"]
    members: Annotated[int, Field(ge=2, le=1000, description="Networks M, each trained once.")] = 10
    vote: Literal["soft", "hard"] | None = Field(
        None,
        description="soft averages class probabilities; hard counts the classes that members name, ties to the lowest, and has no loss. Classes only; null: soft for classes, the mean for numbers.",
    )
    sample_fraction: Annotated[
        float, Field(gt=0, le=1, description="Rows that each member draws, as a share of the training rows, to the nearest row.")
    ] = 1.0
    bootstrap: bool = Field(
        default=True,
        description="Draw with replacement: of n draws from n rows a share of 1 - (1 - 1/n)^n is distinct, about 0.632. false draws without (Breiman 1999) and needs a sample_fraction below 1: members with all rows would differ by their seed alone.",
    )

"""The plan `learning_curve`."""

from typing import Annotated, Literal

from pydantic import Field

from models.closed import Lax, Spec

Share = Annotated[float, Field(gt=0, le=1)]


class LearningCurvePlanSpec(Spec):
    """The same spec on growing parts of each division's training rows, measured on the same validation rows (Cortes et al. 1993).

    Each part contains the smaller ones. Rows are drawn by the seed, class shares kept; where rows are in order of time, the latest.
    """

    name: Literal["learning_curve"]
    fractions: Annotated[
        tuple[Share, ...],
        Lax,
        Field(
            min_length=2,
            max_length=20,
            description="Shares of the training rows, ascending; to the nearest whole row, halves up. 1 is all training rows, as the plan fit has them.",
        ),
    ] = (0.1, 0.2, 0.4, 0.7, 1.0)

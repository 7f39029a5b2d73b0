"""Rows in, predictions out."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api.views.base import View
from models.closed import Spec

Values = list[Any]


class PredictionRequest(Spec):
    """Raw rows, as they were in the dataset that the model was trained on."""

    rows: Annotated[
        list[dict[str, Any] | Values],
        Field(
            min_length=1,
            examples=[[{"petal length (cm)": 1.4, "petal width (cm)": 0.2, "sepal length (cm)": 5.1, "sepal width (cm)": 3.5}]],
            description="Tables: an object by column name, or a list in the columns' order; null or absent is missing. Signals, images, volumes: nested lists of the dataset's input_shape, in its raw units.",
        ),
    ]


class AnsweredBy(View):
    """Which fits answered, and how they voted."""

    fits: list[int]
    vote: Literal["soft", "hard", "mean", "median"] | None = Field(
        description="soft: mean of class probabilities; hard: share of members that name a class (ties: the lowest class); mean, median: of numbers; members may weigh differently. null for one fit."
    )


class MemberPredictions(View):
    """What one member of an ensemble says."""

    fit: int
    epoch: int
    predictions: list[str] | list[float]


class PredictionView(View):
    """What a kept model says of rows, in their order."""

    fit: int | None = Field(None, description="The fit that answered; null for an ensemble.")
    epoch: int | None = Field(None, description="The epoch whose weights answered; null for an ensemble.")
    model: AnsweredBy
    target: str
    unit: str | None
    predictions: list[str] | list[float] = Field(description="Class labels, or numbers in original units.")
    labels: list[str] | None = Field(description="Classes in the order of `probabilities`; null for numbers.")
    probabilities: list[list[float]] | None = Field(
        description="Of each class, for each row; of a hard vote the classes' shares of the votes. null for numbers."
    )
    agreement: list[float] | None = Field(
        None, description="Ensembles: for each row the share of members, all alike, that name the class predicted. null for numbers."
    )
    spread: list[float] | None = Field(
        None,
        description="Ensembles: for each row the standard deviation (n - 1) of the members' numbers, in original units. null for classes.",
    )
    members: list[MemberPredictions] | None = Field(None, description="Ensembles, where `members=true` asks: what each says.")
    warnings: list[str]

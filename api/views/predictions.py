"""Rows in, predictions out."""

from typing import Annotated, Any

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


class PredictionView(View):
    """What a kept model says of rows, in their order."""

    fit: int
    epoch: int = Field(description="The epoch whose weights answered.")
    target: str
    unit: str | None
    predictions: list[str] | list[float] = Field(description="Class labels, or numbers in original units.")
    labels: list[str] | None = Field(description="Classes in the order of `probabilities`; null for numbers.")
    probabilities: list[list[float]] | None = Field(description="Of each class, for each row; null for numbers.")
    warnings: list[str]

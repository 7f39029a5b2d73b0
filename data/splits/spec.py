"""How rows are divided into training, validation and test."""

from typing import Annotated, Literal

from pydantic import Field

from models.closed import Spec

Fraction = Annotated[float, Field(ge=0, lt=1)]


By = Annotated[
    Literal["rows", "group", "time"] | None,
    Field(
        description="What is held out. rows: single rows. group: whole groups of the dataset's group column, so that none is on both sides; fractions are then of all groups. time: the latest rows by the dataset's time column, equal times on one side. null: time or group where the dataset has such a column and rows are shuffled, else rows."
    ),
]


class HoldoutSpec(Spec):
    """One division. Fractions are of all n rows, to the nearest whole row, halves up; training is the rest."""

    name: Literal["holdout"]
    val_fraction: Annotated[Fraction, Field(description="Share of all rows held out to measure every epoch; 0 is no validation.")] = 0.3
    test_fraction: Annotated[Fraction, Field(description="Share of all rows set aside and measured exactly once, at the end.")] = 0.0
    shuffle: Annotated[bool, Field(description="Order by the seed before cutting; false keeps file order: train, validation, test.")] = True
    stratify: Annotated[
        bool | None, Field(description="Keep class shares in every part. null: yes for shuffled rows of classes, no otherwise.")
    ] = None
    by: By = None


class PredefinedSpec(Spec):
    """The dataset's own division: its test rows are measured exactly once, at the end; its training rows are trained on.

    A dataset without validation rows of its own has `val_fraction` of them drawn from its training rows, by the seed,
    classes stratified; by group or time as in holdout.
    """

    name: Literal["predefined"]
    val_fraction: Annotated[
        Fraction, Field(description="Share of all rows drawn from the training rows for validation; 0 is no validation.")
    ] = 0.1
    by: By = None


SplitSpec = Annotated[HoldoutSpec | PredefinedSpec, Field(discriminator="name")]

"""How rows are divided into training, validation and test."""

from typing import Annotated, Literal

from pydantic import Field

from models.closed import Spec

Fraction = Annotated[float, Field(ge=0, lt=1)]
FoldBy = Literal["random", "stratified", "group", "stratified_group", "cluster", "each_group"]


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


class KFoldSpec(Spec):
    """Every row is validated once: k folds, each held out while the others are trained on (Stone 1974)."""

    name: Literal["k_fold"]
    folds: Annotated[int, Field(ge=2, le=100)] | None = Field(
        None, description="Parts the rows are divided into; null: 5, or with each_group as many as there are groups."
    )
    by: FoldBy | None = Field(
        None,
        description="random: rows drawn by the seed, sizes differ by at most 1. stratified: class shares kept in every fold. group: no group of the dataset's group column on both sides. stratified_group: the same with class shares as equal as groups allow. cluster: groups are k-means clusters of the features of all rows that are not test rows. each_group: every group is a fold of its own. null: group where the dataset has groups and rows are shuffled, else stratified for classes, random for numbers.",
    )
    repeats: Annotated[
        int, Field(ge=1, le=20, description="Times the rows are divided anew, each by a seed of its own; clusters stay what they are.")
    ] = 1
    clusters: Annotated[int, Field(ge=2, le=1000)] | None = Field(
        None, description="Clusters of by: cluster, at least as many as folds; null: three times as many as folds."
    )
    shuffle: Annotated[
        bool, Field(description="Draw folds by the seed; false cuts rows in file order, which only random and stratified can.")
    ] = True
    test_fraction: Annotated[
        Fraction,
        Field(
            description="Share set aside first, measured by the refitted model alone: of all groups where folds are made of groups, else of all rows; stratified where folds are of single rows and stratified."
        ),
    ] = 0.0


class TimeSeriesSpec(Spec):
    """Validation rows come after the training rows, fold by fold: rows are in order of the dataset's time column, or else of the file (Tashman 2000).

    A training row of the same time as a fold's first validation row is left out of that fold.
    """

    name: Literal["time_series"]
    folds: Annotated[int, Field(ge=1, le=100, description="Validation blocks, one after another, at the end.")] = 5
    window: Annotated[
        Literal["expanding", "sliding"], Field(description="expanding: all rows before the gap; sliding: the latest window_rows of them.")
    ] = "expanding"
    window_rows: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Training rows of a sliding window, at most; null: as many as the first fold has."
    )
    val_rows: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Rows of each validation block; null: n // (folds + 1), where n are the rows without test rows."
    )
    gap_rows: Annotated[int, Field(ge=0, description="Rows left out between training and validation.")] = 0
    test_fraction: Annotated[Fraction, Field(description="Share of all rows, the latest, set aside first.")] = 0.0


SplitSpec = Annotated[HoldoutSpec | PredefinedSpec | KFoldSpec | TimeSeriesSpec, Field(discriminator="name")]

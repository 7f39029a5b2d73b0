"""How rows are prepared inside a fit; everything learned is learned from its training rows."""

from typing import Annotated, Literal

from pydantic import Field

from models.closed import Lax, Spec

Side = Annotated[int, Field(ge=1, le=4096)]


class PreprocessingSpec(Spec):
    """Preparation of features and target."""

    features: Annotated[
        Literal["standardize", "min_max", "none"],
        Field(
            description="standardize: mean 0, population standard deviation 1; min_max: smallest value 0, largest 1; per column of a table or per channel of a signal, image or volume (images scaled to [0, 1] first). A constant column gets scale 1. One-hot columns stay 0 and 1."
        ),
    ] = "standardize"
    categories: Annotated[
        Literal["one_hot", "ordinal"],
        Field(
            description="Words in tables. one_hot: a column of 0 and 1 for each word met in the training rows, and one for all others (unknown); ordinal: its place in alphabetical order (of words that are numbers, by size), unknown -1, then as a number."
        ),
    ] = "one_hot"
    missing: Annotated[
        Literal["reject", "median", "most_frequent", "indicator"],
        Field(
            description="Missing values in tables. reject: none is accepted; median: the median of the training rows, the most frequent word; most_frequent: the most frequent value; indicator: as median, with a column of 0 and 1 for each numeric column that lacks values in the training rows, and a missing word is unknown."
        ),
    ] = "reject"
    resize: Annotated[
        Annotated[tuple[Side, Side], Lax] | None,
        Field(description="Images: [height, width] they are brought to (bilinear, antialiased); null leaves their size."),
    ] = None
    target: Annotated[
        Literal["standardize", "none"],
        Field(
            description="Regression only: the target is standardised for training; losses are reported in original units. Classes ignore it."
        ),
    ] = "standardize"

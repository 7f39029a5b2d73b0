"""How rows are prepared inside a fit; everything learned is learned from its training rows."""

from typing import Annotated, Literal

from pydantic import Field

from models.closed import Spec


class PreprocessingSpec(Spec):
    """Preparation of features and target."""

    features: Annotated[
        Literal["standardize", "none"],
        Field(
            description="standardize: mean 0, population standard deviation 1, per column of a table or per channel of an image (scaled to [0, 1] first); a constant column gets scale 1."
        ),
    ] = "standardize"
    target: Annotated[
        Literal["standardize", "none"],
        Field(
            description="Regression only: the target is standardised for training; losses are reported in original units. Classes ignore it."
        ),
    ] = "standardize"
    missing: Literal["reject"] = "reject"

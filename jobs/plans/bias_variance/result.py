"""What bias_variance concludes."""

from typing import Annotated, Any, Literal

from pydantic import Field

from jobs.plans.results import Part, Result, Spread


class SquaredTerms(Part):
    """Terms of the mean squared error, in squared units of the target: error = variance + bias_squared_plus_noise.

    Where the noiseless target is known also bias_squared_plus_noise = bias_squared + noise + cross_term; the cross term
    vanishes over many rows.
    """

    loss: Literal["squared_error"] = "squared_error"
    error: float
    variance: float
    bias_squared_plus_noise: float
    bias_squared: float | None = Field(None, description="null where the noiseless target is not known.")
    noise: float | None = None
    cross_term: float | None = None


class ZeroOneTerms(Part):
    """Terms of the mean 0-1 loss (Domingos 2000): error = bias + variance_unbiased - variance_biased.

    Noise is not known and taken as 0: it is part of the bias.
    """

    loss: Literal["zero_one"] = "zero_one"
    error: float
    bias: float = Field(description="Share of rows whose main prediction, the class named most often, is wrong.")
    variance: float = Field(description="How often a prediction is not the main one.")
    variance_unbiased: float = Field(description="The same where the main prediction is right: it adds to the error.")
    variance_biased: float = Field(
        description="How often a prediction is right where the main one is wrong: it takes from the error. With two classes, all of the variance there."
    )


class AnswerBand(Part):
    """Answers over one feature: at most 200 validation rows in order of x, evenly chosen. `truth` is null where it is not known."""

    x: list[float]
    y: list[float]
    mean: list[float]
    std: list[float] = Field(description="Standard deviation over resamples (divided by R).")
    truth: list[float] | None


class BiasVariancePoint(Part):
    """One value of the axis."""

    label: str
    value: Any = Field(description="As sent; null without an axis.")
    num_parameters: int = Field(description="Parameters of the network on the first resample.")
    terms: Annotated[SquaredTerms | ZeroOneTerms, Field(discriminator="loss")]
    fit_errors: Spread = Field(description="The same loss of each fit on the validation rows, over resamples.")
    band: AnswerBand | None = Field(description="Regression on a single feature; else null.")


class BiasVarianceResult(Result):
    """Terms of the error on the validation rows, along the axis."""

    plan: Literal["bias_variance"] = "bias_variance"
    resamples: int
    evaluation_rows: int
    axis: str | None = Field(description="The pointer that was varied.")
    points: list[BiasVariancePoint]
    best: int = Field(description="Index into points of the least error, the first of equals.")

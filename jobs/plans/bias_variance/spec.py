"""The plan `bias_variance`: how far networks are off on average, and how far they scatter."""

from typing import Annotated, Any, Literal

from pydantic import Field

from models.closed import Lax, Spec, Text


class AxisValuesSpec(Spec):
    """Values of one setting, from simple to flexible."""

    values: Annotated[
        tuple[Any, ...],
        Lax,
        Field(min_length=2, max_length=50, description="Each replaces what the pointer names, in the order of the result."),
    ]


class BiasVariancePlanSpec(Spec):
    """Bias and variance: R networks on R bootstrap samples of the training rows, measured on one set of validation rows (Geman et al. 1992).

    Numbers: with f a network's answer and f_mean the mean of R answers, variance = mean (f - f_mean)^2 and
    bias_squared_plus_noise = mean (y - f_mean)^2 add up to the mean squared error. Where the noiseless target is known
    (generated datasets), bias squared, noise and their cross term are told apart. Classes: the decomposition of the 0-1 loss
    by Domingos (2000). Resamples have seeds of their own, so variance includes that of the initial weights.

    The validation rows choose nothing: the last epoch's weights are kept (training.kept_weights is set to last), and early
    stopping and schedules that follow them are refused. Every fit must finish. Leaves no model.
    """

    name: Literal["bias_variance"]
    resamples: Annotated[
        int,
        Field(
            ge=2,
            le=1000,
            description="Bootstrap samples R; one fit each, for every value of the axis. A finite R lowers variance, and raises bias, by variance / R.",
        ),
    ] = 20
    axis: Annotated[dict[Text, AxisValuesSpec], Field(min_length=1, max_length=1)] | None = Field(
        None,
        description='One JSON pointer and its values, the axis of complexity: {"/network/hidden_units": {"values": [[1], [8], [64]]}}. All values share the R samples and seeds. null: the spec as it is.',
    )

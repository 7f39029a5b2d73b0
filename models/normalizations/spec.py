"""Normalizations that may be asked for. All compute y = gamma * (x - mean) / sqrt(var + epsilon) + beta; they differ in what the mean is over."""

from typing import Annotated, Literal

from pydantic import Field

from models.closed import Spec

Epsilon = Annotated[float, Field(gt=0, le=1, description="Added to the variance before the square root.")]


class BatchNormSpec(Spec):
    """Mean and biased variance of each feature (or channel, over all positions) over the rows of a batch (Ioffe & Szegedy 2015).

    Evaluation uses running statistics: new = (1 - momentum) * old + momentum * batch, with the unbiased variance.
    """

    name: Literal["batch_norm"]
    momentum: Annotated[float, Field(gt=0, le=1, description="Weight of the newest batch in the running statistics.")] = 0.1
    epsilon: Epsilon = 1e-5


class LayerNormSpec(Spec):
    """Mean and variance over the features (all channels and positions) of each row alone (Ba et al. 2016)."""

    name: Literal["layer_norm"]
    epsilon: Epsilon = 1e-5


class InstanceNormSpec(Spec):
    """Mean and variance over the positions of each channel of each row alone (Ulyanov et al. 2016), with a scale and shift per channel.

    Convolutional blocks only: a dense layer has no positions, so the hidden dense layers of a cnn stay without, and an mlp is refused.
    """

    name: Literal["instance_norm"]
    epsilon: Epsilon = 1e-5


class GroupNormSpec(Spec):
    """Mean and variance over each group of channels (and all positions) of each row alone (Wu & He 2018)."""

    name: Literal["group_norm"]
    groups: Annotated[
        int,
        Field(ge=1, le=16_384, description="Groups of consecutive channels; must divide the channels (and hidden units) of every layer."),
    ] = 8
    epsilon: Epsilon = 1e-5


NormalizationSpec = Annotated[BatchNormSpec | LayerNormSpec | InstanceNormSpec | GroupNormSpec, Field(discriminator="name")]


def normalizes(spec: NormalizationSpec | None, shape: tuple[int, ...]) -> bool:
    """Tell whether layers with outputs of `shape` ([F] or [C, *axes]) are normalized: instance norm passes dense layers by."""
    return spec is not None and not (isinstance(spec, InstanceNormSpec) and len(shape) == 1)

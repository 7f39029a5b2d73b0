"""Normalizations that may be asked for."""

from typing import Annotated, Literal

from pydantic import Field

from models.closed import Spec

Epsilon = Annotated[float, Field(gt=0, le=1, description="Added to the variance before the square root.")]


class BatchNormSpec(Spec):
    """y = gamma * (x - mean) / sqrt(var + epsilon) + beta, mean and biased var over the batch (Ioffe & Szegedy 2015).

    Evaluation uses running statistics: new = (1 - momentum) * old + momentum * batch, with the unbiased variance.
    """

    name: Literal["batch_norm"]
    momentum: Annotated[float, Field(gt=0, le=1, description="Weight of the newest batch in the running statistics.")] = 0.1
    epsilon: Epsilon = 1e-5


class LayerNormSpec(Spec):
    """The same formula over the features (all channels and positions) of each row alone (Ba et al. 2016)."""

    name: Literal["layer_norm"]
    epsilon: Epsilon = 1e-5


NormalizationSpec = Annotated[BatchNormSpec | LayerNormSpec, Field(discriminator="name")]

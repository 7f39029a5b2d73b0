"""Optimizers that may be asked for. g is the gradient, w a weight, eta the learning rate."""

from typing import Annotated, Literal

from pydantic import Field

from models.closed import Spec

LearningRate = Annotated[float, Field(ge=0, description="Step size eta; 0 is allowed: the weights then never move.")]
Decay = Annotated[float, Field(ge=0, lt=1)]


class SgdSpec(Spec):
    """w <- w - eta * g (Robbins & Monro 1951). The batch size decides full-batch, stochastic or mini-batch descent."""

    name: Literal["sgd"]
    learning_rate: LearningRate = 0.01


class MomentumSpec(Spec):
    """a <- momentum * a + g; w <- w - eta * a (Polyak 1964)."""

    name: Literal["momentum"]
    learning_rate: LearningRate = 0.01
    momentum: Annotated[Decay, Field(description="Share of the previous step that is kept.")] = 0.9


class AdamSpec(Spec):
    """Bias-corrected first and second moments (Kingma & Ba 2015).

    m <- beta1 * m + (1 - beta1) * g; v <- beta2 * v + (1 - beta2) * g^2;
    w <- w - eta * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon).
    """

    name: Literal["adam"]
    learning_rate: LearningRate = 0.001
    beta1: Decay = 0.9
    beta2: Decay = 0.999
    epsilon: Annotated[float, Field(gt=0, le=1)] = 1e-8


OptimizerSpec = Annotated[SgdSpec | MomentumSpec | AdamSpec, Field(discriminator="name")]

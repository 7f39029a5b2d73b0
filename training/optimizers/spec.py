"""Optimizers that may be asked for. g is the gradient, w a weight, eta the learning rate."""

from typing import Annotated, Literal

from pydantic import Field

from models.closed import Spec

LearningRate = Annotated[float, Field(ge=0, description="Step size eta; 0 is allowed: the weights then never move.")]
Decay = Annotated[float, Field(ge=0, lt=1)]
Epsilon = Annotated[float, Field(gt=0, le=1, description="Keeps the denominator away from 0.")]


class SgdSpec(Spec):
    """w <- w - eta * g (Robbins & Monro 1951). The batch size decides full-batch, stochastic or mini-batch descent."""

    name: Literal["sgd"]
    learning_rate: LearningRate = 0.01


class MomentumSpec(Spec):
    """a <- momentum * a + g; w <- w - eta * a (Polyak 1964)."""

    name: Literal["momentum"]
    learning_rate: LearningRate = 0.01
    momentum: Annotated[Decay, Field(description="Share of the previous step that is kept.")] = 0.9


class NagSpec(Spec):
    """a <- momentum * a + g; w <- w - eta * (g + momentum * a) (Nesterov 1983, in the form of Sutskever et al. 2013 that PyTorch uses)."""

    name: Literal["nag"]
    learning_rate: LearningRate = 0.01
    momentum: Annotated[float, Field(gt=0, lt=1, description="Share of the previous step that is kept; with 0 it would be sgd.")] = 0.9


class AdagradSpec(Spec):
    """G <- G + g^2; w <- w - eta * g / (sqrt(G) + epsilon) (Duchi et al. 2011). G starts at `initial_accumulator`."""

    name: Literal["adagrad"]
    learning_rate: LearningRate = 0.01
    initial_accumulator: Annotated[float, Field(ge=0, description="First value of G.")] = 0.0
    epsilon: Epsilon = 1e-10


class AdadeltaSpec(Spec):
    """G <- rho * G + (1 - rho) * g^2; d = sqrt(H + epsilon) / sqrt(G + epsilon) * g; H <- rho * H + (1 - rho) * d^2; w <- w - eta * d (Zeiler 2012).

    The method itself has no learning rate: 1.
    """

    name: Literal["adadelta"]
    learning_rate: LearningRate = 1.0
    rho: Annotated[Decay, Field(description="Share of the running averages that is kept.")] = 0.9
    epsilon: Epsilon = 1e-6


class RmspropSpec(Spec):
    """G <- alpha * G + (1 - alpha) * g^2; w <- w - eta * g / (sqrt(G) + epsilon) (Hinton 2012).

    `centered`: sqrt(G - m^2) instead, with m <- alpha * m + (1 - alpha) * g (Graves 2013). With `momentum` mu > 0:
    a <- mu * a + (that fraction); w <- w - eta * a.
    """

    name: Literal["rmsprop"]
    learning_rate: LearningRate = 0.001
    alpha: Annotated[Decay, Field(description="Share of the running averages that is kept.")] = 0.9
    momentum: Annotated[Decay, Field(description="Share of the previous step that is kept.")] = 0.0
    centered: Annotated[bool, Field(description="Divide by the standard deviation of the gradient instead of its root mean square.")] = (
        False
    )
    epsilon: Epsilon = 1e-8


class AdamSpec(Spec):
    """Bias-corrected first and second moments (Kingma & Ba 2015).

    m <- beta1 * m + (1 - beta1) * g; v <- beta2 * v + (1 - beta2) * g^2;
    w <- w - eta * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon).
    """

    name: Literal["adam"]
    learning_rate: LearningRate = 0.001
    beta1: Decay = 0.9
    beta2: Decay = 0.999
    epsilon: Epsilon = 1e-8


class AdamwSpec(Spec):
    """Adam after a decay that does not pass through its moments: w <- (1 - eta * weight_decay) * w (Loshchilov & Hutter 2019).

    Weights alone decay, never biases or normalization parameters.
    """

    name: Literal["adamw"]
    learning_rate: LearningRate = 0.001
    beta1: Decay = 0.9
    beta2: Decay = 0.999
    epsilon: Epsilon = 1e-8
    weight_decay: Annotated[float, Field(ge=0, description="Decoupled decay; 0 is Adam.")] = 0.01


OptimizerSpec = Annotated[
    SgdSpec | MomentumSpec | NagSpec | AdagradSpec | AdadeltaSpec | RmspropSpec | AdamSpec | AdamwSpec, Field(discriminator="name")
]

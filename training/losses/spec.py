"""Losses that may be asked for: the data term, a mean over examples."""

from typing import Annotated, Literal

from pydantic import Field

from models.closed import Spec


class CrossEntropySpec(Spec):
    """-log softmax(z)_y in nats. Classification."""

    name: Literal["cross_entropy"]


class SquaredErrorSpec(Spec):
    """(y - f(x))^2 in squared target units. Regression."""

    name: Literal["squared_error"]


LossSpec = Annotated[CrossEntropySpec | SquaredErrorSpec, Field(discriminator="name")]

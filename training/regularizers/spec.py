"""Penalties, and the neutral values of the contract's fields whose techniques are not offered yet."""

from typing import Annotated

from pydantic import Field

from models.closed import Lax, Spec, Zero

_NOT_YET = "Not offered yet: only this neutral value is accepted."


class RegularizationSpec(Spec):
    """Penalties act on weights only, never on biases or normalization parameters, and only on `objective`."""

    l1: Annotated[float, Field(ge=0, description="lambda * sum |w| is added to the objective; the derivative at 0 is 0.")] = 0.0
    l2: Annotated[float, Field(ge=0, description="lambda / 2 * sum w^2 is added to the objective (gradient lambda * w).")] = 0.0
    label_smoothing: Annotated[Zero, Field(description=_NOT_YET)] = 0
    mixup_alpha: Annotated[Zero, Field(description=_NOT_YET)] = 0
    cutmix_alpha: Annotated[Zero, Field(description=_NOT_YET)] = 0
    input_noise: Annotated[Zero, Field(description=_NOT_YET)] = 0
    weight_noise: Annotated[Zero, Field(description=_NOT_YET)] = 0
    class_weights: Annotated[None, Field(description=_NOT_YET)] = None
    augmentations: Annotated[tuple[()], Lax, Field(description=_NOT_YET)] = ()

"""Initial weights that may be asked for. Biases always start at 0."""

from typing import Annotated, Literal

from pydantic import Field

from models.closed import Spec


class HeNormalSpec(Spec):
    """w ~ N(0, 2 / fan_in) (He et al. 2015), made for ReLU."""

    name: Literal["he_normal"]


class XavierUniformSpec(Spec):
    """w ~ U(-a, a), a = sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010), made for tanh."""

    name: Literal["xavier_uniform"]


InitializerSpec = Annotated[HeNormalSpec | XavierUniformSpec, Field(discriminator="name")]

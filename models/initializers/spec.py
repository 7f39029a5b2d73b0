"""Initial weights that may be asked for. Biases always start at 0, normalizations at scale 1 and shift 0."""

from typing import Annotated, Literal

from pydantic import Field

from models.closed import Spec


class HeNormalSpec(Spec):
    """w ~ N(0, 2 / fan_in) (He et al. 2015), made for ReLU."""

    name: Literal["he_normal"]


class HeUniformSpec(Spec):
    """w ~ U(-a, a), a = sqrt(6 / fan_in) (He et al. 2015): the same variance as he_normal, with bounds."""

    name: Literal["he_uniform"]


class XavierNormalSpec(Spec):
    """w ~ N(0, 2 / (fan_in + fan_out)) (Glorot & Bengio 2010), made for tanh."""

    name: Literal["xavier_normal"]


class XavierUniformSpec(Spec):
    """w ~ U(-a, a), a = sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010), made for tanh."""

    name: Literal["xavier_uniform"]


class OrthogonalSpec(Spec):
    """The kernel, seen as [outputs, inputs * window], has orthonormal rows (or columns, if fewer) times `gain` (Saxe et al. 2014)."""

    name: Literal["orthogonal"]
    gain: Annotated[float, Field(gt=0, le=100, description="Factor of the orthonormal matrix; sqrt(2) keeps variances under ReLU.")] = 1.0


InitializerSpec = Annotated[
    HeNormalSpec | HeUniformSpec | XavierNormalSpec | XavierUniformSpec | OrthogonalSpec, Field(discriminator="name")
]

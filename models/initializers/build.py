"""Initial weights."""

import math
from typing import assert_never

import torch
from torch import Tensor

from models.base import ParameterSpec
from models.initializers.spec import HeNormalSpec, HeUniformSpec, InitializerSpec, OrthogonalSpec, XavierNormalSpec, XavierUniformSpec


def initial(spec: InitializerSpec, parameter: ParameterSpec, generator: torch.Generator) -> Tensor:
    """Draw the first value of one parameter, float64 on the CPU: the same draw whatever the precision of training."""
    match parameter.kind:
        case "bias" | "shift":
            return torch.zeros(parameter.shape, dtype=torch.float64)
        case "scale":
            return torch.ones(parameter.shape, dtype=torch.float64)
        case "weight":
            return _weight(spec, parameter, generator)
        case _:
            assert_never(parameter.kind)


def _weight(spec: InitializerSpec, parameter: ParameterSpec, generator: torch.Generator) -> Tensor:
    values = torch.empty(parameter.shape, dtype=torch.float64)
    match spec:
        case HeNormalSpec():
            return values.normal_(0.0, math.sqrt(2 / parameter.fan_in), generator=generator)
        case HeUniformSpec():
            bound = math.sqrt(6 / parameter.fan_in)
            return values.uniform_(-bound, bound, generator=generator)
        case XavierNormalSpec():
            return values.normal_(0.0, math.sqrt(2 / (parameter.fan_in + parameter.fan_out)), generator=generator)
        case XavierUniformSpec():
            bound = math.sqrt(6 / (parameter.fan_in + parameter.fan_out))
            return values.uniform_(-bound, bound, generator=generator)
        case OrthogonalSpec():
            return torch.nn.init.orthogonal_(values, spec.gain, generator=generator)
        case _:
            assert_never(spec)

"""From a network spec to a network."""

import math
from typing import assert_never

from models.base import Network
from models.cnn import Cnn
from models.mlp import Head, Mlp
from models.spec import CnnSpec, MlpSpec, NetworkSpec


def build(spec: NetworkSpec, input_shape: tuple[int, ...], num_outputs: int) -> Network:
    """Lay out the network that `spec` asks for on inputs of `input_shape` (without the batch axis)."""
    match spec:
        case MlpSpec():
            return Mlp(Head.of(spec, math.prod(input_shape), num_outputs, first=1))
        case CnnSpec():
            return Cnn.of(spec, input_shape, num_outputs)
        case _:
            assert_never(spec)

"""Activation functions."""

from collections.abc import Callable
from typing import assert_never

import torch
from torch import Tensor

from models.activations.spec import ActivationName

_functional = torch.nn.functional


def activation(name: ActivationName) -> Callable[[Tensor], Tensor]:
    """Give the elementwise function of that name."""
    match name:
        case "relu":
            return torch.relu
        case "leaky_relu":
            return _functional.leaky_relu
        case "elu":
            return _functional.elu
        case "gelu":
            return _functional.gelu
        case "silu":
            return _functional.silu
        case "sigmoid":
            return torch.sigmoid
        case "tanh":
            return torch.tanh
        case _:
            assert_never(name)


def commutes_with_max_pool(name: ActivationName) -> bool:
    """Tell whether max pooling may come first with equal values and gradients, on fewer numbers: true where ties stay ties."""
    return name == "relu"

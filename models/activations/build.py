"""Activation functions."""

from collections.abc import Callable
from typing import assert_never

import torch
from torch import Tensor

from models.activations.spec import ActivationName


def activation(name: ActivationName) -> Callable[[Tensor], Tensor]:
    """Give the elementwise function of that name."""
    match name:
        case "relu":
            return torch.relu
        case "gelu":
            return torch.nn.functional.gelu
        case "tanh":
            return torch.tanh
        case _:
            assert_never(name)


def commutes_with_max_pool(name: ActivationName) -> bool:
    """Tell whether max pooling may come first with equal values and gradients, on fewer numbers: true where ties stay ties."""
    return name == "relu"

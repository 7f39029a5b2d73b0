"""Activation functions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor

from models.activations.spec import ActivationName

_functional = torch.nn.functional
_aten = torch.ops.aten
_IS_RESULT = False
"""Kernels of derivatives are given inputs, not outputs."""


@dataclass(frozen=True)
class Written:
    """An activation written out: `forward` gives h of z (in its place where the derivative needs h alone), `backward` gives the gradient of z from that of h, z and h.

    `backward` calls the kernel that autograd would call.
    """

    forward: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor, Tensor], Tensor]


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


def written(name: ActivationName) -> Written:
    """Give the function of that name and its derivative."""
    match name:
        case "relu":
            return Written(torch.relu_, lambda gradient, _, h: _aten.threshold_backward.grad_input(gradient, h, 0, grad_input=gradient))
        case "leaky_relu":
            return Written(
                _functional.leaky_relu,
                lambda gradient, z, _: _aten.leaky_relu_backward.grad_input(gradient, z, 0.01, _IS_RESULT, grad_input=gradient),
            )
        case "elu":
            return Written(
                _functional.elu, lambda gradient, z, _: _aten.elu_backward.grad_input(gradient, 1, 1, 1, _IS_RESULT, z, grad_input=gradient)
            )
        case "gelu":
            return Written(_functional.gelu, lambda gradient, z, _: _aten.gelu_backward.grad_input(gradient, z, grad_input=gradient))
        case "silu":
            return Written(_functional.silu, lambda gradient, z, _: _aten.silu_backward.grad_input(gradient, z, grad_input=gradient))
        case "sigmoid":
            return Written(torch.sigmoid_, lambda gradient, _, h: _aten.sigmoid_backward.grad_input(gradient, h, grad_input=gradient))
        case "tanh":
            return Written(torch.tanh_, lambda gradient, _, h: _aten.tanh_backward.grad_input(gradient, h, grad_input=gradient))
        case _:
            assert_never(name)


def commutes_with_max_pool(name: ActivationName) -> bool:
    """Tell whether max pooling may come first with equal values and gradients, on fewer numbers: true where ties stay ties."""
    return name == "relu"

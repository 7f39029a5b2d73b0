"""Update rules on a matrix of weights: a row for each fit, each with its own settings.

Only operations that round every element on its own, with no fused multiply-add, so that a row's result does not
depend on the rows beside it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor

from training.optimizers.spec import AdamSpec, MomentumSpec, OptimizerSpec, SgdSpec

_CHUNK = 65_536
"""Elements of a row updated at once: the several passes of a rule over this many stay in cache."""

Setting = float | Tensor
"""A number that all fits share, or a column [k, 1]."""


@dataclass
class Optimizer:
    """The rule of K fits of one kind. `state` tensors are [K, P]; `steps` counts each fit's updates."""

    specs: list[OptimizerSpec]
    state: dict[str, Tensor]
    steps: list[int]

    def update(self, weights: Tensor, gradient: Tensor, learning_rates: Sequence[float], rows: slice) -> None:
        """Apply one update in place to the fits `rows` of the matrices [K, P]; `learning_rates` names one for each of those."""
        specs = self.specs[rows]
        for i in range(*rows.indices(len(self.specs))):
            self.steps[i] += 1
        steps = self.steps[rows]
        for start in range(0, weights.shape[1], _CHUNK):
            part = slice(start, start + _CHUNK)
            state = {name: tensor[rows, part] for name, tensor in self.state.items()}
            _update(specs, weights[rows, part], gradient[rows, part], learning_rates, state, steps)

    def keep(self, live: Sequence[int]) -> None:
        """Drop the fits that are not in `live`."""
        self.specs = [self.specs[i] for i in live]
        self.steps = [self.steps[i] for i in live]
        self.state = {name: tensor[list(live)] for name, tensor in self.state.items()}


def build(specs: Sequence[OptimizerSpec], weights: Tensor) -> Optimizer:
    """Make the optimizer of K fits, all of one kind, for `weights` [K, P]."""
    return Optimizer(specs=list(specs), state={name: torch.zeros_like(weights) for name in _state_names(specs[0])}, steps=[0] * len(specs))


def _state_names(spec: OptimizerSpec) -> tuple[str, ...]:
    match spec:
        case SgdSpec():
            return ()
        case MomentumSpec():
            return ("velocity",)
        case AdamSpec():
            return ("mean", "square")
        case _:
            assert_never(spec)


def _update(
    specs: list[OptimizerSpec], w: Tensor, g: Tensor, learning_rates: Sequence[float], state: dict[str, Tensor], steps: list[int]
) -> None:
    first = specs[0]
    match first:
        case SgdSpec():
            w.sub_(g * _setting(learning_rates, w))
        case MomentumSpec():
            momentum = _setting([spec.momentum for spec in specs if isinstance(spec, MomentumSpec)], w)
            velocity = state["velocity"].mul_(momentum).add_(g)
            w.sub_(velocity * _setting(learning_rates, w))
        case AdamSpec():
            _adam([spec for spec in specs if isinstance(spec, AdamSpec)], w, g, learning_rates, state, steps)
        case _:
            assert_never(first)


def _adam(specs: list[AdamSpec], w: Tensor, g: Tensor, learning_rates: Sequence[float], state: dict[str, Tensor], steps: list[int]) -> None:
    mean, square = state["mean"], state["square"]
    mean.mul_(_setting([spec.beta1 for spec in specs], w)).add_(g * _setting([1 - spec.beta1 for spec in specs], w))
    square.mul_(_setting([spec.beta2 for spec in specs], w)).add_((g * g).mul_(_setting([1 - spec.beta2 for spec in specs], w)))
    unbias = _setting([math.sqrt(1 - spec.beta2**t) for spec, t in zip(specs, steps, strict=True)], w)
    scale = square.sqrt().div_(unbias).add_(_setting([spec.epsilon for spec in specs], w))
    step_size = [rate / (1 - spec.beta1**t) for spec, rate, t in zip(specs, learning_rates, steps, strict=True)]
    w.sub_((mean / scale).mul_(_setting(step_size, w)))


def _setting(values: Sequence[float], like: Tensor) -> Setting:
    """Give one number where all fits agree, else a column; both round to the weights' precision alike."""
    first = values[0]
    if all(value == first for value in values):
        return first
    return torch.tensor(values, dtype=like.dtype, device=like.device).unsqueeze(1)

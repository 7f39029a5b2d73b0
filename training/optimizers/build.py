"""Update rules on a matrix of weights: a row for each fit, each with its own settings.

On CPUs fits of equal settings are updated by one call, others row by row with the very same operations. Rows fill whole
vectors (models.base.ALIGNMENT), so that every element is rounded alike whatever stands beside its row. On devices one call
updates all, whatever differs: a rule is written once, for settings that are numbers or columns [k, 1].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

import torch
from torch import Tensor

from models.base import part
from training.optimizers.columns import Setting, add_product, added, is_any, merged, move_toward, subtract, subtract_quotient
from training.optimizers.spec import (
    AdadeltaSpec,
    AdagradSpec,
    AdamSpec,
    AdamwSpec,
    MomentumSpec,
    NagSpec,
    OptimizerSpec,
    RmspropSpec,
    SgdSpec,
)


@dataclass
class Optimizer:
    """The rule of K fits of one kind. `state` tensors are [K, P]; `steps` counts each fit's updates.

    `decays` [P] is 1 where decoupled weight decay acts (weights) and 0 elsewhere.
    """

    specs: list[OptimizerSpec]
    state: dict[str, Tensor]
    steps: list[int]
    decays: Tensor
    _step: Tensor = field(init=False)
    _merged: dict[tuple[int, int], OptimizerSpec] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Let equal settings be one object: what differs is then told at once."""
        known: dict[OptimizerSpec, OptimizerSpec] = {}
        self.specs = [known.setdefault(spec, spec) for spec in self.specs]
        self._step = torch.zeros((), device=self.decays.device)

    def update(self, weights: Tensor, gradient: Tensor, learning_rates: Sequence[float], rows: slice) -> None:
        """Apply one update in place to the fits `rows` of the matrices [K, P]; `learning_rates` names one for each of those."""
        chosen = range(*rows.indices(len(self.specs)))
        for i in chosen:
            self.steps[i] += 1
        first = (self.specs[rows.start], learning_rates[0], self.steps[rows.start])
        if all((self.specs[i], rate, self.steps[i]) == first for i, rate in zip(chosen, learning_rates, strict=True)):
            self._update(rows, weights, gradient, *first)
            return
        for i, rate in zip(chosen, learning_rates, strict=True):
            self._update(slice(i, i + 1), weights, gradient, self.specs[i], rate, self.steps[i])

    def update_together(self, weights: Tensor, gradient: Tensor, learning_rates: Tensor, steps: Tensor, rows: slice) -> None:
        """Apply one update as `update` does, by one call whatever differs between the fits.

        `learning_rates` and `steps` (this update counted) are columns [k, 1], float64, on the device of the matrices.
        """
        chosen = range(*rows.indices(len(self.specs)))
        for i in chosen:
            self.steps[i] += 1
        key = (chosen.start, chosen.stop)
        if key not in self._merged:
            self._merged[key] = merged([self.specs[i] for i in chosen], weights.device)
        self._update(rows, weights, gradient, self._merged[key], learning_rates, steps)

    def is_equal(self, rows: slice) -> bool:
        """Tell whether the fits `rows` have the same settings and counts of updates."""
        return len({(id(spec), steps) for spec, steps in zip(self.specs[rows], self.steps[rows], strict=True)}) == 1

    def keep(self, live: Sequence[int]) -> None:
        """Drop the fits that are not in `live`."""
        self._merged.clear()
        self.specs = [self.specs[i] for i in live]
        self.steps = [self.steps[i] for i in live]
        self.state = {name: tensor[list(live)] for name, tensor in self.state.items()}

    def row(self, i: int) -> dict[str, Tensor]:
        """View the tensors [P] that fit `i`'s own rule keeps."""
        return {name: self.state[name][i] for name in _initial_state(self.specs[i])}

    def _update(self, rows: slice, weights: Tensor, gradient: Tensor, spec: OptimizerSpec, learning_rate: Setting, step: Setting) -> None:
        w, g = part(weights, rows), part(gradient, rows)
        match spec:
            case SgdSpec():
                subtract(w, g, learning_rate)
            case MomentumSpec():
                velocity = self.state["velocity"][rows].mul_(spec.momentum).add_(g)
                subtract(w, velocity, learning_rate)
            case NagSpec():
                velocity = self.state["velocity"][rows].mul_(spec.momentum).add_(g)
                subtract(w, added(g, velocity, spec.momentum), learning_rate)
            case AdagradSpec():
                total = self.state["total"][rows].addcmul_(g, g)
                subtract_quotient(w, g, total.sqrt().add_(spec.epsilon), learning_rate)
            case AdadeltaSpec():
                square, moved = self.state["square"][rows], self.state["moved"][rows]
                add_product(square.mul_(spec.rho), g, g, 1 - spec.rho)
                delta = moved.add(spec.epsilon).sqrt_().div_(square.add(spec.epsilon).sqrt_()).mul_(g)
                add_product(moved.mul_(spec.rho), delta, delta, 1 - spec.rho)
                subtract(w, delta, learning_rate)
            case RmspropSpec():
                subtract(w, self._rmsprop(spec, g, rows), learning_rate)
            case AdamSpec():
                self._adam(spec, w, g, rows, learning_rate, step)
            case AdamwSpec():
                w.mul_(1 - self.decays * (learning_rate * spec.weight_decay))
                self._adam(spec, w, g, rows, learning_rate, step)
            case _:
                assert_never(spec)

    def _rmsprop(self, spec: RmspropSpec, g: Tensor, rows: slice) -> Tensor:
        square = add_product(self.state["square"][rows].mul_(spec.alpha), g, g, 1 - spec.alpha)
        if is_any(spec.centered):
            mean = move_toward(self.state["mean"][rows], g, 1 - spec.alpha)
            square = add_product(square.clone(), mean, mean, -spec.centered)
            square.clamp_min_(0)  # rounding can leave a constant gradient a negative variance
        direction = g / square.sqrt().add_(spec.epsilon)
        if not is_any(spec.momentum):
            return direction
        return self.state["velocity"][rows].mul_(spec.momentum).add_(direction)

    def _adam(self, spec: AdamSpec | AdamwSpec, w: Tensor, g: Tensor, rows: slice, learning_rate: Setting, step: Setting) -> None:
        """Run the kernel behind torch.optim.Adam(fused=True), one pass instead of thirteen, an eighth of their time on CPUs; or its rule on columns."""
        mean, square = part(self.state["mean"], rows), part(self.state["square"], rows)
        if isinstance(learning_rate, Tensor) or isinstance(step, Tensor):
            move_toward(mean, g, 1 - spec.beta1)
            add_product(square.mul_(spec.beta2), g, g, 1 - spec.beta2)
            root = square.sqrt().div_((1 - spec.beta2**step) ** 0.5).add_(spec.epsilon)
            subtract_quotient(w, mean, root, learning_rate / (1 - spec.beta1**step))
            return
        torch._fused_adam_(
            [w],
            [g],
            [mean],
            [square],
            [],
            [self._step.fill_(step)],
            lr=learning_rate,
            beta1=spec.beta1,
            beta2=spec.beta2,
            weight_decay=0.0,
            eps=spec.epsilon,
            amsgrad=False,
            maximize=False,
        )


def build(specs: Sequence[OptimizerSpec], weights: Tensor, decays: Tensor) -> Optimizer:
    """Make the optimizer of K fits, all of one kind, for `weights` [K, P]; `decays` [P] marks what decoupled decay acts on."""
    state: dict[str, Tensor] = {}
    for i, spec in enumerate(specs):
        for name, value in _initial_state(spec).items():
            state.setdefault(name, torch.zeros_like(weights))[i].fill_(value)
    return Optimizer(specs=list(specs), state=state, steps=[0] * len(specs), decays=decays)


def _initial_state(spec: OptimizerSpec) -> Mapping[str, float]:
    """Name the tensors a rule keeps, and what they start at."""
    match spec:
        case SgdSpec():
            return {}
        case MomentumSpec() | NagSpec():
            return {"velocity": 0.0}
        case AdagradSpec():
            return {"total": spec.initial_accumulator}
        case AdadeltaSpec():
            return {"square": 0.0, "moved": 0.0}
        case RmspropSpec():
            used = {"square": True, "mean": spec.centered, "velocity": spec.momentum > 0}
            return {name: 0.0 for name, is_used in used.items() if is_used}
        case AdamSpec() | AdamwSpec():
            return {"mean": 0.0, "square": 0.0}
        case _:
            assert_never(spec)

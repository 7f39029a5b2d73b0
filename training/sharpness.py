"""How flat the minimum is that the kept weights lie in. All of it in float64, on a fixed sample of the training rows, evaluation mode.

The largest eigenvalue of the Hessian of the loss, by power iteration on Hessian-vector products (Pearlmutter 1994); the
epsilon-sharpness of Keskar et al. (2017); and the loss along a filter-normalised direction (Li et al. 2018).
"""

import math
from typing import Any

import numpy as np
import torch
from scipy import optimize
from torch import Tensor

from models.base import Segments
from models.shapes import layers
from training.evaluation import Part
from training.losses.build import row_losses
from training.losses.spec import LossSpec
from training.scores import finite_or_none
from training.seeding import generator
from training.weights import Weights

_MAX_ROWS = 1024
_MAX_VALUES = 20_000_000
"""Numbers that all layers may put out for the rows that are looked at: second derivatives keep several copies of them."""
_ITERATIONS = 100
_TOLERANCE = 1e-4
_EPSILON = 1e-3
_ASCENT_STEPS = 10
_SLICE = np.linspace(-1, 1, 21)


class Surface:
    """The mean loss of one fit as a function of its parameters, a vector [P]."""

    def __init__(self, weights: Weights, part: Part, loss: LossSpec) -> None:
        """Look at the rows of `part` around the weights of a single fit."""
        self._weights = Weights(weights.network, weights.specs, weights.parameters.double(), weights.buffers.double())
        self._x, self._y = part.x.double(), part.y if part.task == "classification" else part.y.double()
        self._loss = loss
        self._scale = part.scale**2 if part.task == "regression" else 1.0

    @property
    def rows(self) -> int:
        """Count the rows that are looked at."""
        return len(self._x)

    @property
    def at(self) -> Tensor:
        """Give the parameters, [P]."""
        return self._weights.parameters[0]

    @property
    def layout(self) -> Segments:
        """Say where each parameter lies in [P]."""
        return self._weights.layout

    def loss(self, parameters: Tensor) -> Tensor:
        """Give the loss at `parameters` [P], differentiable."""
        single = {name: view[0] for name, view in self.layout.views(parameters.unsqueeze(0)).items()}
        run = self._weights.run(slice(0, 1), 1)
        run = type(run)(
            specs=run.specs,
            stacked={name: view.unsqueeze(0) for name, view in single.items()},
            single=[single],
            buffers=run.buffers,
            is_wide=False,
        )
        outputs = self._weights.network.forward(self._x.unsqueeze(0), run)
        return row_losses(self._loss, outputs, self._y.unsqueeze(0)).mean() * self._scale

    def gradient(self, parameters: Tensor) -> tuple[float, Tensor]:
        """Give the loss and its gradient [P]."""
        point = parameters.detach().requires_grad_()
        value = self.loss(point)
        [gradient] = torch.autograd.grad(value, point)
        return value.item(), gradient

    def hessian_times(self, vector: Tensor) -> Tensor:
        """Give the Hessian at the parameters times a vector [P]."""
        point = self.at.detach().requires_grad_()
        [gradient] = torch.autograd.grad(self.loss(point), point, create_graph=True)
        [product] = torch.autograd.grad(gradient, point, vector)
        return product


def sharpness(weights: Weights, train: Part, val: Part | None, loss: LossSpec, seed: int) -> dict[str, Any]:
    """Measure one fit's minimum; JSON-ready."""
    surface = Surface(weights, _sample(weights, train, seed, "rows"), loss)
    eigenvalue, iterations, has_converged = largest_eigenvalue(surface, seed)
    direction = filter_normalised(weights, seed).to(surface.at.device)
    lines = {"train_loss": _along(surface, direction)}
    if val is not None:
        lines["val_loss"] = _along(Surface(weights, _sample(weights, val, seed, "val_rows"), loss), direction)
    return {
        "rows": surface.rows,
        "largest_eigenvalue": finite_or_none(eigenvalue),
        "iterations": iterations,
        "has_converged": has_converged,
        "epsilon": _EPSILON,
        "epsilon_sharpness": finite_or_none(epsilon_sharpness(surface)),
        "slice": {"distance": _SLICE.tolist(), **lines},
    }


def _sample(weights: Weights, part: Part, seed: int, purpose: str) -> Part:
    """Draw the rows to look at: fewer of them where a network puts out many numbers for each."""
    outputs = weights.network.parameters[-1].shape[0]  # the output layer's biases
    values = sum(math.prod(layer.output_shape) for layer in layers(weights.specs[0], tuple(part.x.shape[1:]), outputs))
    count = max(1, min(_MAX_ROWS, _MAX_VALUES // values))
    chosen = torch.randperm(len(part), generator=generator(seed, "sharpness", purpose))[:count].sort().values.to(part.x.device)
    return Part(x=part.x[chosen], y=part.y[chosen], task=part.task, scale=part.scale)


def largest_eigenvalue(surface: Surface, seed: int) -> tuple[float, int, bool]:
    """Give the largest eigenvalue of the Hessian, the iterations it took, and whether they converged.

    Power iteration finds the eigenvalue of largest modulus; where that is negative, the Hessian is shifted by it and iterated again.
    """
    value, first, is_settled = _power(surface, 0.0, seed)
    if value >= 0:
        return value, first, is_settled
    shifted, second, is_settled = _power(surface, value, seed)
    return shifted + value, first + second, is_settled


def _power(surface: Surface, shift: float, seed: int) -> tuple[float, int, bool]:
    """Iterate on H - shift I; give its eigenvalue of largest modulus."""
    drawn = torch.randn(len(surface.at), generator=generator(seed, "sharpness", "start"), dtype=torch.float64)
    vector = surface.layout.stored(drawn).to(surface.at.device)
    vector /= vector.norm()
    value = 0.0
    for iteration in range(1, _ITERATIONS + 1):
        product = surface.hessian_times(vector) - shift * vector
        found, length = float(vector @ product), float(product.norm())
        if length == 0 or abs(found - value) <= _TOLERANCE * abs(found):
            return found, iteration, True
        value, vector = found, product / length
    return value, _ITERATIONS, False


def epsilon_sharpness(surface: Surface) -> float:
    """Give 100 (max L - L) / (1 + L), the maximum over the box |y_i| <= epsilon (|w_i| + 1) about the weights, by ten steps of L-BFGS-B."""
    start = surface.at.detach().cpu().numpy()
    reach = _EPSILON * (np.abs(start) + 1)

    def falling(point: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = surface.gradient(torch.from_numpy(point).to(surface.at.device))
        return -value, -gradient.cpu().numpy()

    found = optimize.minimize(
        falling,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=np.stack([start - reach, start + reach], axis=1),
        options={"maxiter": _ASCENT_STEPS},
    )
    here = surface.loss(surface.at).item()
    return float(100 * (max(-found.fun, here) - here) / (1 + here))


def filter_normalised(weights: Weights, seed: int) -> Tensor:
    """Draw a direction [P] in which every unit's incoming weights have the norm of the fit's own; biases and normalizations stay."""
    row = weights.parameters[:1].double().cpu()
    direction = torch.zeros_like(row)
    for parameter in weights.network.parameters:
        if parameter.kind == "weight":
            own = weights.layout.view(row, parameter.name)[0]
            source = generator(seed, "sharpness", "direction", parameter.name)
            drawn = torch.randn(own.shape, generator=source, dtype=torch.float64).flatten(1)
            scaled = drawn * (own.flatten(1).norm(dim=1, keepdim=True) / drawn.norm(dim=1, keepdim=True))
            weights.layout.view(direction, parameter.name)[0].copy_(scaled.view(own.shape))
    return direction[0]


@torch.no_grad()
def _along(surface: Surface, direction: Tensor) -> list[float | None]:
    values = [surface.loss(surface.at + distance * direction).item() for distance in _SLICE.tolist()]
    return [finite_or_none(value) for value in values]

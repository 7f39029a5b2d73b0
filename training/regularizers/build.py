"""What acts on weights and gradients: norm penalties, clipping, max-norm. Never on biases or normalization parameters."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.base import Network, Segments
from training.regularizers.spec import RegularizationSpec


class Penalties:
    """lambda / 2 * sum w^2 (gradient lambda w) and lambda * sum |w| (gradient lambda sign(w), sign(0) = 0), each fit with its own."""

    def __init__(self, specs: Sequence[RegularizationSpec], is_weight: Tensor) -> None:
        """Penalise what `is_weight` [P] marks with 1."""
        self._mask = is_weight
        self._specs = list(specs)

    def acts_on(self, i: int) -> bool:
        """Tell whether fit `i` has any penalty."""
        return self._specs[i].l1 > 0 or self._specs[i].l2 > 0

    def add(self, i: int, weights: Tensor, gradient: Tensor) -> float:
        """Add fit `i`'s penalty gradient in place; both are its rows [P]. Give the penalty's value."""
        spec = self._specs[i]
        penalised = weights * self._mask
        value = 0.0
        if spec.l2 > 0:
            gradient.add_(penalised * spec.l2)
            value += spec.l2 / 2 * float((penalised * penalised).sum(dtype=torch.float64))
        if spec.l1 > 0:
            gradient.add_(penalised.sign() * spec.l1)
            value += spec.l1 * float(penalised.abs().sum(dtype=torch.float64))
        return value

    def keep(self, live: Sequence[int]) -> None:
        """Drop the fits that are not in `live`."""
        self._specs = [self._specs[i] for i in live]


def clip_by_norm(gradient: Tensor, limit: float | None) -> None:
    """Scale one fit's whole gradient [P] in place so that its L2 norm is at most `limit` (Pascanu et al. 2013)."""
    if limit is None:
        return
    norm = float(torch.linalg.vector_norm(gradient, dtype=torch.float64))
    if norm > limit:
        gradient.mul_(limit / norm)


def limit_norms(network: Network, layout: Segments, weights: Tensor, limit: float | None) -> None:
    """Scale the incoming weights of every unit of one fit (`weights`, its row [1, P]) in place to an L2 norm of at most `limit`."""
    if limit is None:
        return
    for parameter in network.parameters:
        if parameter.kind == "weight":
            incoming = layout.view(weights, parameter.name)[0].flatten(1)
            norms = torch.linalg.vector_norm(incoming, dim=1, keepdim=True)
            torch.where(norms > limit, incoming * (limit / norms), incoming, out=incoming)

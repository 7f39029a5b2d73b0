"""What acts on weights and gradients: norm penalties, clipping, max-norm. Never on biases or normalization parameters."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.base import Network, Segments
from training.regularizers.spec import RegularizationSpec
from training.transfer import sent


class Penalties:
    """lambda / 2 * sum w^2 (gradient lambda w) and lambda * sum |w| (gradient lambda sign(w), sign(0) = 0), each fit with its own."""

    def __init__(self, specs: Sequence[RegularizationSpec], is_weight: Tensor) -> None:
        """Penalise what `is_weight` [P] marks with 1."""
        self._mask = is_weight
        self._specs = list(specs)
        self._sent: Tensor | None = None

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

    def add_together(self, rows: slice, weights: Tensor, gradient: Tensor) -> Tensor:
        """Add the penalty gradients of the fits `rows` in place by one call; both are their rows [k, P]. Give the penalties' values [k], float64."""
        lambdas = self._lambdas(weights.device)
        l1, l2 = lambdas[0, rows], lambdas[1, rows]
        acts = (l1 + l2) > 0
        penalised = torch.where(acts, weights * self._mask, 0)  # a fit without penalties may hold numbers that are not finite
        gradient.add_(penalised * l2.to(weights.dtype)).add_(penalised.sign().mul_(l1.to(weights.dtype)))
        squares = (penalised * penalised).sum(1, keepdim=True, dtype=torch.float64)
        sizes = penalised.abs().sum(1, keepdim=True, dtype=torch.float64)
        return (l2 / 2 * squares + l1 * sizes).squeeze(1)

    def _lambdas(self, device: torch.device) -> Tensor:
        """Give l1 and l2 of every fit, [2, K, 1] on `device`, sent once."""
        if self._sent is None:
            each = [[spec.l1 for spec in self._specs], [spec.l2 for spec in self._specs]]
            self._sent = sent(torch.tensor(each, dtype=torch.float64).unsqueeze(2), device)
        return self._sent

    def keep(self, live: Sequence[int]) -> None:
        """Drop the fits that are not in `live`."""
        self._specs = [self._specs[i] for i in live]
        self._sent = None


def clip_by_norm(gradient: Tensor, limit: float) -> None:
    """Scale one fit's whole gradient [P] in place so that its L2 norm is at most `limit` (Pascanu et al. 2013)."""
    norm = float(torch.linalg.vector_norm(gradient, dtype=torch.float64))
    if norm > limit:
        gradient.mul_(limit / norm)


def clip_together(gradient: Tensor, limits: Tensor) -> None:
    """Scale each fit's whole gradient [k, P] in place as `clip_by_norm` does; `limits` [k, 1], float64, are infinite where there is none."""
    norms = torch.linalg.vector_norm(gradient, dim=1, keepdim=True, dtype=torch.float64)
    gradient.mul_(torch.where(norms > limits, limits / norms, 1).to(gradient.dtype))


def limit_norms_together(network: Network, layout: Segments, weights: Tensor, limits: Tensor) -> None:
    """Scale the incoming weights of every unit of k fits [k, P] in place as `limit_norms` does; `limits` [k, 1] are infinite where there is none."""
    for parameter in network.parameters:
        if parameter.kind == "weight":
            view = layout.view(weights, parameter.name)
            norms = torch.linalg.vector_norm(view, dim=tuple(range(2, view.dim())), keepdim=True)
            limit = limits.to(weights.dtype).view(-1, *[1] * (view.dim() - 1))
            view.mul_(torch.where(norms > limit, limit / norms, 1))


def limit_norms(network: Network, layout: Segments, weights: Tensor, limit: float | None) -> None:
    """Scale the incoming weights of every unit of one fit (`weights`, its row [1, P]) in place to an L2 norm of at most `limit`."""
    if limit is None:
        return
    for parameter in network.parameters:
        if parameter.kind == "weight":
            incoming = layout.view(weights, parameter.name)[0]
            norms = torch.linalg.vector_norm(incoming, dim=tuple(range(1, incoming.dim())), keepdim=True)
            incoming.copy_(torch.where(norms > limit, incoming * (limit / norms), incoming))

"""What the optimizer sees of single rows: the data term with smoothed labels, mixed targets and weights of classes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from training.inputs import Batch
from training.losses.build import row_losses_and_gradient, smoothed_row_losses
from training.losses.spec import CrossEntropySpec, LossSpec
from training.members import Member
from training.mixing import Mix


def objective(members: Sequence[Member], outputs: Tensor, batch: Batch, shares: Tensor | float) -> tuple[Tensor, Tensor]:
    """Give the loss of every row as it is trained [k, B], and the gradient of the update's data term with respect to `outputs` [k, B, O].

    The data term is the sum of losses times `shares` ([k, 1, 1] or a number): each row's share in the mean over its update. A
    row's own weight multiplies its own term, so that weights act at every batch size.
    """
    if not any(member.changes_targets for member in members):
        losses, gradient = _plain(members[0].loss, outputs, batch.y, batch.weights)
    else:  # each fit as it would be alone
        each = [_of_fit(member, outputs[k : k + 1], batch, k) for k, member in enumerate(members)]
        losses, gradient = torch.cat([losses for losses, _ in each]), torch.cat([gradient for _, gradient in each])
    return losses, gradient.mul_(shares)


def _plain(loss: LossSpec, outputs: Tensor, y: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    losses, gradient = row_losses_and_gradient(loss, outputs, y)
    return (losses, gradient) if weights is None else (losses * weights, gradient.mul_(weights.unsqueeze(2)))


def _of_fit(member: Member, outputs: Tensor, batch: Batch, k: int) -> tuple[Tensor, Tensor]:
    """Losses [1, B] and gradient [1, B, O] of fit `k`."""
    y, weights = batch.y[k : k + 1], None if batch.weights is None else batch.weights[k : k + 1]
    if not member.changes_targets:
        return _plain(member.loss, outputs, y, weights)
    with torch.enable_grad():
        at = outputs.detach().requires_grad_()
        losses = _changed(member, member.loss, at[0], y[0], batch.mixes[k], None if weights is None else weights[0])
        [gradient] = torch.autograd.grad(losses.sum(), at)
    return losses.detach().unsqueeze(0), gradient


def _changed(member: Member, loss: LossSpec, outputs: Tensor, y: Tensor, mix: Mix | None, weights: Tensor | None) -> Tensor:
    if mix is None:
        return _weighted(member, loss, outputs, y, weights)
    partners = None if weights is None else weights[mix.partner]
    if isinstance(loss, CrossEntropySpec):
        own, other = _weighted(member, loss, outputs, y, weights), _weighted(member, loss, outputs, y[mix.partner], partners)
        return mix.share * own + (1 - mix.share) * other
    if weights is not None and partners is not None:  # numbers are mixed themselves, and so are their weights
        weights = torch.lerp(partners, weights, mix.share)
    return _weighted(member, loss, outputs, torch.lerp(y[mix.partner], y, mix.share), weights)


def _weighted(member: Member, loss: LossSpec, outputs: Tensor, y: Tensor, weights: Tensor | None) -> Tensor:
    losses = smoothed_row_losses(loss, outputs, y, member.fit.spec.regularization.label_smoothing)
    if member.class_weights is not None:
        losses = losses * member.class_weights[y]
    return losses if weights is None else losses * weights

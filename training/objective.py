"""What the optimizer sees of single rows: the data term with smoothed labels, mixed targets and weights of classes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.base import stack
from training.inputs import Batch
from training.losses.build import row_losses, smoothed_row_losses
from training.losses.spec import CrossEntropySpec, LossSpec
from training.members import Member
from training.mixing import Mix


def training_losses(members: Sequence[Member], outputs: Tensor, batch: Batch) -> Tensor:
    """Loss of every row as it is trained: outputs [k, B, O] give [k, B]. Its mean over the rows of an update is the objective's data term.

    A row's own weight multiplies its own term, so that weights act at every batch size.
    """
    loss = members[0].loss
    if not any(member.changes_targets for member in members):
        losses = row_losses(loss, outputs, batch.y)
        return losses if batch.weights is None else losses * batch.weights
    weights: Sequence[Tensor | None] | Tensor = [None] * len(members) if batch.weights is None else batch.weights
    return stack([_of_fit(member, loss, outputs[k], batch.y[k], batch.mixes[k], weights[k]) for k, member in enumerate(members)])


def _of_fit(member: Member, loss: LossSpec, outputs: Tensor, y: Tensor, mix: Mix | None, weights: Tensor | None) -> Tensor:
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

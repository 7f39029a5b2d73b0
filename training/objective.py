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
    """Loss of every row as it is trained: outputs [k, B, O] give [k, B]. Its mean over the rows of an update is the objective's data term."""
    loss = members[0].loss
    if not any(member.changes_targets for member in members):
        return row_losses(loss, outputs, batch.y)
    return stack([_of_fit(member, loss, outputs[k], batch.y[k], batch.mixes[k]) for k, member in enumerate(members)])


def _of_fit(member: Member, loss: LossSpec, outputs: Tensor, y: Tensor, mix: Mix | None) -> Tensor:
    if mix is None:
        return _weighted(member, loss, outputs, y)
    if isinstance(loss, CrossEntropySpec):
        own, other = _weighted(member, loss, outputs, y), _weighted(member, loss, outputs, y[mix.partner])
        return mix.share * own + (1 - mix.share) * other
    return _weighted(member, loss, outputs, torch.lerp(y[mix.partner], y, mix.share))  # numbers are mixed themselves


def _weighted(member: Member, loss: LossSpec, outputs: Tensor, y: Tensor) -> Tensor:
    losses = smoothed_row_losses(loss, outputs, y, member.fit.spec.regularization.label_smoothing)
    return losses if member.class_weights is None else losses * member.class_weights[y]

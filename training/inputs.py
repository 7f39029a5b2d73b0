"""Training batches: rows picked, augmented, mixed and noised. What is measured never passes here."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.base import stack
from training.augmentations.build import augment
from training.draws import EpochDraws
from training.members import Member
from training.mixing import Mix, mixed


@dataclass(frozen=True)
class Batch:
    """One batch of k fits: inputs [k, B, *input_shape], targets [k, B], and what each fit's rows were mixed with.

    `weights` [k, B] are those of the rows; None where no fit weighs its rows.
    """

    x: Tensor
    y: Tensor
    mixes: Sequence[Mix | None]
    weights: Tensor | None


def pick(members: Sequence[Member], chosen: Sequence[Tensor], first: int, draws: EpochDraws) -> Batch:
    """Assemble the batch of `members`, the first of which is fit `first` of `draws`, from the rows `chosen` of each."""
    train = members[0].train
    mixes: list[Mix | None] = [None] * len(members)
    weights = _weights(members, chosen)
    if not any(member.changes_inputs for member in members) and all(member.train is train for member in members):
        picked = chosen[0] if len(chosen) == 1 else torch.cat(list(chosen))
        x, y = train.x.index_select(0, picked), train.y.index_select(0, picked)
        return Batch(x.view(len(members), -1, *x.shape[1:]), y.view(len(members), -1), mixes, weights)
    inputs = []
    for k, (member, rows) in enumerate(zip(members, chosen, strict=True)):
        x = member.train.x.index_select(0, rows)
        if member.changes_inputs:
            x, mixes[k] = _changed(member, x, first + k, draws)
        inputs.append(x)
    targets = [member.train.y.index_select(0, rows) for member, rows in zip(members, chosen, strict=True)]
    return Batch(stack(inputs), stack(targets), mixes, weights)


def _weights(members: Sequence[Member], chosen: Sequence[Tensor]) -> Tensor | None:
    if all(member.row_weights is None for member in members):
        return None
    each = [
        member.train.x.new_ones(len(rows)) if member.row_weights is None else member.row_weights.index_select(0, rows)
        for member, rows in zip(members, chosen, strict=True)
    ]
    return stack(each)


def _changed(member: Member, x: Tensor, fit: int, draws: EpochDraws) -> tuple[Tensor, Mix | None]:
    """Augment, mix, add noise, in that order."""
    spec = member.fit.spec.regularization
    if spec.augmentations:
        units = member.units
        raw = x if units is None else torch.addcmul(units.mean, x, units.scale)
        raw = augment(spec.augmentations, raw, draws.source(fit, "augmentations"))
        x = raw if units is None else (raw - units.mean) / units.scale
    x, mix = mixed(spec, x, draws.numbers(fit, "mixing"), draws.source(fit, "partners"))
    if spec.input_noise > 0:
        x = x + draws.normals(fit, "input_noise", x.shape) * spec.input_noise
    return x, mix

"""Training batches: rows picked, augmented, mixed and noised. What is measured never passes here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from models.base import ALIGNMENT, Network, stack
from models.mlp import Mlp
from training.augmentations.build import augment
from training.draws import EpochDraws
from training.members import Member, Slot
from training.mixing import Mix, mixed
from training.seeding import row_order

_ARRANGED_BYTES = 64e6
"""Rows of an epoch that are put into order at once: beyond it batches are picked one by one, while they are in the cache."""


@dataclass(frozen=True)
class Batch:
    """One batch of k fits: inputs [k, B, *input_shape], targets [k, B], and what each fit's rows were mixed with.

    `weights` [k, B] are those of the rows; None where no fit weighs its rows.
    """

    x: Tensor
    y: Tensor
    mixes: Sequence[Mix | None]
    weights: Tensor | None


def order_of(member: Member, epoch: int) -> Tensor:
    """Draw the order in which a fit visits its rows: numbers of its training rows, on the CPU."""
    if member.balanced_rows is not None:
        return member.balanced_rows.order(member.fit.seed, epoch)
    if len(member.slots) == 1:  # full-batch descent sees all rows in any order: keep theirs
        return torch.arange(len(member.train))
    return row_order(member.fit.seed, epoch, len(member.train))


class EpochRows:
    """All rows of K fits in the order of an epoch, [K, n, F]: batches are views of them. For dense networks on rows that are trained as they are."""

    def __init__(self, members: Sequence[Member]) -> None:
        """Make room; every fit's rows begin on a boundary (see models.base.ALIGNMENT)."""
        first, most = members[0].train, max(len(member.train) for member in members)
        rows = -(-most // ALIGNMENT) * ALIGNMENT
        self._members = members
        self._x = first.x.new_empty(len(members), rows, math.prod(first.x.shape[1:]))
        self._y = first.y.new_empty(len(members), rows)
        self._weights = None if all(member.row_weights is None for member in members) else first.x.new_ones(len(members), rows)
        self._no_mixes = [None] * len(members)

    @classmethod
    def of(cls, members: Sequence[Member], network: Network) -> Self | None:
        """Make them where they serve: else None."""
        values = sum(member.train.x.numel() for member in members)
        is_small = values * members[0].train.x.element_size() <= _ARRANGED_BYTES
        if not isinstance(network, Mlp) or not is_small or any(member.changes_inputs for member in members):
            return None
        return cls(members)

    def arranged(self, epoch: int) -> Self:
        """Put the rows into the order of `epoch`."""
        for k, member in enumerate(self._members):
            order, rows = order_of(member, epoch).to(self._x.device), slice(0, len(member.train))
            torch.index_select(member.train.x.flatten(1), 0, order, out=self._x[k, rows])
            torch.index_select(member.train.y, 0, order, out=self._y[k, rows])
            if self._weights is not None and member.row_weights is not None:
                torch.index_select(member.row_weights, 0, order, out=self._weights[k, rows])
        return self

    def batch(self, fits: slice, slots: Sequence[Slot]) -> Batch:
        """View the batch of `fits`; their slots are the same rows."""
        rows = slice(slots[0].start, slots[0].stop)
        weights = None if self._weights is None else self._weights[fits, rows]
        return Batch(self._x[fits, rows], self._y[fits, rows], self._no_mixes[fits], weights)


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

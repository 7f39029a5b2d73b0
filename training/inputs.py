"""Training batches: rows picked, augmented, mixed and noised. What is measured never passes here."""

import math
from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from models.base import ALIGNMENT, Network, stack
from models.mlp import Mlp
from training.augmentations.build import augment
from training.draws import EpochDraws
from training.members import Member, Slot
from training.mixing import Mix, mixed
from training.seeding import row_order
from training.transfer import sent

_ARRANGED_BYTES = 64e6
"""Rows of an epoch that are put into order at once on CPUs: beyond it batches are picked one by one, while they are in the cache."""
_ROOM_SHARE = 0.25
"""Of a GPU's free memory: once for rows in order, once for draws."""


class Batch(NamedTuple):
    """One batch of k fits: inputs [k, B, *input_shape], targets [k, B], and what each fit's rows were mixed with.

    `weights` [k, B] are those of the rows; None where no fit weighs its rows.
    """

    x: Tensor
    y: Tensor
    mixes: Sequence[Mix | None]
    weights: Tensor | None


_BOUNDARY = 64
"""Bytes: where tensors of their own begin."""


def order_of(member: Member, epoch: int) -> Tensor:
    """Draw the order in which a fit visits its rows: numbers of its training rows, on the CPU."""
    if member.balanced_rows is not None:
        return member.balanced_rows.order(member.fit.seed, epoch)
    if len(member.slots) == 1:  # full-batch descent sees all rows in any order: keep theirs
        return torch.arange(len(member.train))
    return row_order(member.fit.seed, epoch, len(member.train))


def orders_of(members: Sequence[Member], epoch: int, device: torch.device) -> list[Tensor]:
    """Draw the orders of all fits and send them to `device` in one piece."""
    orders = [order_of(member, epoch) for member in members]
    return orders if device.type == "cpu" else list(torch.split(sent(torch.cat(orders), device), [len(order) for order in orders]))


def room(device: torch.device) -> float:
    """Give how many bytes of rows, and again of draws, may lie on `device` for an epoch."""
    if device.type != "cuda":
        return _ARRANGED_BYTES
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return _ROOM_SHARE * (torch.cuda.mem_get_info(device)[0] + kept)


def _room_for(members: Sequence[Member]) -> int:
    """Give the rows that each fit has room for: those of the fit that has most, up to a boundary."""
    return -(-max(len(member.train) for member in members) // ALIGNMENT) * ALIGNMENT


class EpochRows:
    """All rows of K fits in the order of an epoch, [K, n, F] or [K, n, *input_shape]: batches are views of them. For rows that are trained as they are."""

    def __init__(self, members: Sequence[Member], shape: Sequence[int]) -> None:
        """Make room for rows of `shape`; every fit's rows begin on a boundary (see models.base.ALIGNMENT)."""
        first, rows = members[0].train, _room_for(members)
        self._members = members
        self._x = first.x.new_empty(len(members), rows, *shape)
        self._y = first.y.new_empty(len(members), rows)
        self._weights = None if all(member.row_weights is None for member in members) else first.x.new_ones(len(members), rows)
        self._no_mixes = [None] * len(members)

    @classmethod
    def of(cls, members: Sequence[Member], network: Network) -> Self | None:
        """Make them where they serve: else None.

        On CPUs they serve dense networks, whose batches cost little beside picking them, and only where every batch begins on a
        boundary, as a picked one does: what is multiplied is rounded by where it lies, and must not be by who shares the stack.
        """
        x = members[0].train.x
        row_bytes = math.prod(x.shape[1:]) * x.element_size()
        is_dense, is_on_cpu = isinstance(network, Mlp), x.device.type == "cpu"
        if len(members) * _room_for(members) * row_bytes > room(x.device) or any(member.changes_inputs for member in members):
            return None
        if is_on_cpu and not (is_dense and all(slot.start * row_bytes % _BOUNDARY == 0 for member in members for slot in member.slots)):
            return None
        return cls(members, [math.prod(x.shape[1:])] if is_dense else x.shape[1:])

    def arranged(self, epoch: int) -> Self:
        """Put the rows into the order of `epoch`."""
        for k, (member, order) in enumerate(zip(self._members, orders_of(self._members, epoch, self._x.device), strict=True)):
            rows = slice(0, len(order))
            torch.index_select(member.train.x.reshape(len(member.train), *self._x.shape[2:]), 0, order, out=self._x[k, rows])
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

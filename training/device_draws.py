"""The random numbers of one epoch on a device: drawn on the CPU as ever, the epoch's at once, and sent in one piece."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from training.draws import EpochDraws
from training.members import Member
from training.transfer import sent


class AheadDraws(EpochDraws):
    """Draws that were made for all batches of the epoch when the first was asked for: the same numbers, bit for bit.

    Masks of a layer are sent for all fits together, noise for each fit. What would take more than `most_bytes` in all is drawn
    and sent batch by batch. Every fit must ask for each of its batches once, in order.
    """

    def __init__(self, members: Sequence[Member], epoch: int, dtype: torch.dtype, device: torch.device, most_bytes: float) -> None:
        """Draw for one epoch of `members`."""
        super().__init__([member.fit.seed for member in members], epoch, dtype, device)
        self._batches = [[len(slot) for slot in member.slots] for member in members]
        self._dropouts = [member.fit.spec.network.dropout for member in members]
        self._left = most_bytes
        self._masks: dict[str, Tensor | None] = {}
        self._noise: dict[tuple[int, str], Tensor | None] = {}
        self._seen: dict[tuple[int, str], int] = {}

    def mask(self, fit: int, layer: str, shape: tuple[int, ...], probability: float) -> Tensor:
        """Give the mask of the fit's next batch."""
        if layer not in self._masks:
            self._masks[layer] = self._all_masks(layer, shape[1:])
        ahead = self._masks[layer]
        return super().mask(fit, layer, shape, probability) if ahead is None else self._next(fit, layer, ahead[fit], shape[0])

    def normals(self, fit: int, purpose: str, shape: Sequence[int]) -> Tensor:
        """Give the noise of the fit's next batch, on its rows or on the weights."""
        key = (fit, purpose)
        if key not in self._noise:
            self._noise[key] = self._all_normals(fit, purpose, shape)
        ahead = self._noise[key]
        if ahead is None:
            return super().normals(fit, purpose, shape)
        if len(shape) == 1:  # weights: one row of noise for each batch
            return self._next(fit, purpose, ahead, 1)[0]
        return self._next(fit, purpose, ahead, shape[0])

    def _next(self, fit: int, what: str, ahead: Tensor, rows: int) -> Tensor:
        start = self._seen.get((fit, what), 0)
        self._seen[fit, what] = start + rows
        return ahead[start : start + rows]

    def _all_masks(self, layer: str, shape: tuple[int, ...]) -> Tensor | None:
        """Draw the masks of every fit and batch, [K, n, *shape]; None where they are too large."""
        rows = max(sum(batches) for batches in self._batches)
        if not self._takes(len(self._batches) * rows * math.prod(shape)):
            return None
        drawn = torch.ones(len(self._batches), rows, *shape, dtype=self._dtype)
        for fit, probability in enumerate(self._dropouts):
            if probability > 0:
                parts = [self._drawn_mask(fit, layer, (count, *shape), probability) for count in self._batches[fit]]
                torch.cat(parts, out=drawn[fit, : sum(self._batches[fit])])
        return sent(drawn, self._device)

    def _all_normals(self, fit: int, purpose: str, shape: Sequence[int]) -> Tensor | None:
        """Draw the noise of every batch of a fit, [n, *shape[1:]], or [batches, P] for weights; None where it is too large."""
        batches = self._batches[fit]
        sizes = [[1, *shape] for _ in batches] if len(shape) == 1 else [[count, *shape[1:]] for count in batches]
        if not self._takes(sum(math.prod(size) for size in sizes)):
            return None
        parts = [self._drawn_normals(fit, purpose, size[1:] if len(shape) == 1 else size).view(size) for size in sizes]
        return sent(torch.cat(parts), self._device)

    def _takes(self, count: int) -> bool:
        """Take room for so many numbers, if there is as much left."""
        size = count * self._dtype.itemsize
        if size > self._left:
            return False
        self._left -= size
        return True

"""The random numbers of one epoch: each fit and purpose draws from a generator of its own."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from training.derivation import derive
from training.seeding import generator, keep_mask
from training.transfer import sent


class EpochDraws:
    """Generators of the fits with these seeds; one that was asked for goes on where it stopped."""

    def __init__(self, seeds: Sequence[int], epoch: int, dtype: torch.dtype, device: torch.device) -> None:
        """Draw for one epoch, on the CPU, and bring results to `dtype` and `device`."""
        self._seeds = list(seeds)
        self._epoch = epoch
        self._dtype = dtype
        self._device = device
        self._torch: dict[tuple[int, str], torch.Generator] = {}
        self._numpy: dict[tuple[int, str], np.random.Generator] = {}

    def source(self, fit: int, *purpose: str) -> torch.Generator:
        """Give fit `fit`'s generator for a purpose."""
        key = (fit, "/".join(purpose))
        if key not in self._torch:
            self._torch[key] = generator(self._seeds[fit], self._epoch, *purpose)
        return self._torch[key]

    def numbers(self, fit: int, *purpose: str) -> np.random.Generator:
        """Give fit `fit`'s generator for a purpose, of the kind that knows beta distributions."""
        key = (fit, "/".join(purpose))
        if key not in self._numpy:
            self._numpy[key] = np.random.default_rng(derive(self._seeds[fit], self._epoch, *purpose))
        return self._numpy[key]

    def normals(self, fit: int, purpose: str, shape: Sequence[int]) -> Tensor:
        """Draw standard normal numbers, in float32 whatever the precision of training: precision changes rounding, not draws."""
        return sent(self._drawn_normals(fit, purpose, shape), self._device)

    def mask(self, fit: int, layer: str, shape: tuple[int, ...], probability: float) -> Tensor:
        """Draw a dropout mask (see training.seeding.keep_mask)."""
        if probability == 0:
            return torch.ones(shape, dtype=self._dtype, device=self._device)
        return sent(self._drawn_mask(fit, layer, shape, probability), self._device)

    def _drawn_normals(self, fit: int, purpose: str, shape: Sequence[int]) -> Tensor:
        return torch.randn(list(shape), generator=self.source(fit, purpose)).to(self._dtype)

    def _drawn_mask(self, fit: int, layer: str, shape: tuple[int, ...], probability: float) -> Tensor:
        return keep_mask(self.source(fit, "dropout", layer), shape, probability, self._dtype)

"""An exponential average of weights (Polyak & Juditsky 1992), measured and kept instead of the weights themselves."""

from collections.abc import Sequence

import torch
from torch import Tensor

from training.transfer import sent
from training.weights import Weights

_WARM = 10
"""The decay of update t is at most (1 + t) / (10 + t): an average that began at the untrained weights forgets them soon."""


class Average:
    """Averages of K fits: a <- d a + (1 - d) w after each update, running statistics too. `updates` counts each fit's."""

    def __init__(self, weights: Weights, decays: Sequence[float]) -> None:
        """Begin at the untrained weights."""
        self.weights = weights.copy()
        self._decays = list(decays)
        self.updates = [0] * len(self._decays)
        self._column: Tensor | None = None

    @torch.no_grad()
    def follow(self, i: int, weights: Weights) -> None:
        """Take fit `i`'s weights after an update."""
        self.updates[i] += 1
        t = self.updates[i]
        share = 1 - min(self._decays[i], (1 + t) / (_WARM + t))
        self.weights.parameters[i].lerp_(weights.parameters[i], share)
        self.weights.buffers[i].lerp_(weights.buffers[i], share)

    @torch.no_grad()
    def follow_together(self, rows: slice, weights: Weights, updates: Tensor, alive: Tensor) -> None:
        """Take the weights of the fits `rows` after an update, as `follow` does, by one call; those that are not `alive` [k, 1] stay.

        `updates` [k, 1], float64, counts this one. What `self.updates` counts is left to who reads the epoch.
        """
        if self._column is None:
            self._column = sent(torch.tensor(self._decays, dtype=torch.float64).unsqueeze(1), updates.device)
        shares = 1 - torch.minimum(self._column[rows], (1 + updates) / (_WARM + updates))
        for average, current in (
            (self.weights.parameters[rows], weights.parameters[rows]),
            (self.weights.buffers[rows], weights.buffers[rows]),
        ):
            average.add_(torch.where(alive, (current - average).mul_(shares.to(average.dtype)), 0))

    def keep(self, live: Sequence[int]) -> None:
        """Drop the fits that are not in `live`."""
        self.weights.keep(live)
        self._decays = [self._decays[i] for i in live]
        self._column = None
        self.updates = [self.updates[i] for i in live]

"""The steps of an epoch on a device that works through a queue: nothing is read back before the epoch's end.

To read a number the CPU has to wait until the device has done all that was asked of it. So whether a fit is still alive stays on
the device, as a flag that gates what a step changes, and is read once an epoch: a fit that diverged has gone on computing until
then, and nothing of it has changed. The same code runs on CPU tensors, which is how it is tested.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.base import Masks
from training.averaging import Average
from training.device_draws import AheadDraws
from training.inputs import Batch, room
from training.members import Member, Slot
from training.objective import objective
from training.optimizers.build import Optimizer
from training.optimizers.columns import column
from training.regularizers.build import Penalties, clip_together, limit_norms_together
from training.stepping import Stepper, Tally
from training.weights import Weights

_DRAWS_BYTES = 1e9
"""Of an epoch's masks and noise: they lie in the CPU's memory first, pinned."""


@dataclass
class DeviceTally:
    """What has become of K fits in an epoch, on their device.

    `objective` [K] sums the objective over rows, float64; `steps` [K, 1] counts updates, float64; `alive` [K, 1] are those whose
    numbers are finite so far; `by_gradient` [K, 1] are those whose gradient was the first that was not.
    """

    objective: Tensor
    steps: Tensor
    alive: Tensor
    by_gradient: Tensor

    @classmethod
    def of(cls, fits: int, device: torch.device) -> "DeviceTally":
        """Begin an epoch."""
        numbers, flags = torch.zeros(2, fits, dtype=torch.float64, device=device), torch.zeros(2, fits, 1, dtype=torch.bool, device=device)
        return cls(numbers[0], numbers[1].unsqueeze(1), flags[0].logical_not_(), flags[1])

    def check(self, rows: slice, gradient: Tensor | None = None) -> Tensor:
        """Let fits end whose objective is not finite, or whose gradient [k, P], where it is given; give who is alive [k, 1]."""
        alive = self.alive[rows].logical_and_(self.objective[rows].isfinite().unsqueeze(1))
        if gradient is not None:
            low, high = gradient.aminmax(dim=1, keepdim=True)
            is_finite = low.isfinite() & high.isfinite()
            self.by_gradient[rows].logical_or_(alive & ~is_finite)
            alive.logical_and_(is_finite)
        return alive

    def read(self) -> list[tuple[float, int, bool, bool]]:
        """Wait for the device; give every fit's objective, updates, whether it is alive, and whether its gradient ended it."""
        parts = [self.objective, *(one.squeeze(1).double() for one in (self.steps, self.alive, self.by_gradient))]
        return [(total, int(steps), bool(alive), bool(by)) for total, steps, alive, by in torch.stack(parts, dim=1).tolist()]


@dataclass(frozen=True)
class _Epoch:
    """What the steps of one epoch share: columns [K, 1] of rates and of the updates that optimizer and average have seen, sent once."""

    tally: DeviceTally
    rates: Sequence[float]
    rate_column: Tensor
    updates: Tensor
    averaged: Tensor
    batch: Callable[[slice, Sequence[Slot]], Batch]
    masks: Callable[[slice], Masks]
    draws: AheadDraws
    equal: dict[tuple[int, int], bool] = field(default_factory=dict)


class DeviceStepper(Stepper):
    """Trains the fits of a stack as `Stepper` does, without a synchronisation within an epoch."""

    def __init__(
        self, members: Sequence[Member], weights: Weights, optimizer: Optimizer, penalties: Penalties, average: Average | None
    ) -> None:
        """Take the live fits and their matrices, which are changed in place."""
        super().__init__(members, weights, optimizer, penalties, average)
        self._draws_bytes = min(room(self._device), _DRAWS_BYTES)
        self._has_penalties = any(penalties.acts_on(i) for i in range(len(members)))
        self._has_buffers = bool(weights.buffer_layout.offsets)
        self._clip_norms = self._limits([member.fit.spec.training.gradient_clip_norm for member in members])
        self._max_norms = self._limits([member.fit.spec.regularization.max_norm for member in members])

    @torch.no_grad()
    def train_epoch(self, number: int) -> Sequence[Tally]:
        """Let every live fit pass once over its training rows, and read what became of them. A fit that diverged is marked."""
        tally = self.queue_epoch(number)
        return [self._told(i, number, *facts) for i, facts in enumerate(tally.read())]

    @torch.no_grad()
    def queue_epoch(self, number: int) -> DeviceTally:
        """Ask the device for all steps of an epoch; nothing waits for it."""
        members, dtype = self._members, self._weights.parameters.dtype
        draws = AheadDraws(members, number, dtype, self._device, self._draws_bytes)
        rates = [member.schedule.rate(number) for member in members]
        averaged = [0] * len(members) if self._average is None else self._average.updates
        sent = column([*rates, *self._optimizer.steps, *averaged], self._device).view(3, -1, 1)
        epoch = _Epoch(
            tally=DeviceTally.of(len(members), self._device),
            rates=rates,
            rate_column=sent[0],
            updates=sent[1],
            averaged=sent[2],
            batch=self._batches(number, draws),
            masks=lambda rows: lambda fit, layer, shape, p: draws.mask(rows.start + fit, layer, shape, p),
            draws=draws,
        )
        for step in range(max(len(member.slots) for member in members)):
            for rows in self._groups(step):
                self._queue_step(rows, step, epoch)
        return epoch.tally

    def _told(self, i: int, number: int, objective_sum: float, steps: int, is_alive: bool, is_by_gradient: bool) -> Tally:
        member = self._members[i]
        if self._average is not None:
            self._average.updates[i] += steps
        if not is_alive:
            self._diverged(i, "gradient" if is_by_gradient else "objective", number, steps)
        return Tally(objective_sum, sum(map(len, member.slots)), steps)

    def _limits(self, limits: Sequence[float | None]) -> Tensor | None:
        """Give limits as a column, infinite where a fit has none; None where none has."""
        if all(limit is None for limit in limits):
            return None
        return column([math.inf if limit is None else limit for limit in limits], self._device)

    def _groups(self, step: int) -> Iterator[slice]:
        """Give neighbours whose batches of this step are alike."""
        slots = [member.slots[step] if step < len(member.slots) else None for member in self._members]
        kinds = [None if slot is None else (slot.start, slot.stop, slot.update_rows, slot.opens, slot.closes) for slot in slots]
        start = 0
        for stop in range(1, len(kinds) + 1):
            if stop == len(kinds) or kinds[stop] != kinds[start]:
                if kinds[start] is not None:
                    yield slice(start, stop)
                start = stop

    def _queue_step(self, rows: slice, step: int, epoch: _Epoch) -> None:
        """Run one batch forward and backward; where it closes an update, update. A fit that is not alive after it is as it was before."""
        members, weights = self._members[rows], self._weights
        slots = [member.slots[step] for member in members]
        [slot] = {(s.update_rows, s.opens, s.closes) for s in slots}
        update_rows, opens, closes = slot
        batch = epoch.batch(rows, slots)
        passed = self._pass(rows, len(slots[0]))
        buffers = weights.buffers[rows].clone() if self._has_buffers else None
        with self._noised(rows, epoch.draws) if self._has_weight_noise else nullcontext():
            outputs = passed.forward(batch.x, epoch.masks(rows))
            losses, gradient = objective(members, outputs, batch, 1 / update_rows)
            passed.backward(gradient, adds=not opens)
        epoch.tally.objective[rows].add_(losses.sum(1))
        alive = self._queue_update(rows, update_rows, epoch) if closes else epoch.tally.check(rows)
        if buffers is not None:
            weights.buffers[rows].copy_(torch.where(alive, weights.buffers[rows], buffers))

    def _queue_update(self, rows: slice, update_rows: int, epoch: _Epoch) -> Tensor:
        """Finish the gradient and update those fits whose numbers are all finite; give who they are, [k, 1]."""
        weights, gradient, tally = self._weights.parameters[rows], self._weights.gradient[rows], epoch.tally
        if self._has_penalties:
            tally.objective[rows].add_(self._penalties.add_together(rows, weights, gradient) * update_rows)
        alive = tally.check(rows, gradient)
        if self._clip_norms is not None:
            clip_together(gradient, self._clip_norms[rows])
        before = weights.clone()
        epoch.updates[rows].add_(1)
        if self._is_equal(rows, epoch):
            self._optimizer.update(self._weights.parameters, self._weights.gradient, epoch.rates[rows], rows)
        else:
            self._optimizer.update_together(
                self._weights.parameters, self._weights.gradient, epoch.rate_column[rows], epoch.updates[rows], rows
            )
        if self._max_norms is not None:
            limit_norms_together(self._weights.network, self._weights.layout, weights, self._max_norms[rows])
        weights.copy_(torch.where(alive, weights, before))
        tally.steps[rows].add_(alive)
        if self._average is not None:
            epoch.averaged[rows].add_(1)
            self._average.follow_together(rows, self._weights, epoch.averaged[rows], alive)
        return alive

    def _is_equal(self, rows: slice, epoch: _Epoch) -> bool:
        """Tell whether settings, rates and counts of updates are the same for these fits: then the kernels of one fit serve all."""
        key = (rows.start, rows.stop)
        if key not in epoch.equal:
            epoch.equal[key] = len(set(epoch.rates[rows])) == 1 and self._optimizer.is_equal(rows)
        return epoch.equal[key]

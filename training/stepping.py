"""The steps of an epoch on CPUs: batches, passes and updates of the fits of a stack. Numbers are read as they come about, which costs nothing there."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from models.base import WIDE_ROWS, Masks, part
from models.mlp import Mlp
from models.passes import Pass, training_pass
from training.averaging import Average
from training.draws import EpochDraws
from training.inputs import Batch, EpochRows, orders_of, pick
from training.members import Member, Slot
from training.objective import objective
from training.optimizers.build import Optimizer
from training.records import StopReason
from training.regularizers.build import Penalties, clip_by_norm, limit_norms
from training.weights import Weights


@dataclass
class Tally:
    """What the optimizer saw of one fit in one epoch: the sum of its objective over rows, the rows, the updates."""

    objective: float = 0.0
    rows: int = 0
    steps: int = 0


@dataclass(frozen=True)
class _Epoch:
    """What the steps of one epoch share. `batch` gives the batch of fits on their slots of a step."""

    number: int
    rates: Sequence[float]
    tallies: Sequence[Tally]
    batch: Callable[[slice, Sequence[Slot]], Batch]
    masks: Callable[[slice], Masks]
    draws: EpochDraws


class Stepper:
    """Trains the fits of a stack as long as they are the same: what their steps need over and over is made once."""

    def __init__(
        self, members: Sequence[Member], weights: Weights, optimizer: Optimizer, penalties: Penalties, average: Average | None
    ) -> None:
        """Take the live fits and their matrices, which are changed in place."""
        self._members = members
        self._weights = weights
        self._optimizer = optimizer
        self._penalties = penalties
        self._average = average
        self._device = weights.parameters.device
        self._rows = EpochRows.of(members, weights.network)
        self._passes: dict[tuple[int, int, int], Pass] = {}
        # Without autograd anywhere in a step its views and versions need not be kept account of: a sixth of a small step.
        self._is_written_out = isinstance(weights.network, Mlp) and not any(member.changes_targets for member in members)
        self._has_weight_noise = any(member.fit.spec.regularization.weight_noise > 0 for member in members)
        self._has_work_on_gradients = any(
            penalties.acts_on(i) or member.fit.spec.training.gradient_clip_norm is not None for i, member in enumerate(members)
        )
        self._has_max_norm = any(member.fit.spec.regularization.max_norm is not None for member in members)

    def train_epoch(self, number: int) -> Sequence[Tally]:
        """Let every live fit pass once over its training rows. A fit that diverges is marked and takes no further step."""
        with torch.inference_mode() if self._is_written_out else torch.no_grad():
            return self._train_epoch(number)

    def _train_epoch(self, number: int) -> Sequence[Tally]:
        members = self._members
        draws = EpochDraws([member.fit.seed for member in members], number, self._weights.parameters.dtype, self._device)
        epoch = _Epoch(
            number=number,
            rates=[member.schedule.rate(number) for member in members],
            tallies=[Tally() for _ in members],
            batch=self._batches(number, draws),
            masks=lambda rows: lambda fit, layer, shape, p: draws.mask(rows.start + fit, layer, shape, p),
            draws=draws,
        )
        for step in range(max(len(member.slots) for member in members)):
            for rows in self._groups(step):
                self._step(rows, step, epoch)
        return epoch.tallies

    def _batches(self, number: int, draws: EpochDraws) -> Callable[[slice, Sequence[Slot]], Batch]:
        members = self._members
        if self._rows is not None:
            return self._rows.arranged(number).batch
        orders = orders_of(members, number, self._device)

        def batch(rows: slice, slots: Sequence[Slot]) -> Batch:
            chosen = [orders[rows.start + k][slot.start : slot.stop] for k, slot in enumerate(slots)]
            return pick(members[rows], chosen, rows.start, draws)

        return batch

    def _groups(self, step: int) -> Iterator[slice]:
        """Give the fits that take this step together: all where shared operations are exact, else one by one."""
        sizes = [len(member.slots[step]) if step < len(member.slots) else 0 for member in self._members]
        is_shared = len(set(sizes)) == 1 and sizes[0] > 0 and sizes[0] % WIDE_ROWS == 0
        if is_shared and all(member.ended is None for member in self._members):
            yield slice(0, len(sizes))
            return
        for i, size in enumerate(sizes):
            if size > 0 and self._members[i].ended is None:
                yield slice(i, i + 1)

    def _pass(self, rows: slice, batch_rows: int) -> Pass:
        key = (rows.start, rows.stop, batch_rows)
        found = self._passes.get(key)
        if found is None:
            weights = self._weights
            with torch.inference_mode(mode=False), torch.no_grad():  # its buffers outlive this epoch
                found = training_pass(weights.network, weights.run(rows, batch_rows), weights.gradient[rows], batch_rows)
            self._passes[key] = found
        return found

    def _step(self, rows: slice, step: int, epoch: _Epoch) -> None:
        """Run one batch forward and backward; where it closes an update, update."""
        members = self._members[rows]
        slots = [member.slots[step] for member in members]
        batch = epoch.batch(rows, slots)
        size = slots[0].stop - slots[0].start
        passed = self._pass(rows, size)
        noised: AbstractContextManager[None] = self._noised(rows, epoch.draws) if self._has_weight_noise else nullcontext()
        with noised:
            outputs = passed.forward(batch.x, epoch.masks(rows))
            losses, gradient = objective(members, outputs, batch, _shares(slots, outputs))
            passed.backward(gradient, adds=not slots[0].opens)
        for tally, total in zip(epoch.tallies[rows], losses.sum(1).tolist(), strict=True):
            tally.objective += total
            tally.rows += size
        self._close(rows, slots, epoch)

    @contextmanager
    def _noised(self, rows: slice, draws: EpochDraws) -> Iterator[None]:
        """Put noise on weights, where asked, and take it off again to the last bit."""
        clean: dict[int, Tensor] = {}
        for i in range(rows.start, rows.stop):
            sigma = self._members[i].fit.spec.regularization.weight_noise
            if sigma > 0:
                row = self._weights.parameters[i]
                clean[i] = row.clone()
                noise = self._weights.layout.stored(draws.normals(i, "weight_noise", row.shape))
                row.add_(noise * self._weights.is_weight, alpha=sigma)
        yield
        for i, row in clean.items():
            self._weights.parameters[i].copy_(row)

    def _close(self, rows: slice, slots: Sequence[Slot], epoch: _Epoch) -> None:
        """Check what came of the batch and update the fits whose update it closes."""
        due = self._due(rows, slots, epoch)
        if len(due) == len(slots):
            self._optimizer.update(self._weights.parameters, self._weights.gradient, epoch.rates[rows], rows)
        else:
            for i in due:
                self._optimizer.update(self._weights.parameters, self._weights.gradient, epoch.rates[i : i + 1], slice(i, i + 1))
        for i in due:
            epoch.tallies[i].steps += 1
            if self._has_max_norm:
                limit = self._members[i].fit.spec.regularization.max_norm
                limit_norms(self._weights.network, self._weights.layout, self._weights.parameters[i : i + 1], limit)
            if self._average is not None:
                self._average.follow(i, self._weights)

    def _due(self, rows: slice, slots: Sequence[Slot], epoch: _Epoch) -> Sequence[int]:
        """Give the fits that this batch updates: their gradients are finished and finite."""
        sums = part(self._weights.gradient, rows).sum(1).tolist()
        tallies = epoch.tallies[rows]
        is_plain = not self._has_work_on_gradients and all(slot.closes for slot in slots)
        if is_plain and all(map(math.isfinite, sums)) and all(math.isfinite(tally.objective) for tally in tallies):
            return range(rows.start, rows.stop)
        due = []
        for k, slot in enumerate(slots):
            i = rows.start + k
            if slot.closes:
                if self._finish_gradient(i, slot, epoch, sums[k]):
                    due.append(i)
            elif not math.isfinite(tallies[k].objective):
                self._diverged(i, "objective", epoch.number, epoch.tallies[i].steps)
        return due

    def _finish_gradient(self, i: int, slot: Slot, epoch: _Epoch, total: float) -> bool:
        """Add penalties, check, clip. A fit whose objective or gradient is not finite takes no step and has diverged.

        `total` is the sum of the gradient before penalties: where that is finite, so is every number in it.
        """
        tally = epoch.tallies[i]
        spec = self._members[i].fit.spec
        if self._penalties.acts_on(i):
            gradient = self._weights.gradient[i]
            tally.objective += self._penalties.add(i, self._weights.parameters[i], gradient) * slot.update_rows
            total = math.nan
        if not math.isfinite(tally.objective):
            self._diverged(i, "objective", epoch.number, epoch.tallies[i].steps)
            return False
        if not math.isfinite(total) and not _is_finite(self._weights.gradient[i]):
            self._diverged(i, "gradient", epoch.number, epoch.tallies[i].steps)
            return False
        if spec.training.gradient_clip_norm is not None:
            clip_by_norm(self._weights.gradient[i], spec.training.gradient_clip_norm)
        return True

    def _diverged(self, i: int, what: str, number: int, steps: int) -> None:
        """Mark a fit that took `steps` updates in epoch `number` and no more."""
        member = self._members[i]
        member.ended = StopReason.DIVERGED
        member.message = f"the {what} was no longer finite in epoch {number}, update {steps + 1}"


def _shares(slots: Sequence[Slot], like: Tensor) -> Tensor | float:
    """Give each row's share in the mean over its update: a number, or [k, 1, 1]."""
    first = slots[0].update_rows
    if all(slot.update_rows == first for slot in slots):
        return 1 / first
    return like.new_tensor([1 / slot.update_rows for slot in slots]).view(-1, 1, 1)


def _is_finite(gradient: Tensor) -> bool:
    low, high = torch.aminmax(gradient)
    return math.isfinite(float(low)) and math.isfinite(float(high))

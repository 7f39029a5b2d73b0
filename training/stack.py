"""K fits of one structure, trained together: one network over a matrix of weights.

On CPUs a fit in a stack is bit for bit the fit alone: fits share an operation only where that was measured to hold
(see models.base), and otherwise take turns.
"""

import math
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from models.base import WIDE_ROWS, Masks
from models.build import build
from training.averaging import Average
from training.checkpoint import load, save
from training.draws import EpochDraws
from training.evaluation import measure
from training.figures import RowFigures
from training.inputs import pick
from training.members import Member, Shelf, Slot
from training.monitors import monitored
from training.objective import training_losses
from training.optimizers.build import build as build_optimizer
from training.records import EpochRecord, Fit, StopReason, TrainingEvent
from training.regularizers.build import Penalties, clip_by_norm, limit_norms
from training.seeding import row_order
from training.structure import structure
from training.weights import Weights


@dataclass
class _Tally:
    """What the optimizer saw of one fit in one epoch."""

    objective: float = 0.0
    rows: int = 0
    steps: int = 0


@dataclass(frozen=True)
class _Epoch:
    """What the steps of one epoch share: its number, each fit's order of rows, rate and tally, and the draws."""

    number: int
    orders: Sequence[Tensor]
    rates: Sequence[float]
    tallies: Sequence[_Tally]
    draws: EpochDraws


class Stack:
    """The live fits of one structure and their matrices.

    `unread` are the events that came about and were not taken from the loop yet: an epoch is whole or has not been.
    """

    def __init__(self, fits: Sequence[Fit], device: str = "cpu") -> None:
        """Set the fits up, untrained.

        Raises:
            ValueError: no fits, or fits that cannot share a network.
        """
        structures = {structure(fit) for fit in fits}
        if len(structures) != 1:
            raise ValueError("a stack needs fits of one structure: network, loss, optimizer, batches, precision and kind of weights kept")
        [self._structure] = structures
        self.device = torch.device(device)
        first = fits[0]
        self._dtype = torch.float64 if first.spec.training.precision == "float64" else torch.float32
        shelf = Shelf(self._dtype, self.device)
        self.members = [shelf.member(fit) for fit in fits]
        self.unread: deque[TrainingEvent] = deque()
        network = build(first.spec.network, tuple(first.data.train.x.shape[1:]), first.data.num_outputs)
        specs = [fit.spec.network for fit in fits]
        self.weights = Weights.drawn(network, specs, [fit.seed for fit in fits], self._dtype, self.device)
        self._optimizer = build_optimizer([fit.spec.optimizer for fit in fits], self.weights.parameters, self.weights.is_weight)
        self._penalties = Penalties([fit.spec.regularization for fit in fits], self.weights.is_weight)
        decays = [fit.spec.regularization.ema_decay for fit in fits]
        self._average = Average(self.weights, [decay for decay in decays if decay is not None]) if decays[0] is not None else None

    @property
    def measured(self) -> Weights:
        """Give the weights that are measured and kept: their average, where one is taken."""
        return self.weights if self._average is None else self._average.weights

    def train_epoch(self, number: int) -> Sequence[_Tally]:
        """Let every live fit pass once over its training rows. A fit that diverges is marked and takes no further step."""
        members = self.members
        epoch = _Epoch(
            number=number,
            orders=[self._order(member, number) for member in members],
            rates=[member.schedule.rate(number) for member in members],
            tallies=[_Tally() for _ in members],
            draws=EpochDraws([member.fit.seed for member in members], number, self._dtype, self.device),
        )
        for step in range(max(len(member.slots) for member in members)):
            for rows in self._groups(step):
                self._step(rows, step, epoch)
        return epoch.tallies

    def figures(self) -> list[tuple[RowFigures, RowFigures | None]]:
        """Measure every live fit on its training and validation rows, in evaluation mode."""
        loss = self.members[0].loss
        train = measure(self.measured, [member.measured_train for member in self.members], loss)
        parts = [member.val for member in self.members]
        present = [part for part in parts if part is not None]
        if len(present) < len(parts):  # one structure: all have validation rows or none
            return [(figures, None) for figures in train]
        return list(zip(train, measure(self.measured, present, loss), strict=True))

    def remember(self, i: int, record: EpochRecord) -> None:
        """Take an epoch's record of member `i`: follow its monitor and copy new best weights."""
        member = self.members[i]
        member.last_epoch = record.epoch
        value = monitored(member.stopper.monitor, record.val_loss, record.val_metrics)
        is_best = value is not None and member.stopper.see(record.epoch, value)
        if is_best:
            member.best = self.measured.alone(i)
        if is_best or value is None:
            member.figures = _figures(record)
        if member.schedule.monitor is not None:
            followed = monitored(member.schedule.monitor, record.val_loss, record.val_metrics)
            if followed is not None:
                member.schedule.see(record.epoch, followed)

    @property
    def next_epoch(self) -> int:
        """Give the epoch that the live fits come to next: they have all gone through the same ones."""
        last = self.members[0].last_epoch
        return 0 if last is None else last + 1

    @property
    def is_between_epochs(self) -> bool:
        """Tell whether everything that came about so far was taken from the loop, outcomes too: then a checkpoint misses nothing.

        False before epoch 0, and once no fit is live.
        """
        if not self.members or self.unread:
            return False
        return all(member.ended is None and member.last_epoch is not None for member in self.members)

    def checkpoint(self, numbers: Collection[int] | None = None) -> dict[int, bytes]:
        """Give by number what each live fit (or each of `numbers`) goes on from after its last epoch.

        May be called from within `for event in train(stack)`, wherever `is_between_epochs` holds: after the last event of
        an epoch.

        Raises:
            ValueError: events of the last epoch were not taken yet, or one of `numbers` is not live.
        """
        if not self.is_between_epochs:
            raise ValueError("a checkpoint is made between epochs, once every event of the last one was taken")
        live = {member.fit.number: i for i, member in enumerate(self.members)}
        asked = live.keys() if numbers is None else numbers
        if not live.keys() >= set(asked):
            raise ValueError(f"fits that are not live have no checkpoint: {sorted(set(asked) - live.keys())}")
        return {number: self.saved(live[number]) for number in asked}

    def saved(self, i: int) -> bytes:
        """Give the checkpoint of member `i` after its last epoch."""
        updates = None if self._average is None else self._average.updates[i]
        return save(
            self.members[i], self._structure, self.weights.layout, self._state(i), steps=self._optimizer.steps[i], average_updates=updates
        )

    def restore(self, checkpoints: Mapping[int, bytes]) -> None:
        """Take a stack that was not trained yet to where its fits' checkpoints were made, all after the same epoch.

        The fits may have shared other stacks: on CPUs what follows is bit for bit what would have followed there. A fit
        that ends (or pauses) with that epoch leaves the stack before the next one.

        Raises:
            ValueError: a fit without a checkpoint or a checkpoint without a fit; checkpoints of other fits, of different
                epochs or of another format; or a stack that has begun. The stack is then as it was.
        """
        numbers = [member.fit.number for member in self.members]
        if sorted(numbers) != sorted(checkpoints):
            raise ValueError(f"a stack of the fits {sorted(numbers)} cannot go on from checkpoints of {sorted(checkpoints)}")
        if any(member.last_epoch is not None for member in self.members):
            raise ValueError("a stack that has begun cannot be restored")
        states = [self._state(i) for i in range(len(numbers))]
        read = [
            load(checkpoints[member.fit.number], member, self._structure, state) for member, state in zip(self.members, states, strict=True)
        ]
        if len({one.facts.last_epoch for one in read}) != 1:
            raise ValueError(f"checkpoints of different epochs: {sorted({one.facts.last_epoch for one in read})}")
        for i, (member, one, state) in enumerate(zip(self.members, read, states, strict=True)):
            one.restore(member, state, self.measured.alone(i))
            self._optimizer.steps[i] = one.facts.steps
            if self._average is not None and one.facts.average_updates is not None:
                self._average.updates[i] = one.facts.average_updates
            member.ended = member.due

    def _state(self, i: int) -> dict[str, Tensor]:
        """View every row that the training of member `i` goes on from."""
        averaged = {} if self._average is None else self._average.weights.row(i)
        return {
            **self.weights.row(i),
            **{f"optimizer.{name}": row for name, row in self._optimizer.row(i).items()},
            **{f"average.{name}": row for name, row in averaged.items()},
        }

    def drop_ended(self) -> None:
        """Take ended fits out of every matrix."""
        live = [i for i, member in enumerate(self.members) if member.ended is None]
        if len(live) == len(self.members):
            return
        self.members = [self.members[i] for i in live]
        self.weights.keep(live)
        self._optimizer.keep(live)
        self._penalties.keep(live)
        if self._average is not None:
            self._average.keep(live)

    def _order(self, member: Member, epoch: int) -> Tensor:
        rows = len(member.train)
        if member.balanced_rows is not None:
            return member.balanced_rows.order(member.fit.seed, epoch).to(self.device)
        if len(member.slots) == 1:  # full-batch descent sees all rows in any order: keep theirs
            return torch.arange(rows, device=self.device)
        return row_order(member.fit.seed, epoch, rows).to(self.device)

    def _groups(self, step: int) -> Iterator[slice]:
        """Give the fits that take this step together: all where shared operations are exact, else one by one."""
        sizes = [_size(member, step) for member in self.members]
        is_shared = len(set(sizes)) == 1 and sizes[0] > 0 and (sizes[0] % WIDE_ROWS == 0 or self.device.type != "cpu")
        if is_shared and all(member.ended is None for member in self.members):
            yield slice(0, len(sizes))
            return
        for i, size in enumerate(sizes):
            if size > 0 and self.members[i].ended is None:
                yield slice(i, i + 1)

    def _step(self, rows: slice, step: int, epoch: _Epoch) -> None:
        """Run one batch forward and backward; where it closes an update, update."""
        members = self.members[rows]
        slots = [member.slots[step] for member in members]
        chosen = [epoch.orders[rows.start + k][slot.start : slot.stop] for k, slot in enumerate(slots)]
        batch = pick(members, chosen, rows.start, epoch.draws)
        if all(slot.opens for slot in slots):
            self.weights.gradient[rows].zero_()
        else:
            for k in (k for k, slot in enumerate(slots) if slot.opens):
                self.weights.gradient[rows.start + k].zero_()
        with self._noised(rows, epoch.draws):
            outputs = self.weights.network.forward(batch.x, self.weights.run(rows, len(slots[0]), self._masks(rows, epoch.draws)))
            losses = training_losses(members, outputs, batch)
            losses.backward(_shares(slots, losses))  # type: ignore[no-untyped-call]  # the gradient of each update's mean
        for k, total in enumerate(losses.detach().sum(1).tolist()):
            tally = epoch.tallies[rows.start + k]
            tally.objective += total
            tally.rows += len(slots[k])
        with torch.no_grad():
            self._close(rows, slots, epoch)

    def _masks(self, rows: slice, draws: EpochDraws) -> Masks:
        return lambda fit, layer, shape, probability: draws.mask(rows.start + fit, layer, shape, probability)

    @contextmanager
    def _noised(self, rows: slice, draws: EpochDraws) -> Iterator[None]:
        """Put noise on weights, where asked, and take it off again to the last bit."""
        clean: dict[int, Tensor] = {}
        for i in range(rows.start, rows.stop):
            sigma = self.members[i].fit.spec.regularization.weight_noise
            if sigma > 0:
                row = self.weights.parameters[i]
                clean[i] = row.clone()
                noise = self.weights.layout.stored(draws.normals(i, "weight_noise", row.shape))
                row.add_(noise * self.weights.is_weight, alpha=sigma)
        yield
        for i, row in clean.items():
            self.weights.parameters[i].copy_(row)

    def _close(self, rows: slice, slots: Sequence[Slot], epoch: _Epoch) -> None:
        """Check what came of the batch and update the fits whose update it closes."""
        due = []
        for k, slot in enumerate(slots):
            i = rows.start + k
            if slot.closes:
                if self._finish_gradient(i, slot, epoch):
                    due.append(i)
            elif not math.isfinite(epoch.tallies[i].objective):
                self._diverged(i, "objective", epoch)
        if len(due) == len(slots):
            self._optimizer.update(self.weights.parameters, self.weights.gradient, epoch.rates[rows], rows)
        else:
            for i in due:
                self._optimizer.update(self.weights.parameters, self.weights.gradient, epoch.rates[i : i + 1], slice(i, i + 1))
        for i in due:
            epoch.tallies[i].steps += 1
            limit = self.members[i].fit.spec.regularization.max_norm
            limit_norms(self.weights.network, self.weights.layout, self.weights.parameters[i : i + 1], limit)
            if self._average is not None:
                self._average.follow(i, self.weights)

    def _finish_gradient(self, i: int, slot: Slot, epoch: _Epoch) -> bool:
        """Add penalties, check, clip. A fit whose objective or gradient is not finite takes no step and has diverged."""
        weights, gradient, tally = self.weights.parameters[i], self.weights.gradient[i], epoch.tallies[i]
        tally.objective += self._penalties.add(i, weights, gradient) * slot.update_rows
        low, high = torch.aminmax(gradient)
        if not math.isfinite(tally.objective):
            self._diverged(i, "objective", epoch)
            return False
        if not (math.isfinite(float(low)) and math.isfinite(float(high))):
            self._diverged(i, "gradient", epoch)
            return False
        clip_by_norm(gradient, self.members[i].fit.spec.training.gradient_clip_norm)
        return True

    def _diverged(self, i: int, what: str, epoch: _Epoch) -> None:
        self.members[i].ended = StopReason.DIVERGED
        self.members[i].message = f"the {what} was no longer finite in epoch {epoch.number}, update {epoch.tallies[i].steps + 1}"


def _shares(slots: Sequence[Slot], losses: Tensor) -> Tensor:
    """Give each row's share in the mean over its update, [k, B]."""
    if len({slot.update_rows for slot in slots}) == 1:
        return torch.full_like(losses, 1 / slots[0].update_rows)
    return losses.new_tensor([[1 / slot.update_rows] for slot in slots]).expand_as(losses)


def _size(member: Member, step: int) -> int:
    return len(member.slots[step]) if step < len(member.slots) else 0


def _figures(record: EpochRecord) -> dict[str, float]:
    """Give an epoch's figures under the names of monitors."""
    losses = (
        {"train_loss": record.train_loss} if record.val_loss is None else {"train_loss": record.train_loss, "val_loss": record.val_loss}
    )
    train = {f"train_{metric}": value for metric, value in record.train_metrics.items()}
    return {**losses, **train, **{f"val_{metric}": value for metric, value in record.val_metrics.items()}}

"""K fits of one structure, trained together: one network over a matrix of weights.

On CPUs a fit in a stack is bit for bit the fit alone: fits share an operation only where that was measured to hold
(see models.base), and otherwise take turns.
"""

from collections import deque
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from models.build import build
from training.averaging import Average
from training.checkpoint import load, save
from training.device_stepping import DeviceStepper
from training.environment import use_full_precision
from training.evaluation import measure
from training.figures import RowFigures
from training.members import Shelf
from training.monitors import monitored
from training.optimizers.build import build as build_optimizer
from training.records import EpochRecord, Fit, TrainingEvent
from training.regularizers.build import Penalties
from training.stepping import Stepper, Tally
from training.structure import structure
from training.weights import Weights


class Stack:
    """The live fits of one structure and their matrices.

    `unread` are the events that came about and were not taken from the loop yet: an epoch is whole or has not been.
    """

    def __init__(self, fits: Sequence[Fit], device: str = "cpu", steps: type[Stepper] | None = None) -> None:
        """Set the fits up, untrained. `steps` is how they are trained: None chooses by `device`.

        Raises:
            ValueError: no fits, or fits that cannot share a network.
        """
        structures = {structure(fit) for fit in fits}
        if len(structures) != 1:
            raise ValueError("a stack needs fits of one structure: network, loss, optimizer, batches, precision and kind of weights kept")
        [self._structure] = structures
        self.device = torch.device(device)
        use_full_precision()
        self._steps = steps or (Stepper if self.device.type == "cpu" else DeviceStepper)
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
        self._stepper: Stepper | None = None

    @property
    def measured(self) -> Weights:
        """Give the weights that are measured and kept: their average, where one is taken."""
        return self.weights if self._average is None else self._average.weights

    def train_epoch(self, number: int) -> Sequence[Tally]:
        """Let every live fit pass once over its training rows. A fit that diverges is marked and takes no further step."""
        if self._stepper is None:
            self._stepper = self._steps(self.members, self.weights, self._optimizer, self._penalties, self._average)
        return self._stepper.train_epoch(number)

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
        self._stepper = None
        self.members = [self.members[i] for i in live]
        self.weights.keep(live)
        self._optimizer.keep(live)
        self._penalties.keep(live)
        if self._average is not None:
            self._average.keep(live)


def _figures(record: EpochRecord) -> dict[str, float]:
    """Give an epoch's figures under the names of monitors."""
    losses = (
        {"train_loss": record.train_loss} if record.val_loss is None else {"train_loss": record.train_loss, "val_loss": record.val_loss}
    )
    train = {f"train_{metric}": value for metric, value in record.train_metrics.items()}
    return {**losses, **train, **{f"val_{metric}": value for metric, value in record.val_metrics.items()}}

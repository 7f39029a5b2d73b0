"""K fits of one structure, trained together: one network over a matrix of weights.

On CPUs a fit in a stack is bit for bit the fit alone: fits share an operation only where that was measured to hold
(see models.base), and otherwise take turns.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.base import WIDE_ROWS
from models.build import build
from models.spec import NetworkSpec
from training.evaluation import RowFigures, measure
from training.losses.build import row_losses
from training.members import Member, Shelf
from training.optimizers.build import build as build_optimizer
from training.records import EpochRecord, Fit, StopReason, TrainingEvent
from training.regularizers.build import Penalties, clip_by_norm
from training.schedules.build import learning_rate
from training.seeding import generator, keep_mask, row_order
from training.stopping.build import monitored
from training.weights import Weights


@dataclass
class _Tally:
    """What the optimizer saw of one fit in one epoch."""

    objective: float = 0.0
    rows: int = 0
    steps: int = 0


class _Masks:
    """Dropout masks of one epoch: every fit and layer draws from a generator of its own."""

    def __init__(self, members: Sequence[Member], epoch: int, dtype: torch.dtype, device: torch.device) -> None:
        self._seeds = [member.fit.seed for member in members]
        self._epoch = epoch
        self._dtype = dtype
        self._device = device
        self._sources: dict[tuple[int, str], torch.Generator] = {}
        self.first = 0  # the fit that is number 0 of the pass under way

    def __call__(self, fit: int, layer: str, shape: tuple[int, ...], probability: float) -> Tensor:
        if probability == 0:
            return torch.ones(shape, dtype=self._dtype, device=self._device)
        key = (self.first + fit, layer)
        if key not in self._sources:
            self._sources[key] = generator(self._seeds[key[0]], self._epoch, "dropout", layer)
        return keep_mask(self._sources[key], shape, probability, self._dtype).to(self._device)


class Stack:
    """The live fits of one structure and their matrices.

    `unread` are the events that came about and were not taken from the loop yet: an epoch is whole or has not been.
    """

    def __init__(self, fits: Sequence[Fit], device: str = "cpu") -> None:
        """Set the fits up, untrained.

        Raises:
            ValueError: no fits, or fits that cannot share a network.
        """
        if len({_structure(fit) for fit in fits}) != 1:
            raise ValueError("a stack needs fits of one structure: network, optimizer, batch size and precision")
        self.device = torch.device(device)
        first = fits[0]
        self._dtype = torch.float64 if first.spec.training.precision == "float64" else torch.float32
        shelf = Shelf(self._dtype, self.device)
        self.members = [shelf.member(fit) for fit in fits]
        self.unread: deque[TrainingEvent] = deque()
        network = build(first.spec.network, tuple(first.data.train.x.shape[1:]), first.data.num_outputs)
        specs = [fit.spec.network for fit in fits]
        self.weights = Weights.drawn(network, specs, [fit.seed for fit in fits], self._dtype, self.device)
        self._optimizer = build_optimizer([fit.spec.optimizer for fit in fits], self.weights.parameters)
        self._penalties = Penalties([fit.spec.regularization for fit in fits], network, self.weights.layout, self.weights.parameters)

    def train_epoch(self, epoch: int) -> list[_Tally]:
        """Let every live fit pass once over its training rows. A fit that diverges is marked and takes no further step."""
        members = self.members
        tallies = [_Tally() for _ in members]
        rates = [learning_rate(m.fit.spec.schedule, m.fit.spec.optimizer.learning_rate, epoch) for m in members]
        orders = [self._order(member, epoch) for member in members]
        masks = _Masks(members, epoch, self._dtype, self.device)
        for step in range(max(len(member.batches) for member in members)):
            for rows in self._groups(step):
                masks.first = rows.start
                chosen = [orders[i][slice(*members[i].batches[step])] for i in range(rows.start, rows.stop)]
                self._step(rows, chosen, tallies, rates, masks, epoch)
        return tallies

    def figures(self) -> list[tuple[RowFigures, RowFigures | None]]:
        """Measure every live fit on its training and validation rows, in evaluation mode."""
        loss = self.members[0].loss
        train = measure(self.weights, [member.measured_train for member in self.members], loss)
        parts = [member.val for member in self.members]
        present = [part for part in parts if part is not None]
        if len(present) < len(parts):  # one structure: all have validation rows or none
            return [(figures, None) for figures in train]
        return list(zip(train, measure(self.weights, present, loss), strict=True))

    def remember(self, i: int, record: EpochRecord) -> None:
        """Take an epoch's record of member `i`: follow its monitor and copy new best weights."""
        member = self.members[i]
        member.last_epoch = record.epoch
        value = monitored(record, member.stopper.monitor)
        if value is not None and member.stopper.see(record.epoch, value):
            member.best = self.weights.alone(i)

    def drop_ended(self) -> None:
        """Take ended fits out of every matrix."""
        live = [i for i, member in enumerate(self.members) if member.ended is None]
        if len(live) == len(self.members):
            return
        self.members = [self.members[i] for i in live]
        self.weights.keep(live)
        self._optimizer.keep(live)
        self._penalties.keep(live)

    def _order(self, member: Member, epoch: int) -> Tensor:
        rows = len(member.train)
        if len(member.batches) == 1:  # full-batch descent sees all rows in any order: keep theirs
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

    def _step(self, rows: slice, chosen: list[Tensor], tallies: list[_Tally], rates: list[float], masks: _Masks, epoch: int) -> None:
        members = self.members[rows]
        count = len(chosen[0])
        x, y = _gather(members, chosen)
        self.weights.gradient[rows].zero_()
        outputs = self.weights.network.forward(x, self.weights.run(rows, count, masks))
        losses = row_losses(members[0].loss, outputs, y)
        losses.backward(torch.full_like(losses, 1 / count))  # type: ignore[no-untyped-call]  # the gradient of each fit's mean
        objectives = (losses.detach().sum(1) / count).tolist()
        with torch.no_grad():
            healthy = [self._finish_gradient(rows.start + k, objectives, k, epoch, tallies) for k in range(len(members))]
            if all(healthy):
                self._optimizer.update(self.weights.parameters, self.weights.gradient, rates[rows], rows)
            else:
                for i in (rows.start + k for k, is_healthy in enumerate(healthy) if is_healthy):
                    self._optimizer.update(self.weights.parameters, self.weights.gradient, rates[i : i + 1], slice(i, i + 1))
        for k, is_healthy in enumerate(healthy):
            if is_healthy:
                tally = tallies[rows.start + k]
                tally.objective += objectives[k] * count
                tally.rows += count
                tally.steps += 1

    def _finish_gradient(self, i: int, objectives: list[float], k: int, epoch: int, tallies: list[_Tally]) -> bool:
        """Add penalties, check, clip. A fit whose objective or gradient is not finite takes no step and has diverged."""
        weights, gradient = self.weights.parameters[i], self.weights.gradient[i]
        objectives[k] += self._penalties.add(i, weights, gradient)
        low, high = torch.aminmax(gradient)
        if math.isfinite(objectives[k]) and math.isfinite(float(low)) and math.isfinite(float(high)):
            clip_by_norm(gradient, self.members[i].fit.spec.training.gradient_clip_norm)
            return True
        what = "gradient" if math.isfinite(objectives[k]) else "objective"
        self.members[i].ended = StopReason.DIVERGED
        self.members[i].message = f"the {what} was no longer finite in epoch {epoch}, update {tallies[i].steps + 1}"
        return False


def _gather(members: Sequence[Member], chosen: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Pick each fit's batch: x [k, B, *input_shape], y [k, B]."""
    first = members[0].train
    if all(member.train is first for member in members):
        picked = chosen[0] if len(chosen) == 1 else torch.cat(chosen)
        x, y = first.x.index_select(0, picked), first.y.index_select(0, picked)
        return x.view(len(members), -1, *x.shape[1:]), y.view(len(members), -1)
    pairs = [
        (member.train.x.index_select(0, picked), member.train.y.index_select(0, picked))
        for member, picked in zip(members, chosen, strict=True)
    ]
    return torch.stack([x for x, _ in pairs]), torch.stack([y for _, y in pairs])


def _size(member: Member, step: int) -> int:
    if step >= len(member.batches):
        return 0
    start, stop = member.batches[step]
    return stop - start


def _structure(fit: Fit) -> tuple[object, ...]:
    spec = fit.spec
    network = _without_numbers(spec.network)
    shape = tuple(fit.data.train.x.shape[1:])
    return (
        network,
        shape,
        fit.data.num_outputs,
        fit.data.task,
        fit.data.val is None,
        spec.loss,
        spec.optimizer.name,
        spec.training.batch_size,
        spec.training.precision,
    )


def _without_numbers(spec: NetworkSpec) -> NetworkSpec:
    """Forget what may differ between the fits of a stack."""
    plain = {"dropout": 0.0}
    if spec.normalization is None:
        return spec.model_copy(update=plain)
    return spec.model_copy(update={**plain, "normalization": type(spec.normalization)(name=spec.normalization.name)})  # type: ignore[arg-type]

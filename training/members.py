"""One fit inside a stack: its rows on the device, its schedule and stopper, its best weights so far."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from models.normalizations.spec import BatchNormSpec
from training.evaluation import Part
from training.losses.spec import LossSpec
from training.records import Fit, FitData, Rows, StopReason
from training.schedules.build import Schedule
from training.seeding import stratified_sample
from training.stopping.build import Stopper
from training.weighting import BalancedRows, class_weights, row_weights
from training.weights import Weights


@dataclass(frozen=True)
class Slot:
    """A batch of an epoch: positions in its order, and the update that it is part of.

    `update_rows` counts the rows of all batches of that update, whose first opens it and whose last closes it.
    """

    start: int
    stop: int
    update_rows: int
    opens: bool
    closes: bool

    def __len__(self) -> int:
        """Count the rows of the batch."""
        return self.stop - self.start


@dataclass(frozen=True)
class ChannelUnits:
    """Mean and scale of each channel [C, 1, 1] that take standardised images back to [0, 1]."""

    mean: Tensor
    scale: Tensor


@dataclass
class Member:
    """A fit and what it has come to. `measured_train` are the training rows measured every epoch.

    `class_weights` [K] weigh rows by class in the objective, `row_weights` [n] each training row, `balanced_rows` draws
    epochs in which classes come equally often. `figures` are those of the best epoch so far by the stopper's monitor
    (train_loss, val_accuracy, ...), of the last one where there are no validation rows.
    """

    fit: Fit
    train: Part
    measured_train: Part
    val: Part | None
    test: Part | None
    slots: Sequence[Slot]
    stopper: Stopper
    schedule: Schedule
    units: ChannelUnits | None = None
    class_weights: Tensor | None = None
    row_weights: Tensor | None = None
    balanced_rows: BalancedRows | None = None
    best: Weights | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    last_epoch: int | None = None
    ended: StopReason | None = None
    message: str | None = None

    @property
    def loss(self) -> LossSpec:
        """Give the data term of a resolved spec."""
        if self.fit.spec.loss is None:
            raise ValueError("a spec without a loss has not been resolved")
        return self.fit.spec.loss

    @cached_property
    def changes_inputs(self) -> bool:
        """Tell whether training inputs are anything but the rows themselves."""
        spec = self.fit.spec.regularization
        return bool(spec.augmentations) or spec.mixup_alpha > 0 or spec.cutmix_alpha > 0 or spec.input_noise > 0

    @cached_property
    def changes_targets(self) -> bool:
        """Tell whether the objective's data term is anything but the plain loss of rows, weights of rows aside."""
        spec = self.fit.spec.regularization
        return spec.label_smoothing > 0 or spec.mixup_alpha > 0 or spec.cutmix_alpha > 0 or self.class_weights is not None

    @property
    def keeps_best(self) -> bool:
        """Tell whether the best epoch's weights are kept, or the last one's."""
        return self.fit.spec.training.kept_weights == "best" and self.val is not None

    @property
    def due(self) -> StopReason | None:
        """Tell why the fit ends with its last epoch, if it does. A pause gives way to any end."""
        fit, epoch = self.fit, self.last_epoch
        if epoch is None:
            return None
        if self.stopper.is_out_of_patience:
            return StopReason.EARLY_STOPPING
        if epoch >= fit.spec.training.max_epochs or (fit.stop_at is not None and epoch >= fit.stop_at):
            return StopReason.MAX_EPOCHS
        return StopReason.PAUSED if fit.pause_at is not None and epoch >= fit.pause_at else None


class Shelf:
    """Tensors of the rows of all fits; fits that share arrays share tensors."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        """Start empty."""
        self._dtype = dtype
        self._device = device
        self._parts: dict[tuple[int, int, float], Part] = {}

    def member(self, fit: Fit) -> Member:
        """Set a fit up, untrained."""
        data, spec = fit.data, fit.spec
        train = self._part(data, data.train)
        measured, limit = train, spec.evaluation.max_train_rows
        if limit is not None and len(train) > limit:
            chosen = torch.from_numpy(stratified_sample(fit.seed, np.asarray(data.train.y), limit)).to(self._device)
            measured = Part(x=train.x[chosen], y=train.y[chosen], task=train.task, scale=train.scale)
        regularization, labels = spec.regularization, np.asarray(data.train.y)
        cuts = batches(len(train), spec.training.batch_size, merges_single=isinstance(spec.network.normalization, BatchNormSpec))
        return Member(
            fit=fit,
            train=train,
            measured_train=measured,
            val=None if data.val is None else self._part(data, data.val),
            test=None if data.test is None else self._part(data, data.test),
            slots=slots(cuts, spec.training.accumulate_batches),
            stopper=Stopper(spec.early_stopping),
            schedule=Schedule(spec.schedule, spec.optimizer.learning_rate, spec.training.max_epochs),
            units=self._units(data),
            class_weights=None
            if regularization.class_weights is None
            else self._tensor(class_weights(regularization.class_weights, labels, data.num_outputs)),
            row_weights=None if data.weights is None else self._tensor(row_weights(data.weights, len(train))),
            balanced_rows=BalancedRows(labels) if regularization.balanced_sampling else None,
        )

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(self._device, self._dtype)

    def _units(self, data: FitData) -> ChannelUnits | None:
        if data.channel_units is None:
            return None
        mean, scale = (self._tensor(np.array(one)).view(-1, 1, 1) for one in data.channel_units)
        return ChannelUnits(mean, scale)

    def _part(self, data: FitData, rows: Rows) -> Part:
        key = (id(rows.x), id(rows.y), data.target_scale)  # the fits hold the arrays, so ids stay theirs
        if key not in self._parts:
            x = torch.from_numpy(np.require(rows.x, requirements=["C", "W"])).to(self._device, self._dtype)
            y = torch.from_numpy(np.require(rows.y, requirements=["C", "W"])).to(self._device)
            if data.task == "regression":
                y = y.to(self._dtype)
            self._parts[key] = Part(x=x, y=y, task=data.task, scale=data.target_scale)
        return self._parts[key]


def batches(rows: int, size: int | str, *, merges_single: bool) -> list[tuple[int, int]]:
    """Cut positions 0 ... rows into batches; the last may be short. A trailing single row joins the batch before it where asked."""
    step = rows if isinstance(size, str) else min(size, rows)
    cuts = [*range(0, rows, step), rows]
    if merges_single and len(cuts) > 2 and cuts[-1] - cuts[-2] == 1:
        del cuts[-2]
    return list(itertools.pairwise(cuts))


def slots(cuts: Sequence[tuple[int, int]], accumulate: int) -> list[Slot]:
    """Group an epoch's batches into updates of `accumulate` batches each; the last update may have fewer."""
    found = []
    for first in range(0, len(cuts), accumulate):
        group = cuts[first : first + accumulate]
        rows = group[-1][1] - group[0][0]
        found += [Slot(*cut, rows, opens=k == 0, closes=k == len(group) - 1) for k, cut in enumerate(group)]
    return found

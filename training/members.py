"""One fit inside a stack: its rows on the device, its stopper, its best weights so far."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from models.normalizations.spec import BatchNormSpec
from training.evaluation import Part
from training.losses.spec import LossSpec
from training.records import Fit, FitData, Rows, StopReason
from training.seeding import stratified_sample
from training.stopping.build import Stopper
from training.weights import Weights


@dataclass
class Member:
    """A fit and what it has come to. `measured_train` are the training rows measured every epoch."""

    fit: Fit
    train: Part
    measured_train: Part
    val: Part | None
    test: Part | None
    batches: Sequence[tuple[int, int]]
    stopper: Stopper
    best: Weights | None = None
    last_epoch: int | None = None
    ended: StopReason | None = None
    message: str | None = None

    @property
    def loss(self) -> LossSpec:
        """Give the data term of a resolved spec."""
        if self.fit.spec.loss is None:
            raise ValueError("a spec without a loss has not been resolved")
        return self.fit.spec.loss

    @property
    def keeps_best(self) -> bool:
        """Tell whether the best epoch's weights are kept, or the last one's."""
        return self.fit.spec.training.kept_weights == "best" and self.val is not None


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
        return Member(
            fit=fit,
            train=train,
            measured_train=measured,
            val=None if data.val is None else self._part(data, data.val),
            test=None if data.test is None else self._part(data, data.test),
            batches=batches(len(train), spec.training.batch_size, merges_single=isinstance(spec.network.normalization, BatchNormSpec)),
            stopper=Stopper(spec.early_stopping),
        )

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

"""Learning rates over epochs. No torch."""

import math
from dataclasses import dataclass, field
from typing import assert_never

from training.monitors import Monitor, Progress
from training.schedules.spec import (
    ConstantSpec,
    CosineSpec,
    ExponentialSpec,
    OneCycleSpec,
    ReduceOnPlateauSpec,
    ScheduleSpec,
    StepSpec,
)


@dataclass
class Schedule:
    """The rates of one fit of `epochs` epochs whose optimizer asks for `base`."""

    spec: ScheduleSpec
    base: float
    epochs: int
    reductions: int = 0
    progress: Progress | None = field(init=False)

    def __post_init__(self) -> None:
        """Start before epoch 0."""
        spec = self.spec
        self.progress = Progress(spec.monitor, spec.min_delta) if isinstance(spec, ReduceOnPlateauSpec) else None

    @property
    def monitor(self) -> Monitor | None:
        """Name what is followed, if anything is."""
        return None if self.progress is None else self.progress.monitor

    def rate(self, epoch: int) -> float:
        """Give the rate that epoch `epoch` (from 1) uses, given what was seen of the epochs before it."""
        if epoch < 1:
            raise ValueError("epoch 0 precedes training and uses no learning rate")
        warmup = self.spec.warmup_epochs
        if epoch <= warmup:
            return self.base * epoch / (warmup + 1)
        return self.base * _factor(self.spec, epoch - warmup, self.epochs - warmup, self.reductions)

    def see(self, epoch: int, value: float) -> None:
        """Take the monitor's value at the end of an epoch."""
        if not isinstance(self.spec, ReduceOnPlateauSpec) or self.progress is None:
            return
        self.progress.see(epoch, value)
        if epoch <= self.spec.warmup_epochs:
            self.progress.bad_epochs = 0
        if self.progress.bad_epochs >= self.spec.patience:
            self.reductions += 1
            self.progress.bad_epochs = 0


def moves(spec: ScheduleSpec, epochs: int) -> bool:
    """Tell whether a schedule can change the rate within `epochs` epochs at all: one that cannot is a constant in disguise."""
    if spec.warmup_epochs > 0:
        return True
    if isinstance(spec, ReduceOnPlateauSpec):
        return spec.patience < epochs
    return any(_factor(spec, epoch, epochs, 0) != 1.0 for epoch in {1, 2, epochs // 2, epochs} if 1 <= epoch <= epochs)


def _factor(spec: ScheduleSpec, t: int, total: int, reductions: int) -> float:
    """Give eta_t / eta for t = 1 ... total."""
    match spec:
        case ConstantSpec():
            return 1.0
        case StepSpec():
            return float(spec.factor ** ((t - 1) // spec.every))
        case ExponentialSpec():
            return float(spec.factor ** (t - 1))
        case CosineSpec():
            return spec.min_factor + (1 - spec.min_factor) * (1 + math.cos(math.pi * (t - 1) / total)) / 2
        case OneCycleSpec():
            s = (t - 1) / max(total - 1, 1)
            if s <= spec.peak:
                return _along_cosine(spec.start_factor, 1.0, s / spec.peak)
            return _along_cosine(1.0, spec.final_factor, (s - spec.peak) / (1 - spec.peak))
        case ReduceOnPlateauSpec():
            return float(max(spec.factor**reductions, spec.min_factor))
        case _:
            assert_never(spec)


def _along_cosine(start: float, end: float, way: float) -> float:
    return start + (end - start) * (1 - math.cos(math.pi * way)) / 2

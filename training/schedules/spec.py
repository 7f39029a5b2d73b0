"""Learning-rate schedules: functions of the epoch e = 1 ... E, constant within an epoch. eta is the optimizer's learning rate.

Each may begin with a linear warm-up of W epochs: eta_e = eta * e / (W + 1) for e <= W (Goyal et al. 2017). The formulas
below then hold for t = e - W and T = E - W, so that epoch W + 1 is the schedule's first.
"""

from typing import Annotated, Literal

from pydantic import Field

from models.closed import Spec
from training.monitors import Monitor

Warmup = Annotated[int, Field(ge=0, description="Epochs W of linear warm-up: eta_e = eta * e / (W + 1) for e <= W; 0 is none.")]
Factor = Annotated[float, Field(gt=0, lt=1)]
MinFactor = Annotated[float, Field(ge=0, lt=1, description="The rate ends at (and never falls below) this times eta.")]


class ConstantSpec(Spec):
    """eta_t = eta: every epoch uses the optimizer's learning rate."""

    name: Literal["constant"]
    warmup_epochs: Warmup = 0


class StepSpec(Spec):
    """eta_t = eta * factor ^ floor((t - 1) / every)."""

    name: Literal["step"]
    every: Annotated[int, Field(ge=1, description="Epochs between two reductions.")] = 10
    factor: Annotated[Factor, Field(description="What the rate is multiplied by at each reduction.")] = 0.1
    warmup_epochs: Warmup = 0


class ExponentialSpec(Spec):
    """eta_t = eta * factor ^ (t - 1)."""

    name: Literal["exponential"]
    factor: Annotated[Factor, Field(description="What the rate is multiplied by after every epoch.")] = 0.95
    warmup_epochs: Warmup = 0


class CosineSpec(Spec):
    """eta_t = eta * (m + (1 - m) * (1 + cos(pi * (t - 1) / T)) / 2), m the min_factor (Loshchilov & Hutter 2017, without restarts)."""

    name: Literal["cosine"]
    min_factor: MinFactor = 0.0
    warmup_epochs: Warmup = 0


class OneCycleSpec(Spec):
    """From start_factor * eta up to eta, then down to final_factor * eta, along half cosines (Smith & Topin 2019).

    With progress s = (t - 1) / max(T - 1, 1): up while s <= peak, at s / peak of the way; then down, at (s - peak) / (1 - peak).
    At q of the way from a to b: a + (b - a) * (1 - cos(pi * q)) / 2.
    """

    name: Literal["one_cycle"]
    peak: Annotated[float, Field(gt=0, lt=1, description="Share of the epochs after which the rate is eta.")] = 0.3
    start_factor: Factor = 0.04
    final_factor: Annotated[float, Field(ge=0, lt=1)] = 4e-6
    warmup_epochs: Warmup = 0


class ReduceOnPlateauSpec(Spec):
    """Multiply the rate by `factor` after the `patience`-th consecutive epoch that did not improve on the best, and count anew.

    Improving is meant as in early stopping: better than the best by more than `min_delta`, in the monitor's own direction.
    Epochs of the warm-up do not count as without improvement.
    """

    name: Literal["reduce_on_plateau"]
    monitor: Monitor = "val_loss"
    factor: Annotated[Factor, Field(description="What the rate is multiplied by at each reduction.")] = 0.1
    patience: Annotated[int, Field(ge=1, description="Epochs without improvement before a reduction.")] = 5
    min_delta: Annotated[float, Field(ge=0)] = 0.0
    min_factor: MinFactor = 0.0
    warmup_epochs: Warmup = 0


ScheduleSpec = Annotated[
    ConstantSpec | StepSpec | ExponentialSpec | CosineSpec | OneCycleSpec | ReduceOnPlateauSpec, Field(discriminator="name")
]

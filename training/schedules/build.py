"""Learning rates over epochs: a function of epoch 1 ... E, constant within an epoch."""

from typing import assert_never

from training.schedules.spec import ConstantSpec, ScheduleSpec


def learning_rate(spec: ScheduleSpec, base: float, epoch: int) -> float:
    """Give the rate that epoch `epoch` (from 1) uses."""
    if epoch < 1:
        raise ValueError("epoch 0 precedes training and uses no learning rate")
    match spec:
        case ConstantSpec():
            return base
        case _:
            assert_never(spec)

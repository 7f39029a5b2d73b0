"""Learning-rate schedules: functions of the epoch 1 ... E, constant within an epoch."""

from typing import Literal

from models.closed import Spec


class ConstantSpec(Spec):
    """eta_e = eta: every epoch uses the optimizer's learning rate."""

    name: Literal["constant"]


ScheduleSpec = ConstantSpec

"""How fast a worker trains, as it travels between processes. No torch: the API estimates with it."""

from models.closed import Spec


class Speed(Spec):
    """What one worker process measured of itself (see training.calibration).

    `step_seconds` of a step of a tiny network alone and `stacked_step_seconds` of one fit's step in a stack; `dense_flops`
    and `conv_flops` are floating point operations a second beyond that.
    """

    step_seconds: float
    stacked_step_seconds: float
    dense_flops: float
    conv_flops: float

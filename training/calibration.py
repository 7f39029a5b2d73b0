"""How fast this process trains: what an estimate of a job's time is made of.

What a step costs whatever it computes, alone and in a stack, and how many floating point operations a second dense layers
and convolutions reach. Measured through the public loop, so that all of the loop's own work is in it.
"""

from typing import Any

import numpy as np

from models.shapes import layers, row_flops
from training.loop import train
from training.records import EpochRecord, Fit, FitData, Rows
from training.spec import FitSpec
from training.speed import Speed
from training.stack import Stack

_ROWS = 256
_EPOCHS = 3
_STACKED = 10
_TINY: dict[str, Any] = {"name": "mlp", "hidden_units": [16]}
_DENSE: dict[str, Any] = {"name": "mlp", "hidden_units": [512, 256]}
_CONV: dict[str, Any] = {"name": "cnn", "blocks": [{"channels": 16, "pool": 2}, {"channels": 32, "pool": 2}]}


def calibrate() -> Speed:
    """Measure, in about a second. Call with one thread."""
    tiny, stacked = _step_seconds(_TINY, (64,), 32, 1), _step_seconds(_TINY, (64,), 32, _STACKED) / _STACKED
    dense = _flops(_DENSE, (784,), tiny)
    conv = _flops(_CONV, (1, 16, 16), tiny)
    return Speed(step_seconds=tiny, stacked_step_seconds=stacked, dense_flops=dense, conv_flops=conv)


def _flops(network: dict[str, Any], shape: tuple[int, ...], overhead: float) -> float:
    batch = 64
    table = layers(_spec(network, batch).network, shape, 10)
    steps = _ROWS / batch
    # An epoch is steps forward and backward (3) and one pass over training and validation rows (2 of 1).
    operations = row_flops(table) * (3 * batch * steps + 2 * _ROWS) / steps
    return operations / max(_step_seconds(network, shape, batch, 1) - overhead, 1e-7)


def _step_seconds(network: dict[str, Any], shape: tuple[int, ...], batch: int, fits: int) -> float:
    """Wall time of one step with its share of the epoch's evaluation: of the fastest epoch, which nothing disturbed."""
    draws = np.random.default_rng(0)
    rows = Rows(x=draws.normal(size=(_ROWS, *shape)).astype(np.float32), y=np.arange(_ROWS) % 10)
    data = FitData(task="classification", num_outputs=10, train=rows, val=rows, test=None)
    stack = Stack([Fit(number=i, seed=i, spec=_spec(network, batch), data=data) for i in range(1, fits + 1)])
    seconds = [event.seconds for event in train(stack) if isinstance(event, EpochRecord) and event.epoch > 0]
    return min(seconds) / (_ROWS / batch)


def _spec(network: dict[str, Any], batch: int) -> FitSpec:
    return FitSpec.model_validate(
        {
            "network": network,
            "loss": {"name": "cross_entropy"},
            "training": {"max_epochs": _EPOCHS, "batch_size": batch},
            "evaluation": {"resamples": 100},
        }
    )

"""A first training before any job: kernels load and memory settles once, in the parent that worker children fork from."""

import numpy as np

from training.loop import train
from training.records import Fit, FitData, Rows
from training.spec import FitSpec
from training.stack import Stack

_SPECS = (
    {
        "network": {"name": "mlp", "hidden_units": [16], "dropout": 0.1, "normalization": {"name": "layer_norm"}},
        "optimizer": {"name": "adam"},
    },
    {
        "network": {"name": "cnn", "blocks": [{"channels": 4, "pool": 2}], "dropout": 0.1, "normalization": {"name": "batch_norm"}},
        "optimizer": {"name": "momentum"},
    },
)


def warm_up() -> None:
    """Train two tiny networks through the public loop. Call with one thread before forking: a parent that ran two gives children that hang."""
    draws = np.random.default_rng(0)
    x = draws.normal(size=(64, 1, 8, 8)).astype(np.float32)
    rows = Rows(x=x, y=np.arange(64) % 4)
    data = FitData(task="classification", num_outputs=4, train=rows, val=rows, test=None)
    for fields in _SPECS:
        spec = FitSpec.model_validate(
            {**fields, "loss": {"name": "cross_entropy"}, "training": {"max_epochs": 2}, "evaluation": {"resamples": 100}}
        )
        for _ in train(Stack([Fit(number=1, seed=0, spec=spec, data=data)])):
            pass

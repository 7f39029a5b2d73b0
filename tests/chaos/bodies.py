"""What is trained under chaos: every plan, every optimizer, every kind of network and normalization, a few seconds each."""

from typing import Any

from tests.plan_bodies import BODIES, body_of

_TIMES = {"fit": 40, "learning_curve": 25, "halving": 16, "boosting numbers": 6, "bias_variance": 6}
"""Epochs of each, so that all take about a second."""

_IRIS = {"dataset": "iris", "evaluation": {"resamples": 100}}
_NETWORKS: dict[str, dict[str, Any]] = {
    "batch_norm": {"network": {"name": "mlp", "hidden_units": [16, 8], "normalization": {"name": "batch_norm"}, "dropout": 0.2}},
    "layer_norm": {"network": {"name": "mlp", "hidden_units": [16], "normalization": {"name": "layer_norm"}, "activation": "tanh"}},
    "penalties": {"regularization": {"l1": 0.001, "l2": 0.001, "label_smoothing": 0.1, "mixup_alpha": 0.2, "input_noise": 0.1, "ema_decay": 0.9}},
    "one_cycle": {"schedule": {"name": "one_cycle"}},
    "plateau": {"schedule": {"name": "reduce_on_plateau"}, "early_stopping": {"patience": 20}},
    "clipped": {"training": {"max_epochs": 30, "batch_size": 8, "gradient_clip_norm": 1.0, "accumulate_batches": 2}},
    "float64": {"training": {"max_epochs": 30, "batch_size": 8, "precision": "float64"}},
    "signals": {
        "dataset": "waves",
        "network": {"name": "cnn", "blocks": [{"channels": 4, "kernel_size": 5, "pool": 2}], "normalization": {"name": "group_norm", "groups": 2}},
        "training": {"max_epochs": 8},
    },
}  # fmt: skip
_OPTIMIZERS = ("sgd", "momentum", "nag", "adagrad", "adadelta", "rmsprop", "adam", "adamw")


def _techniques() -> dict[str, dict[str, Any]]:
    """Pair optimizers with networks and regularizers."""
    small = {**_IRIS, "network": {"name": "mlp", "hidden_units": [8]}, "training": {"max_epochs": 30, "batch_size": 8}, "seed": 1}
    return {
        f"{optimizer}, {name}": {**small, "optimizer": {"name": optimizer}, **fields}
        for optimizer, (name, fields) in zip(_OPTIMIZERS, _NETWORKS.items(), strict=True)
    }


CHAOS_BODIES: dict[str, dict[str, Any]] = {
    **{name: body_of(name, training={"max_epochs": _TIMES.get(name, 12), "batch_size": 8}) for name in BODIES},
    **_techniques(),
}

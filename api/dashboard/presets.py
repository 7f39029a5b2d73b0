"""Jobs that the form offers to begin with: each says what it shows, and is a matter of seconds."""

from typing import Any

from api.examples import PLANS

_CANCER: dict[str, Any] = {
    "dataset": "breast_cancer",
    "optimizer": {"name": "adam", "learning_rate": 0.003},
    "split": {"name": "holdout", "val_fraction": 0.5},
    "seed": 0,
}
_WIDE: dict[str, Any] = {"name": "mlp", "hidden_units": [128, 128]}


def _example(plan: str, name: str) -> dict[str, Any]:
    return {**(PLANS[plan]["value"] or {}), "name": name}


PRESETS: tuple[dict[str, Any], ...] = (
    {**_CANCER, "name": "will overfit", "network": _WIDE, "training": {"max_epochs": 60}},
    {
        **_CANCER,
        "name": "well regularised",
        "network": {**_WIDE, "dropout": 0.3},
        "training": {"max_epochs": 60},
        "regularization": {"l2": 0.001},
        "early_stopping": {},
    },
    {
        **_CANCER,
        "name": "underfits",
        "network": {**_WIDE, "dropout": 0.3},
        "training": {"max_epochs": 30},
        "regularization": {"l2": 30},
    },
    _example("comparison", "optimizer race"),
    _example("k_fold", "5 folds"),
    _example("search", "search"),
)
"""The first three differ by their regularization alone."""

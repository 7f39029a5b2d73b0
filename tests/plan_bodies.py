"""A small job of every plan: what every plan must do is tested on each of them."""

from typing import Any

_RATES = {"/optimizer/learning_rate": {"low": 0.001, "high": 0.1, "log": True}}

BODIES: dict[str, dict[str, Any]] = {
    "fit": {"plan": {"name": "fit"}},
    "folds": {"split": {"name": "k_fold", "folds": 3, "test_fraction": 0.2}, "plan": {"name": "fit", "refit": True}},
    "time": {"dataset": "sunspots", "split": {"name": "time_series", "folds": 3}, "plan": {"name": "fit"}},
    "comparison": {
        "plan": {
            "name": "comparison",
            "variants": [
                {"label": name, "set": {"/optimizer": {"name": name, "learning_rate": 0.01}}} for name in ("sgd", "adam", "rmsprop")
            ],
        },
    },
    "grid": {
        "split": {"name": "holdout", "test_fraction": 0.2},
        "plan": {"name": "search", "method": "grid", "space": {"/optimizer/learning_rate": {"values": [0.1, 0.01]}, "/network/hidden_units": {"values": [[4], [6]]}}},
    },
    "halving": {
        "plan": {"name": "search", "method": "random", "candidates": 4, "halving": {"factor": 2, "first_epochs": 1}, "space": _RATES},
        "training": {"max_epochs": 4},
    },
    "bayesian": {"plan": {"name": "search", "method": "bayesian", "candidates": 4, "at_once": 2, "space": _RATES}},
    "nested_cv": {
        "split": {"name": "k_fold", "folds": 2},
        "plan": {
            "name": "nested_cv",
            "inner_split": {"name": "k_fold", "folds": 2},
            "search": {"method": "grid", "space": {"/optimizer/learning_rate": {"values": [0.1, 0.01]}}},
        },
    },
    "bagging": {"plan": {"name": "bagging", "members": 4}},
    "boosting": {"network": {"name": "mlp", "hidden_units": [2]}, "plan": {"name": "boosting", "members": 3}},
    "boosting numbers": {"dataset": "diabetes", "plan": {"name": "boosting", "members": 3}},
    "bias_variance": {"dataset": "diabetes", "plan": {"name": "bias_variance", "resamples": 3}},
    "learning_curve": {"plan": {"name": "learning_curve", "fractions": [0.4, 1.0]}},
}  # fmt: skip
"""By name, what to post: a few epochs of tiny networks on small datasets."""


def body_of(name: str, **fields: Any) -> dict[str, Any]:
    """Give a whole body; `fields` go over what it has."""
    small: dict[str, Any] = {
        "dataset": "iris",
        "seed": 0,
        "network": {"name": "mlp", "hidden_units": [4]},
        "optimizer": {"name": "adam", "learning_rate": 0.02},
        "training": {"max_epochs": 3},
        "evaluation": {"resamples": 100},
    }
    return {**small, **BODIES[name], **fields}

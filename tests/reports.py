"""Real conclusions of small jobs of every plan, to be drawn and read."""

from functools import cache
from typing import Any

import numpy as np

from api.pictures.style import Units
from data.dataset import Dataset
from jobs.spec import JobSpec
from store.epochs import FitCurve
from tests.factories import a_dataset
from tests.plans import real, resolved, run
from training.records import EpochRecord

CLASSES = Units(is_classes=True)
NUMBERS = Units(is_classes=False, unit="points_$x^2$")
RANGE = {"low": 1e-3, "high": 1.0, "log": True}
GRID = {"/optimizer/learning_rate": {"values": [0.01, 0.1]}, "/network/hidden_units": {"values": [[2], [3, 2]]}}
PLANS: dict[str, dict[str, Any]] = {
    "fit": {"plan": {"name": "fit"}},
    "folds": {"plan": {"name": "fit", "refit": True}, "split": {"name": "k_fold", "folds": 3}},
    "comparison": {
        "plan": {
            "name": "comparison",
            "variants": [
                {"label": "_a $b_1$ & <c>", "set": {}},
                {"label": "lr", "set": {"/optimizer/learning_rate": 0.1}},
                {"label": "explodes", "set": {"/optimizer": {"name": "sgd", "learning_rate": 1e30}}},
            ],
        },
        "split": {"name": "k_fold", "folds": 2},
    },
    "search": {"plan": {"name": "search", "space": GRID, "choose": "one_standard_error"}, "split": {"name": "k_fold", "folds": 2}},
    "one setting": {"plan": {"name": "search", "method": "random", "candidates": 3, "space": {"/optimizer/learning_rate": RANGE}}},
    "halving": {
        "plan": {
            "name": "search",
            "method": "random",
            "candidates": 4,
            "halving": {"factor": 2, "first_epochs": 1},
            "space": {"/optimizer": {"values": [{"name": "sgd"}, {"name": "adam"}]}, "/optimizer/learning_rate": RANGE},
        }
    },
    "nested_cv": {
        "plan": {
            "name": "nested_cv",
            "inner_split": {"name": "k_fold", "folds": 2},
            "search": {"space": {"/optimizer/learning_rate": {"values": [0.01, 0.1]}}},
        },
        "split": {"name": "k_fold", "folds": 2},
    },
    "bagging": {"plan": {"name": "bagging", "members": 3}},
    "bagging without validation rows": {
        "plan": {"name": "bagging", "members": 2},
        "split": {"name": "holdout", "val_fraction": 0.0, "test_fraction": 0.25},
    },
    "boosting": {"plan": {"name": "boosting", "members": 3}},
    "bias_variance": {"plan": {"name": "bias_variance", "resamples": 2}},
    "axis of complexity": {
        "plan": {"name": "bias_variance", "resamples": 2, "axis": {"/network/hidden_units": {"values": [[1], [2], [3]]}}}
    },
    "learning_curve": {"plan": {"name": "learning_curve", "fractions": [0.5, 1.0]}, "split": {"name": "k_fold", "folds": 2}},
    "learning curve of one division": {"plan": {"name": "learning_curve", "fractions": [0.5, 1.0]}},
}


def _dataset(task: str) -> Dataset:
    x = np.linspace(-1, 1, 40)[:, None]
    y = (np.arange(40) * 7 % 40 < 20).astype(np.int64) if task == "classes" else np.sin(3 * x[:, 0])
    return a_dataset(x, y)


def _curves(records: dict[int, list[EpochRecord]]) -> list[FitCurve]:
    found = []
    for number, epochs in sorted(records.items()):
        columns: dict[str, list[float | None]] = {"train_loss": [one.train_loss for one in epochs]}
        if epochs[0].val_loss is not None:
            columns["val_loss"] = [one.val_loss for one in epochs]
        for name in ("accuracy", "rmse", "r2"):
            if name in epochs[0].train_metrics:
                columns[f"train_{name}"] = [one.train_metrics[name] for one in epochs]
            if name in (epochs[0].val_metrics or {}):
                columns[f"val_{name}"] = [(one.val_metrics or {})[name] for one in epochs]
        epoch = [one.epoch for one in epochs]
        found.append(
            FitCurve(number=number, label=f"fit {number}", best_epoch=epoch[-1], last_epoch=epoch[-1], epoch=epoch, columns=columns)
        )
    return found


@cache
def reported(name: str, task: str) -> tuple[JobSpec, dict[str, Any], list[FitCurve]]:
    """Run a plan for real; give its spec, its conclusion and its curves."""
    dataset = _dataset(task)
    records: dict[int, list[EpochRecord]] = {}
    fields = {"network": {"name": "mlp", "hidden_units": [3]}, "training": {"max_epochs": 3}, "evaluation": {"resamples": 100}}
    spec = resolved(dataset, **{**fields, **PLANS[name]}).spec
    return spec, run(spec, dataset, real(dataset, records)).result, _curves(records)

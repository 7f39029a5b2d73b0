"""What Swagger UI offers for every operation, and what runs as it is given."""

import json
from typing import Any

from fastapi.openapi.models import Example


def offered(*values: Any) -> dict[str, Example]:
    """Offer values of a parameter that may be left out, and is until one of them is chosen: Swagger UI fills in the first."""
    written = {
        f"value_{i}": Example(summary=value if isinstance(value, str) else json.dumps(value), value=value)
        for i, value in enumerate(values, start=1)
    }
    return {"none": Example(summary="left out"), **written}


DIGITS_MLP: dict[str, Any] = {
    "name": "digits, two hidden layers",
    "dataset": "digits",
    "network": {"name": "mlp", "hidden_units": [128, 64]},
    "optimizer": {"name": "adam", "learning_rate": 0.001},
    "training": {"max_epochs": 20, "batch_size": 32},
    "seed": 0,
}
DIGITS_CNN: dict[str, Any] = {
    "name": "digits as images",
    "dataset": "digits",
    "network": {
        "name": "cnn",
        "blocks": [{"channels": 16, "pool": 2}, {"channels": 32, "pool": 2}],
        "normalization": {"name": "batch_norm"},
        "dropout": 0.1,
    },
    "optimizer": {"name": "momentum", "learning_rate": 0.05, "momentum": 0.9},
    "training": {"max_epochs": 20, "batch_size": 64},
    "early_stopping": {"monitor": "val_loss", "patience": 5},
    "seed": 0,
}
DIABETES: dict[str, Any] = {
    "name": "diabetes, with a test split",
    "dataset": "diabetes",
    "network": {"name": "mlp", "hidden_units": [32], "activation": "tanh"},
    "optimizer": {"name": "sgd", "learning_rate": 0.05},
    "regularization": {"l2": 0.01},
    "training": {"max_epochs": 60},
    "early_stopping": {"patience": 10},
    "split": {"name": "holdout", "val_fraction": 0.2, "test_fraction": 0.2},
    "seed": 0,
}
MOONS: dict[str, Any] = {
    "name": "moons by full-batch gradient descent",
    "dataset": "moons",
    "network": {"name": "mlp", "hidden_units": [16, 16], "activation": "tanh"},
    "optimizer": {"name": "momentum", "learning_rate": 0.1},
    "training": {"max_epochs": 100, "batch_size": "full"},
    "seed": 0,
}
FASHION_CNN: dict[str, Any] = {
    "name": "Fashion-MNIST, official test rows",
    "dataset": "fashion_mnist",
    "network": {
        "name": "cnn",
        "blocks": [{"channels": 24, "pool": 2}, {"channels": 48, "pool": 2}, {"channels": 96, "pool": 2}],
        "hidden_units": [128],
        "normalization": {"name": "batch_norm"},
    },
    "optimizer": {"name": "adamw", "learning_rate": 0.003},
    "schedule": {"name": "one_cycle"},
    "training": {"max_epochs": 9, "batch_size": 128},
    "regularization": {"augmentations": [{"name": "flip", "p": 0.5}]},
    "evaluation": {"max_train_rows": 5000},
    "split": {"name": "predefined", "val_fraction": 0.1},
    "seed": 0,
}

_SMALL: dict[str, Any] = {"name": "mlp", "hidden_units": [32]}
_OPTIMIZERS: tuple[tuple[str, float], ...] = (
    ("sgd", 0.3), ("momentum", 0.03), ("nag", 0.03), ("adagrad", 0.03), ("adadelta", 10.0), ("rmsprop", 0.01), ("adam", 0.003),
)  # fmt: skip

PLANS: dict[str, Example] = {
    "k_fold": Example(
        summary="Cross-validation, and a refit that measures the test rows",
        value={
            "name": "iris, 5 folds and a refit",
            "dataset": "iris",
            "network": {"name": "mlp", "hidden_units": [16]},
            "optimizer": {"name": "adam", "learning_rate": 0.01},
            "training": {"max_epochs": 30},
            "split": {"name": "k_fold", "folds": 5, "test_fraction": 0.2},
            "plan": {"name": "fit", "refit": True},
            "seed": 0,
        },
    ),
    "comparison": Example(
        summary="A comparison of seven optimizers",
        value={
            "name": "digits, seven optimizers",
            "dataset": "digits",
            "network": _SMALL,
            "training": {"max_epochs": 10, "batch_size": 64},
            "plan": {
                "name": "comparison",
                "variants": [{"label": name, "set": {"/optimizer": {"name": name, "learning_rate": rate}}} for name, rate in _OPTIMIZERS],
            },
            "seed": 0,
        },
    ),
    "search": Example(
        summary="A grid search, the simplest candidate within one standard error",
        value={
            "name": "wine, learning rate and width",
            "dataset": "wine",
            "optimizer": {"name": "adam"},
            "training": {"max_epochs": 15},
            "split": {"name": "k_fold", "folds": 3, "test_fraction": 0.2},
            "plan": {
                "name": "search",
                "method": "grid",
                "space": {
                    "/network/hidden_units": {"values": [[], [8], [64]]},
                    "/optimizer/learning_rate": {"values": [0.001, 0.01, 0.1]},
                },
                "choose": "one_standard_error",
            },
            "seed": 0,
        },
    ),
    "halving": Example(
        summary="A random search that stops poor candidates early",
        value={
            "name": "digits, successive halving",
            "dataset": "digits",
            "network": _SMALL,
            "training": {"max_epochs": 18},
            "split": {"name": "holdout", "val_fraction": 0.2, "test_fraction": 0.2},
            "plan": {
                "name": "search",
                "method": "random",
                "candidates": 9,
                "space": {
                    "/optimizer/learning_rate": {"low": 0.0001, "high": 0.1, "log": True},
                    "/regularization/l2": {"low": 0.000001, "high": 0.01, "log": True},
                },
                "halving": {"factor": 3, "first_epochs": 2},
            },
            "seed": 0,
        },
    ),
    "bayesian": Example(
        summary="A Bayesian search",
        value={
            "name": "diabetes, proposals by a Parzen estimator",
            "dataset": "diabetes",
            "network": {"name": "mlp", "hidden_units": [16]},
            "training": {"max_epochs": 15},
            "plan": {
                "name": "search",
                "method": "bayesian",
                "candidates": 16,
                "space": {"/optimizer/learning_rate": {"low": 0.0001, "high": 0.1, "log": True}},
                "metric": "val_r2",
                "refit": False,
            },
            "seed": 0,
        },
    ),
    "nested_cv": Example(
        summary="Nested cross-validation: what a search is worth",
        value={
            "name": "wine, a search inside every fold",
            "dataset": "wine",
            "network": {"name": "mlp", "hidden_units": [16]},
            "optimizer": {"name": "adam"},
            "training": {"max_epochs": 10},
            "split": {"name": "k_fold", "folds": 3},
            "plan": {
                "name": "nested_cv",
                "inner_split": {"name": "k_fold", "folds": 3},
                "search": {"method": "grid", "space": {"/optimizer/learning_rate": {"values": [0.001, 0.01, 0.1]}}},
            },
            "seed": 0,
        },
    ),
    "bagging": Example(
        summary="Bagging: ten networks on bootstrap samples, and their vote",
        value={
            "name": "spirals, a bag of ten",
            "dataset": "spirals",
            "network": {"name": "mlp", "hidden_units": [32, 32]},
            "optimizer": {"name": "adam", "learning_rate": 0.01},
            "training": {"max_epochs": 12},
            "split": {"name": "holdout", "val_fraction": 0.2, "test_fraction": 0.2},
            "plan": {"name": "bagging", "members": 10},
            "seed": 0,
        },
    ),
    "boosting": Example(
        summary="Boosting of small networks (SAMME)",
        value={
            "name": "digits, boosted",
            "dataset": "digits",
            "network": {"name": "mlp", "hidden_units": [4]},
            "optimizer": {"name": "adam", "learning_rate": 0.01},
            "training": {"max_epochs": 5},
            "plan": {"name": "boosting", "members": 6},
            "seed": 0,
        },
    ),
    "bias_variance": Example(
        summary="Bias and variance against width",
        value={
            "name": "noisy sine, three widths",
            "dataset": "noisy_sine",
            "network": {"name": "mlp", "activation": "tanh"},
            "optimizer": {"name": "adam", "learning_rate": 0.05},
            "training": {"max_epochs": 100, "batch_size": "full"},
            "split": {"name": "holdout", "val_fraction": 0.94},
            "plan": {
                "name": "bias_variance",
                "resamples": 5,
                "axis": {"/network/hidden_units": {"values": [[1, 1], [8, 8], [64, 64]]}},
            },
            "seed": 0,
        },
    ),
    "learning_curve": Example(
        summary="A learning curve: would more rows help?",
        value={
            "name": "digits, growing parts",
            "dataset": "digits",
            "network": _SMALL,
            "optimizer": {"name": "adam", "learning_rate": 0.003},
            "training": {"max_epochs": 15},
            "plan": {"name": "learning_curve"},
            "seed": 0,
        },
    ),
}
"""Plans, each within seconds; docs/plans.md says what comes of them."""

EXTENSIONS: dict[str, Example] = {
    "longer": Example(summary="Go on to 40 epochs in all", value={"max_epochs": 40}),
    "named": Example(
        summary="The same under another name", value={"max_epochs": 40, "name": "digits, longer", "metadata": {"series": "digits"}}
    ),
}
"""Bodies that extend an ended job, such as the first of `JOBS`."""

JOBS: dict[str, Example] = {
    "digits_mlp": Example(summary="Digits, an MLP with Adam", value=DIGITS_MLP),
    "digits_cnn": Example(summary="Digits, a CNN with momentum, batch norm, dropout and early stopping", value=DIGITS_CNN),
    "diabetes": Example(summary="Regression with L2 and a test split", value=DIABETES),
    "moons": Example(summary="Full-batch gradient descent", value=MOONS),
    "fashion_cnn": Example(summary="A CNN on all of Fashion-MNIST, measured once on its official test rows", value=FASHION_CNN),
    "defaults": Example(summary="Only what is required", value={"dataset": "iris"}),
    **PLANS,
}

PREDICTIONS: dict[str, Example] = {
    "defaults": Example(
        summary="Two flowers, by column and in the columns' order: of a job on iris",
        value={
            "rows": [
                {"sepal length (cm)": 5.1, "sepal width (cm)": 3.5, "petal length (cm)": 1.4, "petal width (cm)": 0.2},
                [6.3, 3.3, 6.0, 2.5],
            ]
        },
    ),
    "digits_mlp": Example(
        summary="An image of a zero, its one channel 8 by 8 pixels: of a job on digits",
        value={
            "rows": [
                [
                    [
                        [0, 0, 5, 13, 9, 1, 0, 0],
                        [0, 0, 13, 15, 10, 15, 5, 0],
                        [0, 3, 15, 2, 0, 11, 8, 0],
                        [0, 4, 12, 0, 0, 8, 8, 0],
                        [0, 5, 8, 0, 0, 9, 8, 0],
                        [0, 4, 11, 0, 1, 12, 7, 0],
                        [0, 2, 14, 5, 10, 12, 0, 0],
                        [0, 0, 6, 13, 10, 0, 0, 0],
                    ]
                ]
            ]
        },
    ),
}
"""Rows for the models of jobs, each named as the one of `JOBS` whose rows they are like."""

_FLOWERS = (
    "sepal_length,sepal_width,petal_length,petal_width,species\n"
    "5.1,3.5,1.4,0.2,setosa\n"
    "5.0,3.4,1.5,0.2,setosa\n"
    "5.8,4.0,1.2,0.2,setosa\n"
    "5.1,3.7,1.5,0.4,setosa\n"
    "5.2,3.4,1.4,0.2,setosa\n"
    "5.0,3.2,1.2,0.2,setosa\n"
    "7.0,3.2,4.7,1.4,versicolor\n"
    "4.9,2.4,3.3,1.0,versicolor\n"
    "5.6,2.9,3.6,1.3,versicolor\n"
    "6.1,2.8,4.0,1.3,versicolor\n"
    "6.0,2.9,4.5,1.5,versicolor\n"
    "6.0,3.4,4.5,1.6,versicolor\n"
    "6.3,3.3,6.0,2.5,virginica\n"
    "7.3,2.9,6.3,1.8,virginica\n"
    "5.8,2.8,5.1,2.4,virginica\n"
    "5.6,2.8,4.9,2.0,virginica\n"
    "6.4,2.8,5.6,2.1,virginica\n"
    "7.7,3.0,6.1,2.3,virginica\n"
)
UPLOADS: dict[str, Any] = {
    "flowers": {
        "summary": "Flowers: the text of a CSV file, and the column that is to be predicted",
        "value": {"file": _FLOWERS, "schema": '{"target": "species"}'},
    },
    "widths": {
        "summary": "The same file, to predict a number from two columns",
        "value": {"file": _FLOWERS, "schema": '{"target": "petal_width", "features": ["petal_length", "species"], "name": "petals"}'},
    },
}
"""Forms; `file` is what the file holds."""

CURSOR = "WyItY3JlYXRlZF9hdCIsICIyMTAwLTAxLTAxVDAwOjAwOjAwKzAwOjAwIiwgImpvYl8wMSJd"
"""Before all jobs, newest first."""

YES = (True,)
"""Of a switch that is off."""

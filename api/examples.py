"""Job specs that Swagger UI offers and that run as they are."""

from typing import Any

from fastapi.openapi.models import Example

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
    "training": {"max_epochs": 200, "batch_size": "full"},
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

JOBS: dict[str, Example] = {
    "digits_mlp": Example(summary="Digits, an MLP with Adam", value=DIGITS_MLP),
    "digits_cnn": Example(summary="Digits, a CNN with momentum, batch norm, dropout and early stopping", value=DIGITS_CNN),
    "diabetes": Example(summary="Regression with L2 and a test split", value=DIABETES),
    "moons": Example(summary="Full-batch gradient descent", value=MOONS),
    "fashion_cnn": Example(summary="A CNN on all of Fashion-MNIST, measured once on its official test rows", value=FASHION_CNN),
    "defaults": Example(summary="Only what is required", value={"dataset": "iris"}),
}

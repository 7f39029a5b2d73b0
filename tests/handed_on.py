"""What the API tells of a job, small and by hand: with epochs that lack figures, and fits that differ in their settings."""

from typing import Any

STARTED = "2026-01-31T12:00:00.250000Z"
SPEC: dict[str, Any] = {
    "dataset": "digits",
    "network": {"name": "mlp", "hidden_units": [16, 8], "dropout": 0.1},
    "optimizer": {"name": "adam", "learning_rate": 0.001},
    "training": {"max_epochs": 2, "batch_size": "full", "gradient_clip_norm": None},
    "regularization": {"balanced_sampling": False, "augmentations": []},
    "plan": {"name": "fit"},
    "metadata": {},
}
OVERRIDES = {"/optimizer": {"name": "sgd", "learning_rate": 0.5}, "/network/hidden_units/1": 4, "/metadata/a~1b": "c"}
_COLUMNS: dict[str, list[float | None]] = {
    "train_loss": [2.3, 0.1, 0.05],
    "val_loss": [2.2, None, 1 / 3],
    "generalization_gap": [2.2 - 2.3, None, 1 / 3 - 0.05],
    "train_accuracy": [0.1, 0.9, 0.95],
    "val_accuracy": [0.2, None, 0.7],
    "accuracy_gap": [0.1 - 0.2, None, 0.95 - 0.7],
    "objective": [None, 0.2, 0.1],
    "learning_rate": [None, 0.001, 0.001],
    "seconds": [0.5, 0.25, None],
}


def a_told_job(labels: tuple[str, ...] = ("holdout",), **fields: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Give a job, its fits and its curves: one fit for each label, the second with settings of its own."""
    job: dict[str, Any] = {
        "id": "job_01", "name": "digits, told", "status": "succeeded", "plan": "fit", "dataset": "digits", "spec": SPEC, "version": 7,
        "num_fits": len(labels), "created_at": "2026-01-31T11:59:00Z", "started_at": STARTED, "finished_at": "2026-01-31T12:00:09Z",
        "result": {"sentence": "it learned"}, "failure": None, **fields,
    }  # fmt: skip
    best = {"train_loss": 0.05, "val_loss": 1 / 3}
    fits = [
        {
            "number": number, "label": label, "status": "finished", "overrides": OVERRIDES if number == 2 else {}, "best_epoch": 2, "best": best,
            "diagnosis": {"verdict": "overfitting", "advice": "Lower it."},
        }
        for number, label in enumerate(labels, start=1)
    ]  # fmt: skip
    curves = [
        {"number": number, "label": label, "epoch": [0, 1, 2], **_COLUMNS, "best_epoch": 2, "last_epoch": 2}
        for number, label in enumerate(labels, start=1)
    ]
    return job, {"items": fits}, {"fits": curves, "version": 7, "sampled": False}

"""What each regularizer does to a network that overfits: 10 seeds, mean and 95 % interval. Writes regularization.md beside itself.

python docs/studies/regularization.py
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from data import builtin
from jobs.materialize import materialize
from jobs.resolve import resolve
from jobs.spec import JobSpec
from training.loop import Stack, train
from training.records import FitOutcome

SEEDS = range(10)
OVERFITTING: dict[str, Any] = {
    "dataset": "digits",
    "split": {"name": "holdout", "val_fraction": 0.9},
    "network": {"name": "mlp", "hidden_units": [256, 256]},
    "training": {"max_epochs": 100, "kept_weights": "last"},
    "evaluation": {"resamples": 100},
}
VARIANTS: dict[str, dict[str, Any]] = {
    "none": {},
    "dropout 0.5": {"network": {"name": "mlp", "hidden_units": [256, 256], "dropout": 0.5}},
    "l2 0.03": {"regularization": {"l2": 0.03}},
    "augmentation (crop 1, rotate 10)": {
        "regularization": {"augmentations": [{"name": "crop", "padding": 1}, {"name": "rotate", "degrees": 10}]}
    },
    "label smoothing 0.1": {"regularization": {"label_smoothing": 0.1}},
    "mixup 0.4": {"regularization": {"mixup_alpha": 0.4}},
    "early stopping, patience 5": {"early_stopping": {"patience": 5}, "training": {"max_epochs": 100}},
}
FIGURES = {"gap": "gap (loss)", "val_loss": "validation loss", "val_accuracy": "validation accuracy"}


def measured(fields: dict[str, Any], seed: int) -> dict[str, float]:
    """Train one fit; give its final figures."""
    resolved = resolve(JobSpec.model_validate({**OVERFITTING, **fields, "seed": seed}))
    fit = materialize(resolved.fits[0], builtin.load("digits")).fit
    [outcome] = [event for event in train(Stack([fit])) if isinstance(event, FitOutcome)]
    if outcome.evaluation is None:
        raise RuntimeError(f"seed {seed} diverged")
    found = outcome.evaluation
    return {
        "gap": found["generalization_gap"]["value"],
        "val_loss": found["val"]["loss"]["value"],
        "val_accuracy": found["val"]["accuracy"]["value"],
    }


def interval(values: list[float]) -> str:
    """Give mean and 95 % t interval."""
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return f"{np.mean(values):.4f} ± {half:.4f}"


def main() -> None:
    """Measure and write the table."""
    torch.set_num_threads(1)
    lines = [
        f"| regularizer | {' | '.join(FIGURES.values())} | validation loss against none, same seeds |",
        "| --- | --- | --- | --- | --- |",
    ]
    plain: list[dict[str, float]] = []
    for name, fields in VARIANTS.items():
        found = [measured(fields, seed) for seed in SEEDS]
        plain = plain or found
        against = (
            interval([one["val_loss"] - other["val_loss"] for one, other in zip(found, plain, strict=True)]) if found is not plain else "-"
        )
        lines.append(f"| {name} | {' | '.join(interval([one[figure] for one in found]) for figure in FIGURES)} | {against} |")
        print(lines[-1], flush=True)
    path = Path(__file__).with_suffix(".md")
    head = path.read_text().split("<!-- table -->")[0] if path.exists() else ""
    path.write_text(f"{head}<!-- table -->\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

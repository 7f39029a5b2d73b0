"""Small against large batches: the gap and the sharpness of the minima they find (Keskar et al. 2017). Writes sharpness.md beside itself.

python docs/studies/sharpness.py
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

SEEDS = range(5)
BATCH_SIZES: tuple[int | str, ...] = (8, 32, 128, "full")
UPDATES = 1600
"""Every fit takes about as many updates, so that large batches are not merely trained less."""


def spec(batch_size: int | str, seed: int) -> dict[str, Any]:
    """Ask for a small network on a third of the digits; plain descent, the last weights, and their sharpness."""
    per_epoch = 1 if batch_size == "full" else -(-539 // int(batch_size))
    return {
        "dataset": "digits",
        "split": {"name": "holdout", "val_fraction": 0.7},
        "network": {"name": "mlp", "hidden_units": [32], "activation": "tanh"},
        "optimizer": {"name": "sgd", "learning_rate": 0.1},
        "training": {"max_epochs": max(1, UPDATES // per_epoch), "batch_size": batch_size, "kept_weights": "last"},
        "evaluation": {"sharpness": True, "resamples": 100},
        "seed": seed,
    }


def measured(batch_size: int | str, seed: int) -> list[float]:
    """Train one fit; give training loss, validation loss, gap, largest eigenvalue and epsilon-sharpness."""
    resolved = resolve(JobSpec.model_validate(spec(batch_size, seed)))
    fit = materialize(resolved.fits[0], builtin.load("digits")).fit
    [outcome] = [event for event in train(Stack([fit])) if isinstance(event, FitOutcome)]
    if outcome.evaluation is None:
        raise RuntimeError("a fit diverged")
    found, sharp = outcome.evaluation, outcome.evaluation["sharpness"]
    losses = [found[split]["loss"]["value"] for split in ("train", "val")]
    return [*losses, found["generalization_gap"]["value"], sharp["largest_eigenvalue"], sharp["epsilon_sharpness"]]


def main() -> None:
    """Measure and write the table."""
    torch.set_num_threads(1)
    lines = [
        "| batch size | training loss | validation loss | gap | largest eigenvalue | ε-sharpness |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for batch_size in BATCH_SIZES:
        columns = np.array([measured(batch_size, seed) for seed in SEEDS]).T
        half = stats.t.ppf(0.975, len(SEEDS) - 1) * stats.sem(columns, axis=1)
        cells = " | ".join(f"{mean:.4g} ± {width:.2g}" for mean, width in zip(columns.mean(axis=1), half, strict=True))
        lines.append(f"| {batch_size} | {cells} |")
        print(lines[-1], flush=True)
    path = Path(__file__).with_suffix(".md")
    head = path.read_text().split("<!-- table -->")[0] if path.exists() else ""
    path.write_text(f"{head}<!-- table -->\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

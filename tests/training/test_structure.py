"""Who can share a stack is known before there are rows or torch."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.training.small import a_fit
from training.structure import structure, structure_of

NORMALIZED = {"name": "mlp", "normalization": {"name": "group_norm", "groups": 4}}


@pytest.mark.parametrize(
    "fields",
    [
        {"seed": 5},
        {"train_rows": 50, "val_rows": 7, "test_rows": 9},
        {"network": {**NORMALIZED, "dropout": 0.5}},
        {"network": {"name": "mlp", "normalization": {"name": "group_norm", "groups": 2, "epsilon": 0.1}}},
        {"optimizer": {"name": "adam", "learning_rate": 0.5, "beta1": 0.1}},
        {"schedule": {"name": "cosine"}, "early_stopping": {"patience": 3}, "training": {"max_epochs": 3, "gradient_clip_norm": 1.0}},
        {"regularization": {"l2": 0.1, "mixup_alpha": 0.3, "class_weights": "balanced"}},
    ],
    ids=str,
)
def test_fits_that_differ_in_numbers_share_a_stack(fields: dict[str, Any]) -> None:
    assert structure(a_fit(**{"network": NORMALIZED, **fields})) == structure(a_fit(network=NORMALIZED))


@pytest.mark.parametrize(
    "fields",
    [
        {"network": {"name": "mlp", "hidden_units": [5]}},
        {"network": {"name": "mlp", "normalization": {"name": "layer_norm"}}},
        {"shape": (7,)},
        {"classes": 4},
        {"classes": None},
        {"optimizer": {"name": "sgd"}},
        {"training": {"batch_size": 16}},
        {"training": {"accumulate_batches": 2}},
        {"training": {"precision": "float64"}},
        {"regularization": {"ema_decay": 0.9}},
    ],
    ids=str,
)
def test_fits_that_differ_in_kind_do_not(fields: dict[str, Any]) -> None:
    assert structure(a_fit(**{"network": NORMALIZED, **fields})) != structure(a_fit(network=NORMALIZED))


def test_a_planner_without_rows_knows_the_same() -> None:
    fit = a_fit(shape=(1, 6, 6))
    assert structure_of(fit.spec, (1, 6, 6), 3, "classification", has_val=True) == structure(fit)
    assert structure_of(fit.spec, (1, 6, 6), 3, "classification", has_val=False) != structure(fit)


def test_it_needs_no_torch(tmp_path: Path) -> None:
    program = "import sys, training.structure, training.scores, training.bootstrap; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)

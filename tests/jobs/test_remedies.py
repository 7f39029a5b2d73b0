"""What a diagnosis suggests: every change is accepted as a variant of a comparison, and changes something."""

import json
from typing import Any, get_args

import pytest

from data import builtin
from jobs.diagnosis import Diagnosis, Verdict
from jobs.remedies import Remedy, remedies
from jobs.resolve import Resolved, resolve
from jobs.spec import JobSpec

SPECS: dict[str, dict[str, Any]] = {
    "table": {"dataset": "iris"},
    "numbers": {"dataset": "diabetes", "optimizer": {"name": "sgd"}},
    "linear": {"dataset": "iris", "network": {"name": "mlp", "hidden_units": []}},
    "images": {"dataset": "digits", "network": {"name": "cnn", "hidden_units": [10]}, "optimizer": {"name": "adamw"}},
    "tiny images": {"dataset": "digits", "preprocessing": {"resize": [2, 2]}},
    "signals": {"dataset": "waves", "network": {"name": "cnn", "blocks": [{"channels": 1}, {"channels": 4, "residual": True}]}},
    "volumes": {"dataset": "solids", "network": {"name": "cnn", "normalization": {"name": "batch_norm"}}},
    "groups": {"dataset": "digits", "network": {"name": "cnn", "normalization": {"name": "group_norm", "groups": 4}}},
    "held": {
        "dataset": "digits",
        "network": {"name": "mlp", "dropout": 0.7, "hidden_units": [1, 16_384]},
        "regularization": {"l1": 0.1, "l2": 0.5, "augmentations": [{"name": "crop"}]},
        "training": {"kept_weights": "last", "max_epochs": 1},
    },
    "slow": {"dataset": "iris", "optimizer": {"name": "adam", "learning_rate": 0}, "training": {"max_epochs": 10_000}},
    "clipped": {"dataset": "iris", "training": {"gradient_clip_norm": 0.5}, "schedule": {"name": "cosine", "warmup_epochs": 3}},
    "folds": {"dataset": "wine", "split": {"name": "k_fold", "folds": 3}},
    "one epoch": {"dataset": "iris", "training": {"max_epochs": 1}, "schedule": {"name": "constant"}},
    "step": {"dataset": "iris", "schedule": {"name": "step", "every": 49}},
}


def _resolved(**fields: Any) -> Resolved:
    return resolve(JobSpec.model_validate_json(json.dumps({"seed": 0, **fields})), source=builtin)


def _found(verdict: Verdict, *, stopped_early: bool = False, **fields: Any) -> list[Remedy]:
    found = _resolved(**fields)
    return remedies(Diagnosis(verdict=verdict, rule="", stopped_early=stopped_early), found.spec, found.info)


@pytest.mark.parametrize("verdict", get_args(Verdict))
@pytest.mark.parametrize("name", SPECS)
def test_every_remedy_is_a_variant_that_a_comparison_takes_beside_what_was(name: str, verdict: Verdict) -> None:
    found = _found(verdict, **SPECS[name])
    if not found:
        assert verdict == "good_fit" or name == "slow"
        return
    variants = [{"label": "unchanged", "set": {}}, *({"label": one.label, "set": one.set} for one in found)]
    _resolved(**SPECS[name], plan={"name": "comparison", "variants": variants})  # refuses what does not apply, and twins


def test_the_first_remedies_of_each_verdict() -> None:
    assert [one.label for one in _found("overfitting", dataset="digits")] == [
        "dropout 0.3",
        "L2 penalty 0.001",
        "random crops",
        "half the width",
    ]
    assert [one.label for one in _found("underfitting", dataset="iris")] == [
        "twice the width",
        "learning rate 0.01",
        "learning rate 0.0001",
        "150 epochs",
    ]
    assert [one.label for one in _found("still_improving", dataset="iris")] == ["100 epochs", "learning rate 0.003"]
    assert [one.label for one in _found("diverged", dataset="iris")] == [
        "learning rate 0.0001", "learning rate 1e-5", "gradient norm at most 1", "warm-up of 5 epochs",
    ]  # fmt: skip
    assert _found("good_fit", dataset="iris") == []


def test_what_is_turned_already_is_turned_further_and_what_is_at_its_end_is_left() -> None:
    asked = {"dataset": "digits", "network": {"name": "mlp", "hidden_units": [1], "dropout": 0.8}, "regularization": {"l2": 0.02}}
    assert [one.label for one in _found("overfitting", **asked)] == ["L2 penalty 0.2", "random crops"]
    assert [one.label for one in _found("underfitting", **asked)][-1] == "no dropout, no penalty"
    assert _found("underfitting", **asked)[-1].set == {"/network/dropout": 0.0, "/regularization/l2": 0.0}


def test_more_epochs_are_nothing_for_a_fit_that_stopped_early() -> None:
    assert not any("epochs" in one.label for one in _found("underfitting", stopped_early=True, dataset="iris"))


def test_labels_are_told_apart() -> None:
    for verdict in get_args(Verdict):
        for asked in SPECS.values():
            labels = [one.label for one in _found(verdict, **asked)]
            assert len(set(labels)) == len(labels)

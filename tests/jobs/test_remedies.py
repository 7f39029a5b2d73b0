"""What a diagnosis suggests: every change is accepted as a variant of a comparison, and changes something."""

import json
from typing import Any, get_args

import pytest

from data import builtin
from jobs.diagnosis import Cause, Diagnosis, Verdict
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


VERDICTS: dict[Cause, Verdict] = {
    "bias": "underfitting",
    "variance": "overfitting",
    "steps": "diverged",
    "length": "still_improving",
    "nothing": "good_fit",
}


def _found(cause: Cause, *, numbers: dict[str, float] | None = None, stopped_early: bool = False, **fields: Any) -> list[Remedy]:
    found = _resolved(**fields)
    diagnosis = Diagnosis(verdict=VERDICTS[cause], cause=cause, rule="", numbers=numbers or {}, stopped_early=stopped_early)
    return remedies(diagnosis, found.spec, found.info)


def _labels(cause: Cause, **fields: Any) -> list[str]:
    return [one.label for one in _found(cause, **fields)]


@pytest.mark.parametrize("cause", get_args(Cause))
@pytest.mark.parametrize("name", SPECS)
def test_every_remedy_is_a_variant_that_a_comparison_takes_beside_what_was(name: str, cause: Cause) -> None:
    found = _found(cause, numbers={"first_val_loss": 1.0}, **SPECS[name])
    if not found:
        assert cause == "nothing"
        return
    variants = [{"label": "unchanged", "set": {}}, *({"label": one.label, "set": one.set} for one in found)]
    _resolved(**SPECS[name], plan={"name": "comparison", "variants": variants})  # refuses what does not apply, and twins


def test_the_first_remedies_of_each_cause() -> None:
    assert _labels("variance", dataset="digits") == ["dropout 0.3", "L2 penalty 0.01", "random crops", "half the width"]
    assert _labels("variance", dataset="diabetes") == ["dropout 0.3", "L2 penalty 0.1", "half the width"]
    assert _labels("bias", dataset="iris") == ["twice the width", "learning rate 0.01", "learning rate 0.0001", "150 epochs"]
    assert _labels("length", dataset="iris") == ["100 epochs", "learning rate 0.003"]
    assert _labels("steps", dataset="iris") == [
        "learning rate 0.0001",
        "learning rate 1e-5",
        "gradient norm at most 1",
        "warm-up of 5 epochs",
    ]
    assert _labels("nothing", dataset="iris") == []


def test_a_rate_of_zero_has_one_remedy() -> None:
    for cause in ("bias", "steps", "length", "variance"):
        assert [one.set for one in _found(cause, **SPECS["slow"])] == [{"/optimizer/learning_rate": 0.001}]


def test_a_rate_far_from_the_usual_one_has_it_as_a_remedy() -> None:
    assert _labels("bias", dataset="iris", optimizer={"name": "sgd", "learning_rate": 1e-6})[1:4] == [
        "learning rate 1e-5",
        "learning rate 1e-7",
        "learning rate 0.01",
    ]
    assert "learning rate 1" in _labels("bias", dataset="iris", optimizer={"name": "adadelta", "learning_rate": 0.001})


def test_what_never_improved_may_have_taken_too_large_steps() -> None:
    assert _labels("variance", numbers={"first_val_loss": 2.3}, dataset="iris")[0] == "learning rate 0.0001"


def test_what_is_turned_already_is_turned_further_and_what_is_at_its_end_is_left() -> None:
    asked = {"dataset": "digits", "network": {"name": "mlp", "hidden_units": [1], "dropout": 0.8}, "regularization": {"l2": 0.02}}
    assert _labels("variance", **asked) == ["L2 penalty 0.2", "random crops"]
    assert _labels("bias", **asked)[:2] == ["no dropout", "no L2 penalty"]


def test_more_epochs_are_nothing_for_a_fit_that_stopped_early() -> None:
    assert not any("epochs" in one for one in _labels("bias", stopped_early=True, dataset="iris"))


def test_every_remedy_but_of_a_shape_changes_one_thing_and_labels_are_told_apart() -> None:
    for cause in get_args(Cause):
        for asked in SPECS.values():
            found = _found(cause, **asked)
            assert len({one.label for one in found}) == len(found)
            assert [one for one in found if len(one.set) > 1 and "width" not in one.label] == []

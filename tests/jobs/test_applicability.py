"""What does not apply is refused, with its place and a stable code."""

from typing import Any

import pytest

from jobs.problems import SpecProblems
from jobs.resolve import resolve
from jobs.spec import JobSpec
from training.augmentations.spec import kind_of

REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("diabetes", {"regularization": {"label_smoothing": 0.1}}, "/regularization/label_smoothing", "does_not_apply"),
    ("diabetes", {"regularization": {"class_weights": "balanced"}}, "/regularization/class_weights", "does_not_apply"),
    ("diabetes", {"regularization": {"balanced_sampling": True}}, "/regularization/balanced_sampling", "does_not_apply"),
    ("iris", {"regularization": {"class_weights": [1, 2]}}, "/regularization/class_weights", "wrong_length"),
    ("iris", {"regularization": {"class_weights": [2, 2, 2]}}, "/regularization/class_weights", "no_effect"),
    ("iris", {"regularization": {"class_weights": "balanced"}}, "/regularization/class_weights", "no_effect"),
    ("iris", {"regularization": {"cutmix_alpha": 1}}, "/regularization/cutmix_alpha", "does_not_apply"),
    ("waves", {"regularization": {"cutmix_alpha": 1}}, "/regularization/cutmix_alpha", "does_not_apply"),
    ("digits", {"regularization": {"cutmix_alpha": 1, "mixup_alpha": 1}}, "/regularization/cutmix_alpha", "excludes"),
    ("digits", {"regularization": {"mixup_alpha": 1}, "training": {"batch_size": 1}}, "/regularization/mixup_alpha", "no_effect"),
    ("iris", {"regularization": {"augmentations": [{"name": "crop"}]}}, "/regularization/augmentations/0", "does_not_apply"),
    ("digits", {"regularization": {"augmentations": [{"name": "flip"}, {"name": "hsv"}]}}, "/regularization/augmentations/1", "does_not_apply"),
    ("digits", {"regularization": {"augmentations": [{"name": "signal_shift"}]}}, "/regularization/augmentations/0", "does_not_apply"),
    ("digits", {"regularization": {"augmentations": [{"name": "flip", "axis": "depth"}]}}, "/regularization/augmentations/0", "does_not_apply"),
    ("digits", {"regularization": {"augmentations": [{"name": "crop", "padding": 8}]}}, "/regularization/augmentations/0", "does_not_apply"),
    ("solids", {"regularization": {"augmentations": [{"name": "rotate"}]}}, "/regularization/augmentations/0", "does_not_apply"),
    ("iris", {"schedule": {"name": "step", "every": 50}}, "/schedule", "no_effect"),
    ("iris", {"schedule": {"name": "constant", "warmup_epochs": 50}}, "/schedule/warmup_epochs", "never_ends"),
    ("iris", {"schedule": {"name": "reduce_on_plateau", "monitor": "val_r2"}}, "/schedule/monitor", "does_not_apply"),
    ("iris", {"schedule": {"name": "reduce_on_plateau"}, "split": {"name": "holdout", "val_fraction": 0}}, "/schedule", "needs_validation"),
    ("iris", {"training": {"batch_size": "full", "accumulate_batches": 2}}, "/training/accumulate_batches", "no_effect"),
    ("iris", {"split": {"name": "predefined"}}, "/split/name", "no_predefined_split"),
    ("iris", {"network": {"name": "mlp", "normalization": {"name": "instance_norm"}}}, "/network/normalization", "does_not_apply"),
    ("iris", {"network": {"name": "mlp", "hidden_units": [6], "normalization": {"name": "group_norm", "groups": 4}}}, "/network/normalization/groups", "groups_do_not_divide"),
    ("digits", {"network": {"name": "mlp", "hidden_units": [2000]}, "evaluation": {"sharpness": True}, "_limit": 1000}, "/evaluation/sharpness", "too_many_parameters"),
]  # fmt: skip


@pytest.mark.parametrize(("dataset", "fields", "pointer", "code"), REFUSED, ids=str)
def test_what_would_change_nothing_is_refused(dataset: str, fields: dict[str, Any], pointer: str, code: str) -> None:
    """B044, B078."""
    from jobs.limits import Limits

    limits = Limits(max_sharpness_parameters=fields.get("_limit", 1_000_000))
    spec = {key: value for key, value in fields.items() if not key.startswith("_")}
    with pytest.raises(SpecProblems) as caught:
        resolve(JobSpec.model_validate({"dataset": dataset, "seed": 0, **spec}), limits)
    assert (pointer, code) in {(problem.pointer, problem.code) for problem in caught.value.problems}


def test_neutral_values_are_accepted_everywhere() -> None:
    neutral = {
        "l1": 0, "l2": 0, "max_norm": None, "label_smoothing": 0, "mixup_alpha": 0, "cutmix_alpha": 0, "input_noise": 0, "weight_noise": 0,
        "class_weights": None, "balanced_sampling": False, "ema_decay": None, "augmentations": [],
    }  # fmt: skip
    for dataset in ("iris", "diabetes", "digits"):
        resolved = resolve(
            JobSpec.model_validate({"dataset": dataset, "seed": 0, "regularization": neutral, "evaluation": {"sharpness": False}})
        )
        assert resolve(resolved.spec).spec == resolved.spec


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"training": {"batch_size": 64, "accumulate_batches": 5}}, "accumulate_batches"),
        ({"early_stopping": {"patience": 50}}, "patience"),
    ],
)
def test_what_hardly_acts_is_said(fields: dict[str, Any], word: str) -> None:
    warnings = resolve(JobSpec.model_validate({"dataset": "iris", "seed": 0, **fields})).warnings
    assert any(word in one for one in warnings)


def test_accumulated_batches_are_counted_as_updates() -> None:
    fields = {"batch_size": 32, "accumulate_batches": 3}
    [fit] = resolve(JobSpec.model_validate({"dataset": "iris", "seed": 0, "training": fields})).fits
    assert fit.steps_per_epoch == 2  # 105 rows: 4 batches


@pytest.mark.parametrize(("dataset", "kind"), [("iris", None), ("waves", "signal"), ("colored_shapes", "image"), ("solids", "volume")])
def test_inputs_are_told_by_their_axes(dataset: str, kind: str | None) -> None:
    assert kind_of(resolve(JobSpec.model_validate({"dataset": dataset})).info.input_shape) == kind

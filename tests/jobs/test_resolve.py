"""What is filled in at submit, and what is refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from jobs.limits import Limits
from jobs.problems import SpecProblems
from jobs.resolve import resolve
from jobs.spec import JobSpec


def _spec(**fields: Any) -> JobSpec:
    return JobSpec.model_validate({"dataset": "digits", "seed": 0, **fields})


def test_every_default_is_echoed_and_the_echo_resolves_to_itself() -> None:
    resolved = resolve(JobSpec.model_validate({"dataset": "digits"}))
    assert resolved.spec.seed is not None
    assert resolved.spec.loss is not None
    assert resolved.spec.split.stratify is True
    again = resolve(JobSpec.model_validate_json(resolved.spec.model_dump_json()))
    assert again.spec == resolved.spec
    assert again.fits == resolved.fits


def test_a_drawn_seed_differs_and_zero_is_a_real_seed() -> None:
    drawn = {resolve(JobSpec.model_validate({"dataset": "iris"})).spec.seed for _ in range(5)}
    assert len(drawn) == 5
    assert resolve(_spec(seed=0)).spec.seed == 0


@pytest.mark.parametrize(("batch_size", "updates"), [("full", 1), (1, 1258), (32, 40), (1257, 2), (1258, 1), (5000, 1)])
def test_the_batch_size_decides_the_updates_of_an_epoch(batch_size: int | str, updates: int) -> None:
    """B075, B038: a batch larger than the rows is the full batch."""
    [fit] = resolve(_spec(training={"batch_size": batch_size, "max_epochs": 3})).fits
    assert (fit.steps_per_epoch, fit.steps_planned) == (updates, 3 * updates)


def test_a_batch_larger_than_the_rows_warns() -> None:
    """B038."""
    [warning] = resolve(_spec(training={"batch_size": 5000})).warnings
    assert "1258 training rows" in warning


def test_a_trailing_row_under_batch_norm_is_merged() -> None:
    """B014: 1258 rows in batches of 419 leave one row over, which the batch before it takes."""
    [plain] = resolve(_spec(training={"batch_size": 419})).fits
    [merged] = resolve(_spec(training={"batch_size": 419}, network={"name": "mlp", "normalization": {"name": "batch_norm"}})).fits
    assert (plain.steps_per_epoch, merged.steps_per_epoch) == (4, 3)


REFUSED = {
    "unknown dataset": ({"dataset": "nope"}, "/dataset", "unknown_dataset"),
    "cnn on a table": ({"dataset": "iris", "network": {"name": "cnn"}}, "/network/name", "network_does_not_apply"),
    "feature map pooled away": (
        {"network": {"name": "cnn", "blocks": [{"pool": 2}] * 4}},
        "/network/blocks/3/pool",
        "feature_map_vanishes",
    ),
    "kernel larger than the image": (
        {"network": {"name": "cnn", "blocks": [{"kernel_size": 9, "padding": 0}]}},
        "/network/blocks/0/kernel_size",
        "feature_map_vanishes",
    ),
    "same padding of an even kernel": (
        {"network": {"name": "cnn", "blocks": [{"kernel_size": 4}]}},
        "/network/blocks/0/padding",
        "even_kernel",
    ),
    "B014: batch norm one by one": (
        {"training": {"batch_size": 1}, "network": {"name": "mlp", "normalization": {"name": "batch_norm"}}},
        "/training/batch_size",
        "batch_norm_needs_rows",
    ),
    "layer norm of one unit": (
        {"network": {"name": "mlp", "hidden_units": [1], "normalization": {"name": "layer_norm"}}},
        "/network/normalization",
        "normalization_of_one_value",
    ),
    "loss of the other task": ({"loss": {"name": "squared_error"}}, "/loss", "does_not_apply"),
    "B056: stopping without validation": (
        {"early_stopping": {}, "split": {"name": "holdout", "val_fraction": 0}},
        "/early_stopping",
        "needs_validation",
    ),
    "monitor of the other task": ({"early_stopping": {"monitor": "val_r2"}}, "/early_stopping/monitor", "does_not_apply"),
    "accuracy of numbers": (
        {"dataset": "diabetes", "early_stopping": {"monitor": "val_accuracy"}},
        "/early_stopping/monitor",
        "does_not_apply",
    ),
    "B044: dropout without hidden units": (
        {"network": {"name": "mlp", "hidden_units": [], "dropout": 0.5}},
        "/network/dropout",
        "no_effect",
    ),
    "B044: activation without hidden units": (
        {"network": {"name": "mlp", "hidden_units": [], "activation": "tanh"}},
        "/network/activation",
        "no_effect",
    ),
    "target of classes": ({"preprocessing": {"target": "none"}}, "/preprocessing/target", "no_effect"),
    "split without training rows": (
        {"split": {"name": "holdout", "val_fraction": 0.6, "test_fraction": 0.4}},
        "/split/val_fraction",
        "no_training_rows",
    ),
    "too few rows for the classes": ({"split": {"name": "holdout", "val_fraction": 0.001}}, "/split/val_fraction", "part_too_small"),
    "B107: parameters": ({"network": {"name": "mlp", "hidden_units": [16384, 16384]}}, "/network", "too_many_parameters"),
    "B107: a row's values": (
        {"network": {"name": "cnn", "blocks": [{"channels": 16384, "padding": 32, "kernel_size": 1}]}},
        "/network",
        "network_too_large",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_run_is_refused_with_a_pointer(case: str) -> None:
    """B014, B044, B056, B107."""
    fields, pointer, code = REFUSED[case]
    with pytest.raises(SpecProblems) as caught:
        resolve(_spec(**fields))
    assert (pointer, code) in [(problem.pointer, problem.code) for problem in caught.value.problems]


def test_a_batch_that_memory_cannot_hold_is_refused() -> None:
    """B107."""
    with pytest.raises(SpecProblems) as caught:
        resolve(_spec(training={"batch_size": "full"}), Limits(max_batch_values=10_000))
    assert caught.value.problems[0].pointer == "/training/batch_size"


def test_without_validation_rows_the_last_weights_are_kept_and_that_is_said() -> None:
    resolved = resolve(_spec(split={"name": "holdout", "val_fraction": 0}))
    assert resolved.spec.training.kept_weights == "last"
    assert "last epoch" in resolved.warnings[0]


WRONG = [
    {"training": {"max_epochs": True}},
    {"training": {"max_epochs": "10"}},
    {"training": {"max_epochs": 1.5}},
    {"training": {"max_epochs": 0}},
    {"training": {"batch_size": 0}},
    {"training": {"gradient_clip_norm": 0}},
    {"split": {"name": "holdout", "shuffle": 0}},
    {"split": {"name": "holdout", "shuffle": "false"}},
    {"split": {"name": "holdout", "val_fraction": 1}},
    {"optimizer": {"name": "adam", "momentum": 0.9}},
    {"optimizer": {"name": "adam", "learning_rate": "1e-3"}},
    {"optimizer": {"name": "adam", "learning_rate": float("nan")}},
    {"optimizer": {"name": "adam", "learning_rate": float("inf")}},
    {"optimizer": {"name": "nope"}},
    {"network": {"name": "mlp", "dropout": 1}},
    {"network": {"name": "mlp", "dropout": -0.1}},
    {"network": {"name": "mlp", "dropout": 1.5}},
    {"network": {"name": "mlp", "hidden_units": [0]}},
    {"network": {"name": "mlp", "hidden_units": [1_000_000]}},
    {"early_stopping": {"patience": 0}},
    {"early_stopping": {"min_delta": -1}},
    {"regularization": {"label_smoothing": 1}},
    {"regularization": {"label_smoothing": False}},
    {"regularization": {"mixup_alpha": -1}},
    {"regularization": {"class_weights": [1, 0]}},
    {"regularization": {"class_weights": "heavy"}},
    {"regularization": {"ema_decay": 1}},
    {"regularization": {"augmentations": [{"name": "flip", "p": 0}]}},
    {"regularization": {"augmentations": [{"name": "scale", "low": 1.1, "high": 1.1}]}},
    {"regularization": {"augmentations": [{"name": "jitter", "brightness": 0, "contrast": 0}]}},
    {"optimizer": {"name": "nag", "momentum": 0}},
    {"schedule": {"name": "step", "factor": 1}},
    {"evaluation": {"sharpness": 0}},
    {"seed": -1},
    {"seed": 2**32},
    {"name": "a\x00b"},
    {"metadata": {"a\x00": "b"}},
    {"metadata": {"a": 1}},
    {"dataset": "../x"},
    {"unknown": 1},
]


@pytest.mark.parametrize("fields", WRONG)
def test_specs_are_closed_and_strict(fields: dict[str, Any]) -> None:
    """B029, B057, B079, B091, B092, B107."""
    with pytest.raises(ValidationError):
        _spec(**fields)


def test_decimal_and_scientific_numbers_are_equal() -> None:
    """B092."""
    specs = [
        JobSpec.model_validate_json(f'{{"dataset": "iris", "seed": 1, "optimizer": {{"name": "sgd", "learning_rate": {text}}}}}')
        for text in ("1e-3", "0.001")
    ]
    assert specs[0] == specs[1]


def test_each_optimizer_has_its_own_default_learning_rate_and_it_is_echoed() -> None:
    """B046: the default depends on the optimizer (Adadelta itself comes with its technique)."""
    rates = {name: resolve(_spec(optimizer={"name": name})).spec.optimizer.learning_rate for name in ("sgd", "momentum", "adam")}
    assert rates == {"sgd": 0.01, "momentum": 0.01, "adam": 0.001}

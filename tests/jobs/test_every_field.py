"""Every field of the fit's spec changes what is measured when it is changed, or stands in a table with the reason why it cannot."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from api.techniques import members
from data import builtin
from data.preprocessing.spec import PreprocessingSpec
from data.splits.spec import HoldoutSpec, PredefinedSpec
from jobs.materialize import materialize
from jobs.resolve import resolve
from jobs.spec import JobSpec
from models.activations.spec import RULES
from models.initializers.spec import InitializerSpec
from models.normalizations.spec import NormalizationSpec
from models.spec import CnnSpec, ConvBlockSpec, MlpSpec
from tests.training.small import figures, run
from training.augmentations.spec import AugmentationSpec
from training.optimizers.spec import OptimizerSpec
from training.regularizers.spec import RegularizationSpec
from training.schedules.spec import ScheduleSpec
from training.spec import EvaluationSpec, TrainingSpec
from training.stopping.spec import EarlyStoppingSpec

CNN = {"name": "cnn", "blocks": [{"channels": 8, "pool": 2}]}
BASE: dict[str, Any] = {
    "dataset": "bright_half",
    "network": CNN,
    "training": {"max_epochs": 3},
    "evaluation": {"resamples": 100},
    "seed": 0,
}


def _set(spec: dict[str, Any], pointer: str, value: Any) -> dict[str, Any]:
    first, _, rest = pointer.strip("/").partition("/")
    return {**spec, first: _set(spec.get(first, {}), rest, value) if rest else value}


def _named(
    category: str, union: Any, settings: dict[str, dict[str, tuple[Any, Any]]], around: dict[str, Any] | None = None
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Two specs for every field of every member of a union that stands at `category`."""
    for member in members(union):
        name = get_args(member.model_fields["name"].annotation)[0]
        for field in member.model_fields:
            if field == "name":
                continue
            a, b = settings.get(name, {}).get(field) or settings["*"][field]
            spec = {**BASE, **(around or {})}
            yield (
                f"{category}/{name}/{field}",
                *(_set(spec, category, {"name": name, **settings.get(name, {}).get("with", {}), field: value}) for value in (a, b)),
            )  # type: ignore[misc]


OPTIMIZERS: dict[str, dict[str, Any]] = {
    "*": {
        "learning_rate": (0.01, 0.02), "momentum": (0.5, 0.9), "epsilon": (1e-8, 1e-2), "beta1": (0.5, 0.9), "beta2": (0.9, 0.999), "rho": (0.5, 0.9),
        "alpha": (0.5, 0.9), "centered": (False, True), "initial_accumulator": (0.0, 1.0), "weight_decay": (0.0, 0.5),
    },
}  # fmt: skip
SCHEDULES: dict[str, dict[str, Any]] = {
    "*": {
        "warmup_epochs": (0, 1), "every": (1, 2), "factor": (0.1, 0.5), "min_factor": (0.0, 0.5), "peak": (0.3, 0.6),
        "start_factor": (0.01, 0.5), "final_factor": (0.0, 0.5), "patience": (1, 2),
    },
    "step": {"with": {"every": 1}},
    "reduce_on_plateau": {
        "with": {"patience": 1, "min_delta": 10.0, "factor": 0.1}, "monitor": ("val_loss", "val_accuracy"), "min_delta": (0.0, 10.0), "patience": (1, 2), "min_factor": (0.0, 0.5),
    },
}  # fmt: skip
AUGMENTATIONS: dict[str, tuple[dict[str, Any], dict[str, tuple[Any, Any]]]] = {
    "flip": ({}, {"axis": ("width", "height"), "p": (0.2, 0.9)}),
    "crop": ({}, {"padding": (1, 3), "p": (0.2, 0.9)}),
    "rotate": ({}, {"degrees": (5, 50), "p": (0.2, 0.9)}),
    "scale": ({}, {"low": (0.5, 0.9), "high": (1.1, 1.5), "p": (0.2, 0.9)}),
    "translate": ({}, {"fraction": (0.1, 0.5), "p": (0.2, 0.9)}),
    "jitter": ({}, {"brightness": (0.1, 0.5), "contrast": (0.1, 0.9), "p": (0.2, 0.9)}),
    "hsv": ({"dataset": "colored_shapes"}, {"hue": (0.1, 0.5), "saturation": (0.1, 0.9), "value": (0.1, 0.9), "p": (0.2, 0.9)}),
    "erase": ({}, {"low": (0.02, 0.15), "high": (0.2, 0.9), "p": (0.2, 0.9)}),
    "signal_jitter": ({"dataset": "waves"}, {"sigma": (0.1, 0.5), "p": (0.2, 0.9)}),
    "signal_scale": ({"dataset": "waves"}, {"sigma": (0.1, 0.5), "p": (0.2, 0.9)}),
    "signal_shift": ({"dataset": "waves"}, {"fraction": (0.1, 0.5), "p": (0.2, 0.9)}),
}
FIELDS: dict[type[BaseModel], tuple[str, dict[str, Any], dict[str, tuple[Any, Any]]]] = {
    RegularizationSpec: ("regularization", {}, {
        "l1": (0, 0.1), "l2": (0, 0.1), "max_norm": (None, 0.1), "label_smoothing": (0, 0.2), "mixup_alpha": (0, 0.5), "cutmix_alpha": (0, 0.5), "input_noise": (0, 0.5),
        "weight_noise": (0, 0.1), "class_weights": (None, [1, 3]), "balanced_sampling": (False, True), "ema_decay": (None, 0.5), "augmentations": ([], [{"name": "flip"}]),
    }),
    TrainingSpec: ("training", {}, {
        "max_epochs": (2, 3), "batch_size": (16, 32), "accumulate_batches": (1, 2), "gradient_clip_norm": (None, 0.01), "precision": ("float32", "float64"), "kept_weights": ("best", "last"),
    }),
    ConvBlockSpec: ("network/blocks/0", {}, {
        "channels": (4, 8), "kernel_size": (3, 5), "stride": (1, 2), "dilation": (1, 2), "padding": ("same", 0), "padding_mode": ("zeros", "reflect"), "residual": (False, True), "pool": (1, 2),
    }),
    CnnSpec: ("network", {}, {
        "blocks": ([{}], [{}, {}]), "global_average_pooling": (False, True), "hidden_units": ([], [4]), "activation": ("relu", "elu"), "normalization": (None, {"name": "layer_norm"}),
        "dropout": (0, 0.5), "initializer": ({"name": "he_normal"}, {"name": "orthogonal"}),
    }),
    MlpSpec: ("network", {"network": {"name": "mlp", "hidden_units": [8]}}, {
        "hidden_units": ([8], [9]), "activation": ("relu", "silu"), "normalization": (None, {"name": "group_norm", "groups": 2}), "dropout": (0, 0.5),
        "initializer": ({"name": "he_uniform"}, {"name": "xavier_normal"}),
    }),
    EarlyStoppingSpec: ("early_stopping", {"early_stopping": {"patience": 1, "min_delta": 10}, "training": {"max_epochs": 4}}, {
        "monitor": ("val_loss", "val_accuracy"), "patience": (1, 2), "min_delta": (0, 10),
    }),
    HoldoutSpec: ("split", {"dataset": "wine", "network": {"name": "mlp"}, "split": {"name": "holdout"}}, {
        "val_fraction": (0.2, 0.3), "test_fraction": (0, 0.2), "shuffle": (True, False), "stratify": (True, False),
    }),
    PreprocessingSpec: ("preprocessing", {"dataset": "diabetes", "network": {"name": "mlp"}}, {
        "features": ("standardize", "none"), "target": ("standardize", "none"),
    }),
    EvaluationSpec: ("evaluation", {}, {"max_train_rows": (100, None), "resamples": (100, 200), "sharpness": (False, True)}),
}  # fmt: skip
EXCEPTIONS = {
    "EarlyStoppingSpec/monitor": "two monitors may agree on the best epoch; that it drives stopping is tested in tests/training/test_stopping.py",
    "TrainingSpec/kept_weights": "the last epoch may be the best; tested in tests/training/test_stopping.py",
    "PredefinedSpec/by": "no built-in dataset that is divided has groups or times; tested in tests/data/test_group_splits.py",
    "PredefinedSpec/val_fraction": "no built-in dataset that every machine has is divided; tested in tests/data/test_splits.py",
    "schedule/reduce_on_plateau/monitor": "with so large a min_delta neither improves; directions are tested in tests/training/test_schedules.py",
}


def _cases() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    yield from _named("optimizer", OptimizerSpec, OPTIMIZERS)
    yield from _named("schedule", ScheduleSpec, SCHEDULES)
    for name, (around, fields) in AUGMENTATIONS.items():
        for field, values in fields.items():
            yield (
                f"augmentation/{name}/{field}",
                *(_set({**BASE, **around}, "regularization", {"augmentations": [{"name": name, field: value}]}) for value in values),
            )  # type: ignore[misc]
    for spec, (where, around, values) in FIELDS.items():
        for field, pair in values.items():
            base = {**BASE, **around}
            if spec is ConvBlockSpec:
                made = [{**base, "network": {"name": "cnn", "blocks": [{"channels": 4, field: value}]}} for value in pair]
            else:
                made = [_set(base, f"{where}/{field}", value) for value in pair]
            yield f"{spec.__name__}/{field}", *made  # type: ignore[misc]
    yield "PreprocessingSpec/resize", *(_set(BASE, "preprocessing/resize", size) for size in (None, [4, 4]))  # type: ignore[misc]
    penguins = {**BASE, "dataset": "penguins", "network": {"name": "mlp"}, "preprocessing": {"missing": "indicator"}}
    for pointer, values in {"missing": ("median", "indicator"), "categories": ("one_hot", "ordinal")}.items():
        yield f"PreprocessingSpec/{pointer}", *(_set(penguins, f"preprocessing/{pointer}", value) for value in values)  # type: ignore[misc]
    yield "HoldoutSpec/by", *({**penguins, "split": {"name": "holdout", "by": by}} for by in ("rows", "group"))  # type: ignore[misc]
    network = {"name": "cnn", "blocks": [{"channels": 8, "pool": 2}]}
    for name, fields in {
        "batch_norm": {"momentum": (0.1, 0.5), "epsilon": (1e-5, 0.5)},
        "layer_norm": {"epsilon": (1e-5, 0.5)},
        "instance_norm": {"epsilon": (1e-5, 0.5)},
        "group_norm": {"groups": (2, 4), "epsilon": (1e-5, 0.5)},
    }.items():
        for field, values in fields.items():
            yield (
                f"normalization/{name}/{field}",
                *({**BASE, "network": {**network, "normalization": {"name": name, field: value}}} for value in values),
            )  # type: ignore[misc]
    yield (
        "initializer/orthogonal/gain",
        *({**BASE, "network": {**network, "initializer": {"name": "orthogonal", "gain": value}}} for value in (0.5, 1.0)),
    )  # type: ignore[misc]


CASES = {name: (a, b) for name, a, b in _cases()}


def _found(fields: dict[str, Any]) -> tuple[Any, Any]:
    """Train one job here: its curve, and what is said at the end."""
    resolved = resolve(JobSpec.model_validate(fields))
    dataset = builtin.load(resolved.spec.dataset)
    fit = materialize(resolved.fits[0], dataset).fit
    curves, outcomes = run(replace(fit))
    return figures(curves[1]), outcomes[1].evaluation


@pytest.mark.parametrize("name", [name for name in CASES if name not in EXCEPTIONS])
def test_a_changed_field_changes_what_is_measured(name: str) -> None:
    """B044."""
    first, second = (_found(fields) for fields in CASES[name])
    assert first != second


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_activation_has_a_curve_of_its_own(name: str) -> None:
    found = [_found({**BASE, "network": {**CNN, "activation": one}})[0] for one in (name, "tanh" if name != "tanh" else "relu")]
    assert found[0] != found[1]


def test_every_field_is_listed() -> None:
    listed = set(CASES) | set(EXCEPTIONS)
    for category, union in (
        ("optimizer", OptimizerSpec),
        ("schedule", ScheduleSpec),
        ("augmentation", AugmentationSpec),
        ("normalization", NormalizationSpec),
        ("initializer", InitializerSpec),
    ):
        for member in members(union):
            name = get_args(member.model_fields["name"].annotation)[0]
            assert {f"{category}/{name}/{field}" for field in member.model_fields if field != "name"} <= listed
    for spec in (*FIELDS, PredefinedSpec):
        assert {f"{spec.__name__}/{field}" for field in spec.model_fields if field != "name"} <= listed, spec
    assert all(len(reason) > 10 for reason in EXCEPTIONS.values())

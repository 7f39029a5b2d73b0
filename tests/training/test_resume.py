"""B081: every member of every union goes on after every epoch as if never interrupted. What there is to test is read off the specs."""

import itertools
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from api.techniques import members
from models.normalizations.spec import NormalizationSpec
from models.spec import ConvBlockSpec
from tests.jobs.test_every_field import AUGMENTATIONS, FIELDS, OPTIMIZERS
from tests.training.resumed import assert_equal, gather, interrupted, trained_whole
from tests.training.small import a_fit, rows
from training.augmentations.spec import AugmentationSpec
from training.loop import Stack
from training.optimizers.spec import OptimizerSpec
from training.records import Fit
from training.regularizers.spec import RegularizationSpec
from training.schedules.spec import ScheduleSpec

EPOCHS = 3
EVERY_EPOCH = list(range(EPOCHS))
SHAPES = {"1-D": (2, 12), "2-D": (3, 6, 6), "3-D": (1, 4, 4, 4)}


def _names(union: Any) -> list[str]:
    return [get_args(member.model_fields["name"].annotation)[0] for member in members(union)]


def _changed(spec: type) -> dict[str, Any]:
    """Give for each field of a spec a value that changes what is trained: that it does is tested in tests/jobs/test_every_field.py."""
    return {name: pair[1] for name, pair in FIELDS[spec][2].items()}


def _optimizer(name: str) -> dict[str, Any]:
    """Give an optimizer with every field of it set to what changes its rule."""
    [member] = [one for one in members(OptimizerSpec) if get_args(one.model_fields["name"].annotation)[0] == name]
    return {"name": name, **{field: OPTIMIZERS["*"][field][1] for field in member.model_fields if field != "name"}}


def _normalization(name: str | None) -> dict[str, Any] | None:
    return None if name is None else {"name": name, **({"groups": 2} if name == "group_norm" else {})}


def _fit(shape: tuple[int, ...] = SHAPES["2-D"], **spec: Any) -> Fit:
    """Make a fit of three epochs with test rows and rows that are asked for; its last batch is short."""
    fit = a_fit(shape=shape, train_rows=50, val_rows=20, test_rows=10, **{"training": {"max_epochs": EPOCHS, "batch_size": 16}, **spec})
    return replace(fit, data=replace(fit.data, asked=rows(7, shape, seed=5).x))


def _assert_resumes(*fits: Fit) -> None:
    assert_equal(interrupted(fits, EVERY_EPOCH), trained_whole(fits))


REGULARIZERS = {**{name: {name: value} for name, value in _changed(RegularizationSpec).items() if name != "augmentations"}, "none": {}}
PAIRS = list(itertools.product(_names(OptimizerSpec), [None, *_names(NormalizationSpec)]))


@pytest.mark.parametrize(
    ("optimizer", "normalization", "regularizer"),
    [(*pair, regularizer) for pair, regularizer in zip(PAIRS, itertools.cycle(REGULARIZERS), strict=False)],
)
def test_every_optimizer_with_every_normalization_and_every_regularizer(
    optimizer: str, normalization: str | None, regularizer: str
) -> None:
    blocks = [{"channels": 4, "pool": 2}]
    network = {"name": "cnn", "blocks": blocks, "dropout": 0.2, "normalization": _normalization(normalization)}
    regularization = REGULARIZERS[regularizer]
    if regularizer == "class_weights":
        regularization = {"class_weights": [1, 2, 3]}
    _assert_resumes(_fit(network=network, optimizer=_optimizer(optimizer), regularization=regularization))


def test_the_pairs_meet_every_regularizer() -> None:
    assert len(PAIRS) >= len(REGULARIZERS)
    assert set(REGULARIZERS) >= set(RegularizationSpec.model_fields) - {"augmentations"}


@pytest.mark.parametrize("name", _names(AugmentationSpec))
def test_every_augmentation(name: str) -> None:
    around, fields = AUGMENTATIONS[name]
    del around
    shape = SHAPES["1-D"] if name.startswith("signal_") else SHAPES["2-D"]
    augmentation = {"name": name, **{field: pair[1] for field, pair in fields.items()}, "p": 0.5}
    fit = _fit(shape, network={"name": "cnn", "blocks": [{"channels": 4}]}, regularization={"augmentations": [augmentation]})
    _assert_resumes(fit if len(shape) == 2 else replace(fit, data=replace(fit.data, channel_units=((0.0,) * 3, (1.0,) * 3))))


@pytest.mark.parametrize("dimensions", SHAPES)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_residual_blocks_in_every_dimension_and_precision(dimensions: str, precision: str) -> None:
    blocks = [{"channels": 4, "pool": 2}, {"channels": 4, "residual": True}]
    network = {"name": "cnn", "blocks": blocks, "hidden_units": [4], "dropout": 0.1, "normalization": {"name": "batch_norm"}}
    training = {"max_epochs": EPOCHS, "batch_size": 16, "precision": precision, "accumulate_batches": 2}
    _assert_resumes(_fit(SHAPES[dimensions], network=network, training=training, regularization={"ema_decay": 0.9}))


@pytest.mark.parametrize("field", [name for name in ConvBlockSpec.model_fields if name != "channels"])
def test_every_field_of_a_block(field: str) -> None:
    _assert_resumes(_fit(network={"name": "cnn", "blocks": [{"channels": 3, field: _changed(ConvBlockSpec)[field]}]}))


@pytest.mark.parametrize("schedule", _names(ScheduleSpec))
def test_every_schedule_beside_early_stopping_and_sharpness(schedule: str) -> None:
    settings = {"step": {"every": 1}, "reduce_on_plateau": {"patience": 1, "min_delta": 0.5}}.get(schedule, {})
    common: dict[str, Any] = {
        "network": {"name": "mlp", "hidden_units": [6]},
        "schedule": {"name": schedule, "warmup_epochs": 1, **settings},
        "evaluation": {"resamples": 100, "sharpness": True},
    }
    one = _fit(**common)
    stops = replace(_fit(**common, early_stopping={"patience": 2, "min_delta": 9}), number=2, seed=3, data=one.data)
    _assert_resumes(one, stops)
    assert trained_whole([stops])[1][2].last_epoch == 2


def test_a_last_checkpoint_goes_on_as_a_fit_of_more_epochs() -> None:
    """It holds the weights of the last epoch, though those of another are kept; a fit that keeps none has none."""
    longer = {"training": {"max_epochs": 6, "batch_size": 16}, "optimizer": {"name": "adam", "learning_rate": 0.05}}
    whole = trained_whole([_fit(**longer)])
    curves, outcomes = trained_whole([replace(_fit(**{**longer, "training": {"max_epochs": 3, "batch_size": 16}}), keeps_checkpoint=True)])
    checkpoint = outcomes[1].checkpoint
    assert checkpoint is not None
    assert trained_whole([_fit()])[1][1].checkpoint is None
    assert np.isfinite([record.train_loss for record in curves[1]]).all()
    stack = Stack([_fit(**longer)])
    stack.restore({1: checkpoint})
    gather(stack, curves, outcomes)
    assert_equal((curves, outcomes), whole)


@pytest.mark.parametrize("patience", [1, 2])
def test_a_fit_that_is_out_of_patience_keeps_no_checkpoint(patience: int) -> None:
    fit = _fit(early_stopping={"patience": patience, "min_delta": 9})
    [outcome] = trained_whole([replace(fit, keeps_checkpoint=True)])[1].values()
    assert (outcome.stop_reason.value, outcome.checkpoint) == ("early_stopping", None)

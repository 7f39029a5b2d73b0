"""On the CPU a fit in a stack is bit for bit the fit alone."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from api.techniques import members
from models.activations.spec import ActivationName
from tests.training.small import a_fit, figures, run
from training import inputs
from training.augmentations.spec import AugmentationSpec
from training.records import Fit, StopReason
from training.regularizers.spec import RegularizationSpec

EPOCHS = 20
NORMALIZATIONS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "batch_norm": {"name": "batch_norm"},
    "layer_norm": {"name": "layer_norm"},
    "instance_norm": {"name": "instance_norm"},
    "group_norm": {"name": "group_norm", "groups": 2},
}
MLP = {"name": "mlp", "hidden_units": [32, 16]}
ODD_MLP = {"name": "mlp", "hidden_units": [17, 5, 1]}
OPTIMIZERS: dict[str, dict[str, Any]] = {
    **{name: {"name": name} for name in ("sgd", "momentum", "nag", "adagrad", "adadelta", "rmsprop", "adam", "adamw")},
    "rmsprop, centered, momentum": {"name": "rmsprop", "centered": True, "momentum": 0.5},
}
CNN = {"name": "cnn", "blocks": [{"channels": 4, "pool": 2}, {"channels": 6}], "hidden_units": [16]}


def _assert_equal_alone(fits: list[Fit]) -> None:
    curves, outcomes = run(*fits)
    for fit in fits:
        alone, outcome = run(fit)
        assert figures(curves[fit.number]) == figures(alone[fit.number])
        together, by_itself = outcomes[fit.number], outcome[fit.number]
        assert together.evaluation == by_itself.evaluation
        assert together.weights is not None
        assert by_itself.weights is not None
        assert together.weights.keys() == by_itself.weights.keys()
        assert all(np.array_equal(together.weights[name], by_itself.weights[name]) for name in by_itself.weights)


def _five(network: dict[str, Any], **fields: Any) -> list[Fit]:
    """Five fits that differ in everything that may differ: seed, rate, penalty, dropout."""
    base = {"training": {"max_epochs": EPOCHS}, **fields}
    data = a_fit(**{key: value for key, value in base.items() if key in {"shape", "classes", "train_rows", "val_rows"}}).data
    spec = {key: value for key, value in base.items() if key not in {"shape", "classes", "train_rows", "val_rows"}}
    return [
        a_fit(
            number=k + 1,
            seed=k,
            data=data,
            network={**network, "dropout": [0.0, 0.2, 0.2, 0.5, 0.1][k]},
            optimizer={"name": "adam", "learning_rate": 0.001 * (k + 1)},
            regularization={"l2": [0, 0.01, 0, 0.1, 0.001][k]},
            **spec,
        )
        for k in range(5)
    ]


@pytest.mark.parametrize("normalization", [name for name in NORMALIZATIONS if name != "instance_norm"])
@pytest.mark.parametrize("train_rows", [96, 75])
def test_an_mlp_in_a_stack_of_five_is_the_mlp_alone(normalization: str, train_rows: int) -> None:
    _assert_equal_alone(_five({**MLP, "normalization": NORMALIZATIONS[normalization]}, train_rows=train_rows, shape=(6,)))


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_cnn_in_a_stack_of_five_is_the_cnn_alone(normalization: str) -> None:
    _assert_equal_alone(_five({**CNN, "normalization": NORMALIZATIONS[normalization]}, shape=(1, 8, 8), train_rows=75))


@pytest.mark.parametrize("activation", get_args(ActivationName))
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_every_activation_and_precision_stacks(activation: str, precision: str) -> None:
    _assert_equal_alone(_five({**MLP, "activation": activation}, train_rows=80, training={"max_epochs": 6, "precision": precision}))


@pytest.mark.parametrize("batch_size", [1, 7, 20, 32, 64, "full"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_batch_size_and_optimizer_stacks(batch_size: int | str, optimizer: str) -> None:
    fits = [
        a_fit(
            number=k,
            seed=k,
            train_rows=70,
            optimizer={**OPTIMIZERS[optimizer], "learning_rate": 0.01 * k},
            network=MLP,
            training={"max_epochs": 4, "batch_size": batch_size},
        )
        for k in range(1, 4)
    ]
    _assert_equal_alone(fits)


@pytest.mark.parametrize("shape", [(1,), (5,), (64,)])
@pytest.mark.parametrize("classes", [None, 2, 10])
def test_odd_widths_and_single_outputs_stack(shape: tuple[int, ...], classes: int | None) -> None:
    _assert_equal_alone(
        [
            a_fit(number=k, seed=k, train_rows=96, shape=shape, classes=classes, network=ODD_MLP, training={"max_epochs": 5})
            for k in range(1, 6)
        ]
    )


def test_fits_with_rows_of_their_own_stack() -> None:
    fits = [a_fit(number=k, seed=k, train_rows=64 + 16 * k, val_rows=30 + k, network=MLP, training={"max_epochs": 4}) for k in range(1, 4)]
    _assert_equal_alone(fits)


def test_fits_that_stop_leave_the_others_undisturbed() -> None:
    """A stopped or diverged fit leaves the stack; the rest go on bit for bit."""
    still = {"early_stopping": {"patience": 2}}
    fits = [
        a_fit(number=1, seed=1, network=MLP, training={"max_epochs": 8}),
        a_fit(number=2, seed=2, network=MLP, optimizer={"name": "adam", "learning_rate": 0}, training={"max_epochs": 8}, **still),
        a_fit(number=3, seed=3, network=MLP, training={"max_epochs": 5}),
    ]
    curves, outcomes = run(*fits)
    assert [outcomes[n].stop_reason for n in (1, 2, 3)] == [StopReason.MAX_EPOCHS, StopReason.EARLY_STOPPING, StopReason.MAX_EPOCHS]
    assert [len(curves[n]) for n in (1, 2, 3)] == [9, 3, 6]
    _assert_equal_alone(fits)


def test_a_fit_that_diverges_leaves_the_others_undisturbed() -> None:
    """B022, B023."""
    fits = [
        a_fit(
            number=k,
            seed=k,
            classes=None,
            network=MLP,
            optimizer={"name": "sgd", "learning_rate": 1e20 if k == 2 else 0.01},
            training={"max_epochs": 5},
        )
        for k in (1, 2, 3)
    ]
    curves, outcomes = run(*fits)
    assert outcomes[2].status == "diverged"
    alone, _ = run(fits[2])
    assert figures(curves[3]) == figures(alone[3])


def test_the_same_fit_twice_gives_equal_curves() -> None:
    """B044."""
    fit = a_fit(network={**MLP, "dropout": 0.3, "normalization": {"name": "batch_norm"}}, training={"max_epochs": 5})
    assert figures(run(fit)[0][1]) == figures(run(fit)[0][1])


def test_equal_fits_in_one_stack_start_and_end_equal() -> None:
    """B023: nothing is carried from fit to fit."""
    fits = [replace(a_fit(network=MLP, training={"max_epochs": 3}), number=k) for k in (1, 2, 3)]
    curves, _ = run(*fits)
    assert figures(curves[1]) == figures(curves[2]) == figures(curves[3])


def test_fits_of_different_structure_are_refused() -> None:
    with pytest.raises(ValueError, match="one structure"):
        run(a_fit(number=1, network=MLP), a_fit(number=2, network=ODD_MLP))


REGULARIZERS: dict[str, dict[str, Any]] = {
    "l1": {"l1": 0.01},
    "max_norm": {"max_norm": 0.7},
    "label_smoothing": {"label_smoothing": 0.1},
    "mixup": {"mixup_alpha": 0.4},
    "cutmix": {"cutmix_alpha": 1.0},
    "input_noise": {"input_noise": 0.2},
    "weight_noise": {"weight_noise": 0.05},
    "class_weights": {"class_weights": "balanced"},
    "balanced_sampling": {"balanced_sampling": True},
    "ema_decay": {"ema_decay": 0.9},
    "everything": {
        "l2": 0.01, "max_norm": 1.0, "label_smoothing": 0.1, "mixup_alpha": 0.3, "input_noise": 0.1, "weight_noise": 0.01,
        "class_weights": [1, 2, 3], "balanced_sampling": True, "ema_decay": 0.8, "augmentations": [{"name": "crop"}, {"name": "rotate"}],
    },
}  # fmt: skip
AUGMENTATIONS: dict[str, list[dict[str, Any]]] = {
    "image": [{"name": name} for name in ("flip", "crop", "rotate", "scale", "translate", "jitter", "erase")],
    "color": [{"name": "hsv"}],
    "signal": [{"name": name} for name in ("crop", "signal_jitter", "signal_scale", "signal_shift")],
    "volume": [{"name": "flip", "axis": "depth"}, {"name": "crop", "padding": 1}, {"name": "scale"}],
}
INPUTS: dict[str, tuple[int, ...]] = {"image": (1, 8, 8), "color": (3, 6, 6), "signal": (2, 20), "volume": (1, 5, 5, 5)}


@pytest.mark.parametrize("batch_size", [32, 20])
@pytest.mark.parametrize("name", REGULARIZERS)
def test_every_regularizer_stacks(name: str, batch_size: int) -> None:
    """One fit in three without it, the others with other seeds: whatever the neighbours do, each is the fit alone."""
    is_kind = "ema_decay" in REGULARIZERS[name]  # averaged and plain fits are stacks of their own
    fits = [
        a_fit(
            number=k,
            seed=k,
            shape=(1, 8, 8),
            train_rows=75,
            network={**MLP, "dropout": 0.1},
            regularization=REGULARIZERS[name] if k != 2 or is_kind else {},
            training={"max_epochs": 3, "batch_size": batch_size},
        )
        for k in range(1, 4)
    ]
    _assert_equal_alone(fits)


@pytest.mark.parametrize(("kind", "augmentation"), [(kind, one) for kind, listed in AUGMENTATIONS.items() for one in listed], ids=str)
def test_every_augmentation_stacks(kind: str, augmentation: dict[str, Any]) -> None:
    fits = [
        a_fit(
            number=k,
            seed=k,
            shape=INPUTS[kind],
            train_rows=40,
            val_rows=20,
            network={"name": "cnn", "blocks": [{"channels": 4, "pool": 2}]},
            regularization={"augmentations": [] if k == 2 else [{**augmentation, "p": 0.5}]},
            training={"max_epochs": 3, "batch_size": 32},
        )
        for k in range(1, 4)
    ]
    _assert_equal_alone(fits)


def test_every_member_of_the_unions_is_stacked_here() -> None:
    listed = {one["name"] for listed in AUGMENTATIONS.values() for one in listed}
    assert listed == {one.model_fields["name"].annotation.__args__[0] for one in members(AugmentationSpec)}
    fields = {field for fields in REGULARIZERS.values() for field in fields} | {"l2"}
    assert fields == set(RegularizationSpec.model_fields)


@pytest.mark.parametrize("shape", [(2, 20), (1, 8, 8), (1, 5, 5, 5)])
def test_convolutions_of_any_dimension_with_shortcuts_and_padding_modes_stack(shape: tuple[int, ...]) -> None:
    blocks = [
        {"channels": 4, "residual": True, "padding_mode": "reflect"},
        {"channels": 4, "dilation": 2, "padding_mode": "circular", "residual": True},
        {"channels": 6, "stride": 2, "padding_mode": "replicate", "residual": True},
    ]
    network = {"name": "cnn", "blocks": blocks, "global_average_pooling": True, "normalization": {"name": "batch_norm"}}
    _assert_equal_alone(_five(network, shape=shape, train_rows=40, training={"max_epochs": 3}))


@pytest.mark.parametrize("schedule", [{"name": "step", "every": 2}, {"name": "one_cycle"}, {"name": "reduce_on_plateau", "patience": 1}])
def test_schedules_of_their_own_and_accumulated_batches_stack(schedule: dict[str, Any]) -> None:
    fits = [
        a_fit(
            number=k,
            seed=k,
            train_rows=64 + 16 * k,
            network=MLP,
            schedule=schedule if k != 2 else {"name": "constant", "warmup_epochs": 2},
            training={"max_epochs": 6, "batch_size": 16, "accumulate_batches": 3},
        )
        for k in range(1, 4)
    ]
    _assert_equal_alone(fits)


def _narrow(number: int, **regularization: Any) -> Fit:
    """Make a fit whose batches of five rows of 31 features do not begin on boundaries of 64 bytes where they lie one after another."""
    return a_fit(
        number=number,
        seed=0,
        shape=(31,),
        train_rows=75,
        network={"name": "mlp", "hidden_units": [4], "activation": "elu"},
        optimizer={"name": "adam", "learning_rate": 0.01},
        regularization=regularization,
        training={"max_epochs": 3, "batch_size": 5},
    )


def test_a_plain_fit_beside_one_with_noise_is_the_plain_fit_alone() -> None:
    """Rows of one that is trained on changed inputs are picked batch by batch."""
    _assert_equal_alone([_narrow(1), _narrow(2, input_noise=0.1)])


@pytest.mark.parametrize("shape", [(31,), (16,)])
def test_rows_put_into_order_at_once_train_as_rows_picked_batch_by_batch(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    fit = replace(_narrow(1), data=a_fit(shape=shape, train_rows=96).data)
    curves = []
    for room in (0.0, 64e6):
        monkeypatch.setattr(inputs, "_ARRANGED_BYTES", room)
        curves.append(figures(run(fit)[0][1]))
    assert curves[0] == curves[1]

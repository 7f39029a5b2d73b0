"""On the CPU a fit in a stack is bit for bit the fit alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.training.small import a_fit, figures, run
from training.records import Fit, StopReason

EPOCHS = 20
NORMALIZATIONS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "batch_norm": {"name": "batch_norm"},
    "layer_norm": {"name": "layer_norm"},
}
MLP = {"name": "mlp", "hidden_units": [32, 16]}
ODD_MLP = {"name": "mlp", "hidden_units": [17, 5, 1]}
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


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("train_rows", [96, 75])
def test_an_mlp_in_a_stack_of_five_is_the_mlp_alone(normalization: str, train_rows: int) -> None:
    _assert_equal_alone(_five({**MLP, "normalization": NORMALIZATIONS[normalization]}, train_rows=train_rows, shape=(6,)))


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_cnn_in_a_stack_of_five_is_the_cnn_alone(normalization: str) -> None:
    _assert_equal_alone(_five({**CNN, "normalization": NORMALIZATIONS[normalization]}, shape=(1, 8, 8), train_rows=75))


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_every_activation_and_precision_stacks(activation: str, precision: str) -> None:
    _assert_equal_alone(_five({**MLP, "activation": activation}, train_rows=80, training={"max_epochs": 6, "precision": precision}))


@pytest.mark.parametrize("batch_size", [1, 7, 20, 32, 64, "full"])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_every_batch_size_and_optimizer_stacks(batch_size: int | str, optimizer: str) -> None:
    fits = [
        a_fit(
            number=k,
            seed=k,
            train_rows=70,
            optimizer={"name": optimizer, "learning_rate": 0.01 * k},
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

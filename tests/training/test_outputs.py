"""What the kept weights say of rows that were asked for."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.training.small import a_fit, figures, rows, run
from training.loop import Stack, conclude, train
from training.records import Fit, FitOutcome, StopReason

NETWORKS: dict[str, dict[str, Any]] = {
    "mlp": {"name": "mlp", "hidden_units": [16, 8], "normalization": {"name": "batch_norm"}, "dropout": 0.5},
    "cnn": {"name": "cnn", "blocks": [{"channels": 4, "pool": 2}], "normalization": {"name": "batch_norm"}, "dropout": 0.3},
}


def _asking(fit: Fit, asked: np.ndarray) -> Fit:
    return replace(fit, data=replace(fit.data, asked=asked))


def _outputs(outcome: FitOutcome) -> np.ndarray:
    assert outcome.outputs is not None
    assert outcome.outputs.dtype == np.float64
    return outcome.outputs


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("val_rows", [30, 64, 200])
def test_probabilities_give_the_loss_of_the_kept_epoch(network: str, val_rows: int) -> None:
    """In evaluation mode, of the kept weights: asked about the validation rows they give the stored figures."""
    fit = a_fit(
        shape=(1, 6, 6),
        val_rows=val_rows,
        network=NETWORKS[network],
        optimizer={"name": "adam", "learning_rate": 0.05},
        training={"max_epochs": 5},
        regularization={"ema_decay": 0.9},
    )
    assert fit.data.val is not None
    curves, outcomes = run(_asking(fit, fit.data.val.x))
    outputs, kept = _outputs(outcomes[1]), outcomes[1].kept_epoch
    assert kept is not None
    assert outputs.shape == (val_rows, 3)
    assert_allclose(outputs.sum(1), 1, rtol=1e-14)
    assert -np.log(outputs[np.arange(val_rows), fit.data.val.y]).mean() == pytest.approx(curves[1][kept].val_loss, rel=1e-5)
    assert (outputs.argmax(1) == fit.data.val.y).mean() == curves[1][kept].val_metrics["accuracy"]


def test_numbers_are_in_standardised_units() -> None:
    fit = a_fit(classes=None, training={"max_epochs": 3, "precision": "float64"})
    assert fit.data.val is not None
    fit = replace(fit, data=replace(fit.data, target_scale=3.0, asked=fit.data.val.x))
    curves, outcomes = run(fit)
    outputs, kept = _outputs(outcomes[1]), outcomes[1].kept_epoch
    assert kept is not None
    assert outputs.shape == (40, 1)
    assert 9 * ((outputs[:, 0] - fit.data.val.y) ** 2).mean() == pytest.approx(curves[1][kept].val_loss, rel=1e-12)


@pytest.mark.parametrize("count", [0, 1, 33])
def test_any_number_of_rows_may_be_asked_for(count: int) -> None:
    fit = a_fit(training={"max_epochs": 1})
    _, outcomes = run(_asking(fit, rows(40, (6,), seed=9).x[:count]))
    assert _outputs(outcomes[1]).shape == (count, 3)


def test_asking_changes_nothing_and_not_asking_gives_nothing() -> None:
    fit = a_fit(training={"max_epochs": 2})
    (plain, outcome), (asked, other) = run(fit), run(_asking(fit, rows(50, (6,), seed=9).x))
    assert figures(plain[1]) == figures(asked[1])
    assert outcome[1].outputs is None
    assert outcome[1].evaluation == other[1].evaluation


def test_fits_of_a_stack_say_what_they_say_alone() -> None:
    fits = [_asking(a_fit(number=k, seed=k, training={"max_epochs": 2}), rows(20 + k, (6,), seed=k).x) for k in (1, 2, 3)]
    _, outcomes = run(*fits)
    for fit in fits:
        assert np.array_equal(_outputs(outcomes[fit.number]), _outputs(run(fit)[1][fit.number]))


def test_a_fit_that_did_not_finish_says_nothing() -> None:
    fit = _asking(a_fit(training={"max_epochs": 3}), rows(5, (6,)).x)
    stack = Stack([fit])
    next(train(stack))
    [outcome] = conclude(stack, StopReason.CANCELLED)
    assert (outcome.status, outcome.outputs) == ("cancelled", None)


def test_outputs_that_are_not_finite_are_never_given() -> None:
    """B011: the fit says that it diverged."""
    asked = rows(5, (6,)).x
    asked[2] = 3e38
    network = {"name": "mlp", "hidden_units": [8], "initializer": {"name": "orthogonal", "gain": 100.0}}
    _, outcomes = run(_asking(a_fit(network=network, optimizer={"name": "sgd", "learning_rate": 0}, training={"max_epochs": 1}), asked))
    assert (outcomes[1].status, outcomes[1].stop_reason, outcomes[1].evaluation, outcomes[1].outputs) == (
        "diverged",
        StopReason.DIVERGED,
        None,
        None,
    )
    assert outcomes[1].message is not None
    assert "asked for" in outcomes[1].message

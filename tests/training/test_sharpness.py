"""Curvature against closed forms."""

import numpy as np
import pytest
import torch

from tests.training.small import a_fit, run
from training.evaluation import Part
from training.loop import Stack
from training.sharpness import Surface, epsilon_sharpness, filter_normalised, largest_eigenvalue

LINEAR = {"name": "mlp", "hidden_units": []}


def _surface(**fields: object) -> tuple[Surface, Part]:
    stack = Stack([a_fit(network=LINEAR, **fields)])
    member = stack.members[0]
    return Surface(stack.weights.alone(0), member.train, member.loss), member.train


def test_the_curvature_of_a_quadratic_is_that_of_its_matrix() -> None:
    """Linear regression: the Hessian of the mean squared error is 2 X^T X / n, X with a column of ones."""
    surface, part = _surface(classes=None)
    x = np.column_stack([part.x.double().numpy(), np.ones(len(part))])
    expected = np.linalg.eigvalsh(2 * x.T @ x / len(x)).max()
    value, _, has_converged = largest_eigenvalue(surface, 0)
    assert has_converged
    assert value == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_curvature_of_logistic_regression_is_its_closed_form(classes: int) -> None:
    """Mean over rows of (diag p - p p^T) kron x x^T."""
    surface, part = _surface(classes=classes)
    x = np.column_stack([part.x.double().numpy(), np.ones(len(part))])
    layout, row = surface._weights.layout, surface._weights.parameters
    theta = np.column_stack([layout.view(row, "output.weight")[0].numpy(), layout.view(row, "output.bias")[0].numpy()])
    logits = x @ theta.T
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    hessian = sum(np.kron(np.diag(a) - np.outer(a, a), np.outer(b, b)) for a, b in zip(p, x, strict=True)) / len(x)
    assert largest_eigenvalue(surface, 0)[0] == pytest.approx(np.linalg.eigvalsh(hessian).max(), rel=1e-3)


def test_epsilon_sharpness_of_a_steep_valley_exceeds_that_of_a_flat_one() -> None:
    gentle, _ = _surface(classes=None)
    steep, _ = _surface(classes=None)
    steep._x = steep._x * 10
    assert 0 <= epsilon_sharpness(gentle) < epsilon_sharpness(steep)


def test_a_direction_has_the_norms_of_the_fits_own_filters() -> None:
    stack = Stack([a_fit(network={"name": "cnn", "blocks": [{"channels": 3}]}, shape=(1, 6, 6))])
    weights = stack.weights.alone(0)
    direction = filter_normalised(weights, 0).unsqueeze(0)
    for name in ("conv1.weight", "output.weight"):
        own, drawn = (weights.layout.view(row, name)[0].flatten(1).double().norm(dim=1) for row in (weights.parameters, direction))
        torch.testing.assert_close(own, drawn, rtol=1e-6, atol=1e-9)
    assert torch.equal(weights.layout.view(direction, "conv1.bias"), torch.zeros(1, 3, dtype=torch.float64))


def test_sharpness_is_an_option_of_a_fit_and_the_slice_meets_the_loss() -> None:
    for network in ({"name": "mlp", "hidden_units": [8], "normalization": {"name": "batch_norm"}}, {"name": "cnn"}):
        fit = a_fit(network=network, shape=(1, 8, 8), evaluation={"sharpness": True, "resamples": 100}, training={"max_epochs": 3})
        evaluation = run(fit)[1][1].evaluation
        assert evaluation is not None
        found = evaluation["sharpness"]
        middle = found["slice"]["distance"].index(0)
        assert found["slice"]["train_loss"][middle] == pytest.approx(evaluation["train"]["loss"]["value"], rel=1e-4)
        assert found["slice"]["val_loss"][middle] == pytest.approx(evaluation["val"]["loss"]["value"], rel=1e-4)
        assert found["epsilon_sharpness"] >= 0

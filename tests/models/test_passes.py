"""What is written out is what autograd would do, in float64."""

from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor

from models.activations.spec import ActivationName
from models.build import build
from models.passes import AutogradPass, DensePass, Pass, training_pass
from models.spec import NetworkSpec
from training.losses.build import row_losses, row_losses_and_gradient
from training.losses.spec import CrossEntropySpec, LossSpec, SquaredErrorSpec
from training.seeding import generator, keep_mask
from training.weights import Weights

_SPECS: TypeAdapter[Any] = TypeAdapter(NetworkSpec)
NORMALIZATIONS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "batch norm": {"name": "batch_norm"},
    "layer norm": {"name": "layer_norm"},
    "group norm": {"name": "group_norm", "groups": 4},
}
SHAPES = {"wide": (32, (2, 8), [16, 8]), "odd": (7, (5,), [12, 4]), "no hidden layer": (32, (16,), [])}
FITS = 3


def _weights(fields: dict[str, Any], shape: tuple[int, ...], outputs: int = 3) -> Weights:
    specs = [_SPECS.validate_python({"name": "mlp", **fields, "dropout": p}) for p in (0.0, 0.3, 0.5)]
    weights = Weights.drawn(build(specs[0], shape, outputs), specs, [1, 2, 3], torch.float64, torch.device("cpu"))
    draws = torch.Generator().manual_seed(5)
    weights.parameters += 0.1 * torch.randn(weights.parameters.shape, generator=draws, dtype=torch.float64)  # biases and scales too
    return weights


def _masks(seed: int) -> Callable[[int, str, tuple[int, ...], float], Tensor]:
    def mask(fit: int, layer: str, shape: tuple[int, ...], probability: float) -> Tensor:
        if probability == 0:
            return torch.ones(shape, dtype=torch.float64)
        return keep_mask(generator(seed, fit, layer), shape, probability, torch.float64)

    return mask


def _passes(weights: Weights, rows: int) -> tuple[Pass, Pass, Weights]:
    """Give the written pass of some weights, the pass by autograd of a copy, and the copy."""
    copy = weights.copy()
    fits = slice(0, FITS)
    written = training_pass(weights.network, weights.run(fits, rows), weights.gradient, rows)
    assert isinstance(written, DensePass)
    return written, AutogradPass(copy.network, copy.run(fits, rows), copy.gradient), copy


def _assert_equal(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("activation", get_args(ActivationName))
def test_the_dense_pass_is_the_one_that_autograd_finds(activation: str, normalization: str, shape: str) -> None:
    """Outputs, gradients and running statistics of three fits with dropout of their own; over two batches, the second one's gradients added."""
    rows, inputs, hidden = SHAPES[shape]
    weights = _weights({"hidden_units": hidden, "activation": activation, "normalization": NORMALIZATIONS[normalization]}, inputs)
    written, recorded, copy = _passes(weights, rows)
    draws = torch.Generator().manual_seed(3)
    for number in range(2):
        x = torch.randn(FITS, rows, *inputs, dtype=torch.float64, generator=draws)
        above = torch.randn(FITS, rows, 3, dtype=torch.float64, generator=draws)
        with torch.no_grad():
            _assert_equal(written.forward(x, _masks(number)), recorded.forward(x, _masks(number)))
            written.backward(above.clone(), adds=number > 0)
        recorded.backward(above.clone(), adds=number > 0)
        assert copy.gradient.abs().max() > 0
        _assert_equal(weights.gradient, copy.gradient)
        _assert_equal(weights.buffers, copy.buffers)


def test_gradients_that_are_not_added_replace_those_before() -> None:
    weights = _weights({"hidden_units": [8], "normalization": {"name": "layer_norm"}}, (5,))
    written, _, _ = _passes(weights, 7)
    x, above = torch.randn(FITS, 7, 5, dtype=torch.float64), torch.randn(FITS, 7, 3, dtype=torch.float64)
    with torch.no_grad():
        for _ in range(2):
            written.forward(x, _masks(0))
            written.backward(above.clone(), adds=False)
        once = weights.gradient.clone()
        weights.gradient.fill_(7.0)
        written.forward(x, _masks(0))
        written.backward(above.clone(), adds=False)
    used = torch.zeros_like(once)
    for view in weights.layout.views(used).values():
        view.fill_(1.0)
    assert torch.equal(weights.gradient * used, once * used)


def test_backward_before_forward_is_refused() -> None:
    weights = _weights({"hidden_units": [8]}, (5,))
    for one in _passes(weights, 7)[:2]:
        with pytest.raises(ValueError, match="before forward"):
            one.backward(torch.zeros(FITS, 7, 3, dtype=torch.float64), adds=False)


@pytest.mark.parametrize(("loss", "outputs"), [(CrossEntropySpec(name="cross_entropy"), 4), (SquaredErrorSpec(name="squared_error"), 1)])
def test_the_gradient_of_a_loss_is_the_one_that_autograd_finds(loss: LossSpec, outputs: int) -> None:
    draws = torch.Generator().manual_seed(1)
    z = (torch.randn(2, 9, outputs, dtype=torch.float64, generator=draws) * 5).requires_grad_()
    y = torch.randint(0, 4, (2, 9), generator=draws) if outputs > 1 else torch.randn(2, 9, dtype=torch.float64, generator=draws)
    expected = row_losses(loss, z, y)
    [slope] = torch.autograd.grad(expected.sum(), z)
    losses, gradient = row_losses_and_gradient(loss, z.detach(), y)
    _assert_equal(losses, expected.detach())
    _assert_equal(gradient, slope)

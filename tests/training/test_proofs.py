"""The mathematics, checked: gradients in float64, a convolution's backward pass by hand, and one golden curve for each kind of network."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor

from models.activations.spec import ActivationName
from models.build import build
from models.spec import NetworkSpec
from tests.training.small import a_fit, run
from training.losses.build import row_losses, smoothed_row_losses
from training.losses.spec import CrossEntropySpec, SquaredErrorSpec
from training.regularizers.build import Penalties
from training.regularizers.spec import RegularizationSpec
from training.weights import Weights

GOLDEN = Path(__file__).parents[1] / "golden"
_SPECS: TypeAdapter[Any] = TypeAdapter(NetworkSpec)
_NETWORKS: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    **{f"mlp, {name}": ({"name": "mlp", "hidden_units": [5, 4], "activation": name}, (3,)) for name in get_args(ActivationName)},
    **{
        f"cnn, {norm}": ({"name": "cnn", "blocks": [{"channels": 4, "pool": 2}], "hidden_units": [4], "activation": "tanh", "normalization": {"name": norm, **more}}, (2, 6, 5))
        for norm, more in (("batch_norm", {}), ("layer_norm", {}), ("instance_norm", {}), ("group_norm", {"groups": 2}))
    },
    **{
        f"cnn, {len(shape) - 1}-D": (
            {"name": "cnn", "activation": "silu", "global_average_pooling": True, "blocks": [{"channels": 2, "residual": True, "padding_mode": "circular"}, {"channels": 3, "stride": 2, "residual": True}, {"channels": 2, "dilation": 2}]},
            shape,
        )
        for shape in ((2, 9), (2, 5, 6), (1, 4, 5, 4))
    },
}  # fmt: skip


@pytest.mark.parametrize("name", _NETWORKS)
def test_gradients_of_every_layer_agree_with_differences(name: str) -> None:
    fields, shape = _NETWORKS[name]
    spec = _SPECS.validate_python(fields)
    network = build(spec, shape, 3)
    weights = Weights.drawn(network, [spec], [0], torch.float64, torch.device("cpu"))
    x = torch.randn(1, 3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2
    y = torch.tensor([[0, 1, 2]])
    names = list(weights.layout.offsets)
    values = [weights.layout.view(weights.parameters, one).clone().requires_grad_() for one in names]

    def loss(*parameters: Tensor) -> Tensor:
        run = weights.run(slice(0, 1), 3)
        single = {one: value[0] for one, value in zip(names, parameters, strict=True)}
        stacked = dict(zip(names, parameters, strict=True))
        run = type(run)(specs=run.specs, stacked=stacked, single=[single], buffers=run.buffers, is_wide=False)
        return row_losses(CrossEntropySpec(name="cross_entropy"), network.forward(x, run), y).mean()

    assert torch.autograd.gradcheck(loss, values, eps=1e-6, atol=1e-6)


def test_gradients_of_every_loss_agree_with_differences() -> None:
    outputs = torch.randn(1, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    classes, numbers = torch.tensor([[0, 1, 2, 0]]), torch.randn(1, 4, dtype=torch.float64)
    entropy = CrossEntropySpec(name="cross_entropy")
    assert torch.autograd.gradcheck(lambda z: row_losses(entropy, z, classes), outputs)
    assert torch.autograd.gradcheck(lambda z: smoothed_row_losses(entropy, z[0], classes[0], 0.2), outputs)
    assert torch.autograd.gradcheck(lambda z: row_losses(SquaredErrorSpec(name="squared_error"), z[..., :1], numbers), outputs)


@pytest.mark.parametrize("fields", [{"l1": 0.3}, {"l2": 0.7}, {"l1": 0.1, "l2": 0.2}])
def test_a_penaltys_gradient_is_that_of_its_value(fields: dict[str, float]) -> None:
    mask = torch.tensor([1.0, 1, 0, 1], dtype=torch.float64)
    weights = torch.tensor([0.5, -2, 3, 1.5], dtype=torch.float64)
    penalties = Penalties([RegularizationSpec.model_validate(fields)], mask)
    gradient = torch.zeros(4, dtype=torch.float64)
    penalties.add(0, weights, gradient)
    for i in range(4):
        ahead, behind = weights.clone(), weights.clone()
        ahead[i] += 1e-6
        behind[i] -= 1e-6
        slope = (
            penalties.add(0, ahead, torch.zeros(4, dtype=torch.float64)) - penalties.add(0, behind, torch.zeros(4, dtype=torch.float64))
        ) / 2e-6
        assert gradient[i].item() == pytest.approx(slope, abs=1e-7)


def test_the_gradient_of_a_shared_kernel_is_itself_a_convolution() -> None:
    """z[o, p] = sum_ck w[o, c, k] x[c, p + k] + b[o] gives dw[o, c, k] = sum_p dz[o, p] x[c, p + k]: x slid over by dz.

    And dx[c, q] = sum_ok w[o, c, k] dz[o, q - k]: dz, padded, slid over by the kernel turned about.
    """
    source = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 7, 6, dtype=torch.float64, generator=source, requires_grad=True)
    w = torch.randn(4, 3, 3, 2, dtype=torch.float64, generator=source, requires_grad=True)
    b = torch.randn(4, dtype=torch.float64, generator=source, requires_grad=True)
    z = torch.nn.functional.conv2d(x, w, b)
    dz = torch.randn(z.shape, dtype=torch.float64, generator=source)
    z.backward(dz)  # type: ignore[no-untyped-call]
    dw, dx = torch.zeros_like(w), torch.zeros_like(x)
    rows, columns = z.shape[2:]
    with torch.no_grad():
        for i in range(3):
            for j in range(2):
                window = x[:, :, i : i + rows, j : j + columns]
                dw[:, :, i, j] = torch.einsum("bopq,bcpq->oc", dz, window)
                dx[:, :, i : i + rows, j : j + columns] += torch.einsum("bopq,oc->bcpq", dz, w[:, :, i, j])
        as_convolution = torch.nn.functional.conv2d(x.transpose(0, 1), dz.transpose(0, 1)).transpose(0, 1)
    assert w.grad is not None
    assert x.grad is not None
    assert b.grad is not None
    torch.testing.assert_close(w.grad, dw, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(as_convolution, dw, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(x.grad, dx, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(b.grad, dz.sum((0, 2, 3)), rtol=1e-12, atol=1e-12)


GOLDEN_FITS: dict[str, dict[str, Any]] = {
    "mlp": {"network": {"name": "mlp", "hidden_units": [8], "dropout": 0.2}, "shape": (6,)},
    "cnn_1d": {"network": {"name": "cnn", "normalization": {"name": "batch_norm"}}, "shape": (1, 16)},
    "cnn_2d": {"network": {"name": "cnn", "normalization": {"name": "group_norm"}, "dropout": 0.1}, "shape": (1, 8, 8)},
    "cnn_3d": {"network": {"name": "cnn", "blocks": [{"channels": 4, "pool": 2, "residual": True}]}, "shape": (1, 5, 5, 5)},
}


@pytest.mark.parametrize("name", GOLDEN_FITS)
def test_a_small_fit_follows_its_golden_curve(name: str) -> None:
    """Float64: another machine's rounding stays far below the tolerance, another rule does not."""
    fit = a_fit(**GOLDEN_FITS[name], train_rows=40, val_rows=20, training={"max_epochs": 5, "batch_size": 16, "precision": "float64"})
    curve = [[record.train_loss, record.val_loss, record.objective or 0.0] for record in run(fit)[0][1]]
    golden = json.loads((GOLDEN / f"{name}.json").read_text())
    for ours, theirs in zip(curve, golden, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-8)

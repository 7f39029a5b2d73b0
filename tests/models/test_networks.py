"""Networks are what the shape table says, and compute what torch's own modules compute."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from models.build import build
from models.shapes import layers, num_parameters
from models.spec import CnnSpec, MlpSpec, NetworkSpec
from training.weights import Weights

NORMS: list[dict[str, Any] | None] = [None, {"name": "batch_norm"}, {"name": "layer_norm"}]
SHAPES = {1: (2, 20), 2: (1, 9, 8), 3: (2, 6, 5, 6)}


def _cnn(**fields: Any) -> CnnSpec:
    return CnnSpec.model_validate(
        {"name": "cnn", "blocks": [{"channels": 4, "pool": 2}, {"channels": 3, "kernel_size": 2, "stride": 2, "padding": 1}], **fields}
    )


def _weights(spec: NetworkSpec, shape: tuple[int, ...], seeds: tuple[int, ...] = (0,)) -> Weights:
    return Weights.drawn(build(spec, shape, 5), [spec] * len(seeds), seeds, torch.float64, torch.device("cpu"))


def _outputs(weights: Weights, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return weights.network.forward(x, weights.run(slice(0, len(weights)), x.shape[1]))


@pytest.mark.parametrize("axes", SHAPES)
@pytest.mark.parametrize("normalization", NORMS)
@pytest.mark.parametrize("hidden_units", [[], [7, 6]])
def test_parameters_and_outputs_are_those_of_the_shape_table(
    axes: int, normalization: dict[str, Any] | None, hidden_units: list[int]
) -> None:
    shape = SHAPES[axes]
    for spec in (
        _cnn(normalization=normalization, hidden_units=hidden_units),
        MlpSpec.model_validate({"name": "mlp", "hidden_units": hidden_units, "normalization": normalization if hidden_units else None}),
    ):
        network = build(spec, shape, 5)
        table = layers(spec, shape, 5)
        assert sum(math.prod(parameter.shape) for parameter in network.parameters) == num_parameters(table)
        for layer in table:
            own = [math.prod(parameter.shape) for parameter in network.parameters if parameter.name.startswith(f"{layer.name}.")]
            assert sum(own) == layer.num_parameters
        assert _outputs(_weights(spec, shape, (0, 1)), torch.randn(2, 3, *shape, dtype=torch.float64)).shape == (2, 3, 5)


@pytest.mark.parametrize("normalization", NORMS)
def test_a_cnn_computes_what_torchs_modules_compute(normalization: dict[str, Any] | None) -> None:
    spec = _cnn(normalization=normalization, activation="gelu", hidden_units=[7])
    weights = _weights(spec, SHAPES[2])
    shapes = [layer.output_shape for layer in layers(spec, SHAPES[2], 5) if layer.kind in {"batch_norm", "layer_norm"}]
    norms = iter([_module(normalization, shape) for shape in shapes] if normalization else [nn.Identity()] * 3)
    twin = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), next(norms), nn.GELU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 3, 2, stride=2, padding=1), next(norms), nn.GELU(), nn.Flatten(),
        nn.Linear(27, 7), next(norms), nn.GELU(), nn.Linear(7, 5),
    ).double().eval()  # fmt: skip
    values = weights.arrays(0)
    named = [name for name in values if "running" not in name]
    with torch.no_grad():
        for parameter, name in zip(twin.parameters(), named, strict=True):
            parameter.copy_(torch.from_numpy(values[name]))
        x = torch.randn(1, 6, *SHAPES[2], dtype=torch.float64)
        torch.testing.assert_close(_outputs(weights, x)[0], twin(x[0]), rtol=1e-12, atol=1e-12)


def _module(normalization: dict[str, Any], shape: tuple[int, ...]) -> nn.Module:
    if normalization["name"] == "layer_norm":
        return nn.LayerNorm(shape)
    return nn.BatchNorm2d(shape[0]) if len(shape) > 1 else nn.BatchNorm1d(shape[0])


def test_layer_norm_does_not_depend_on_the_batch() -> None:
    spec = MlpSpec.model_validate({"name": "mlp", "hidden_units": [8], "normalization": {"name": "layer_norm"}})
    weights, x = _weights(spec, (4,)), torch.randn(1, 5, 4, dtype=torch.float64)
    torch.testing.assert_close(_outputs(weights, x)[0, :1], _outputs(weights, x[:, :1])[0])


def test_parameters_of_equal_name_and_shape_start_equal_even_when_networks_differ() -> None:
    deep = _weights(MlpSpec(name="mlp", hidden_units=(8, 6)), (4,)).arrays(0)
    wide = _weights(MlpSpec(name="mlp", hidden_units=(8, 9)), (4,)).arrays(0)
    assert (deep["dense1.weight"] == wide["dense1.weight"]).all()
    assert deep["dense2.weight"].shape != wide["dense2.weight"].shape


@pytest.mark.parametrize(("name", "variance"), [("he_normal", 2 / 400), ("xavier_uniform", 2 / (400 + 300))])
def test_initial_weights_have_the_variance_of_their_rule(name: str, variance: float) -> None:
    spec = MlpSpec.model_validate({"name": "mlp", "hidden_units": [300], "initializer": {"name": name}})
    values = _weights(spec, (400,)).arrays(0)
    assert values["dense1.weight"].var() == pytest.approx(variance, rel=0.02)
    assert (values["dense1.bias"] == 0).all()


def test_a_relu_after_pooling_is_the_relu_before_it() -> None:
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    first = nn.functional.max_pool2d(torch.relu(x), 2)
    then = torch.relu(nn.functional.max_pool2d(x, 2))
    assert torch.equal(first, then)
    grads = [torch.autograd.grad((out * torch.arange(out.numel()).view_as(out)).sum(), x)[0] for out in (first, then)]
    assert torch.equal(grads[0], grads[1])

"""Networks as built: against the shape arithmetic, against torch's own layers, and by hand."""

import itertools
import math
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from torch import Tensor

from models.activations.build import activation, commutes_with_max_pool
from models.activations.spec import ActivationName
from models.base import ALIGNMENT, WIDE_ROWS, Network, ParameterSpec, Segments
from models.build import build
from models.initializers.build import initial
from models.initializers.spec import HeNormalSpec, XavierUniformSpec
from models.shapes import layers, num_parameters
from models.spec import NetworkSpec
from training.weights import Weights

_SPECS: TypeAdapter[Any] = TypeAdapter(NetworkSpec)
NORMALIZATIONS: list[dict[str, Any] | None] = [
    None,
    {"name": "batch_norm"},
    {"name": "layer_norm"},
    {"name": "instance_norm"},
    {"name": "group_norm", "groups": 1},
]
BLOCKS: list[list[dict[str, Any]]] = [
    [{"channels": 3}],
    [{"channels": 4, "pool": 2}, {"channels": 5, "kernel_size": 1}],
    [{"channels": 2, "stride": 2, "padding": 0}, {"channels": 3, "kernel_size": 2, "padding": 1, "pool": 2}],
    [{"channels": 3, "kernel_size": 5, "padding": 2, "stride": 3}],
    [{"channels": 3, "residual": True}, {"channels": 3, "dilation": 2, "residual": True}, {"channels": 2, "stride": 2, "residual": True}],
    [{"channels": 2, "padding_mode": "reflect"}, {"channels": 2, "padding_mode": "circular"}, {"channels": 2, "padding_mode": "replicate"}],
]
SHAPES = [(1, 12), (2, 11), (1, 9, 8), (3, 12, 10), (1, 8, 9, 10), (2, 8, 8, 8)]


def _spec(**fields: Any) -> Any:
    return _SPECS.validate_python(fields)


def _weights(network: Network, spec: Any, fits: int = 1, dtype: torch.dtype = torch.float32) -> Weights:
    return Weights.drawn(network, [spec] * fits, list(range(fits)), dtype, torch.device("cpu"))


def _forward(network: Network, spec: Any, x: Tensor) -> Tensor:
    weights = _weights(network, spec, len(x), x.dtype)
    with torch.no_grad():
        return network.forward(x, weights.run(slice(0, len(x)), x.shape[1]))


def _assert_agrees(spec: Any, shape: tuple[int, ...], outputs: int) -> None:
    """Names, parameter counts and output sizes of the built network are those that were promised at submit time."""
    table = layers(spec, shape, outputs)
    network = build(spec, shape, outputs)
    learned: dict[str, int] = {}
    for parameter in network.parameters:
        layer, _, part = parameter.name.rpartition(".")
        assert part in {"weight", "bias"}
        learned[layer] = learned.get(layer, 0) + math.prod(parameter.shape)
    assert learned == {layer.name: layer.num_parameters for layer in table if layer.num_parameters}
    assert sum(learned.values()) == num_parameters(table)
    assert {buffer.name.rpartition(".")[0] for buffer in network.buffers} <= {layer.name for layer in table if layer.kind == "batch_norm"}
    assert _forward(network, spec, torch.randn(2, 3, *shape)).shape == (2, 3, outputs)


@pytest.mark.parametrize(("blocks", "shape"), list(itertools.product(BLOCKS, SHAPES)))
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_convolutional_networks_agree_with_the_shape_arithmetic(
    blocks: list[dict[str, Any]], shape: tuple[int, ...], normalization: dict[str, str] | None
) -> None:
    """B113."""
    for pooling in (False, True):
        network = {"blocks": blocks, "hidden_units": [6], "normalization": normalization, "dropout": 0.2, "global_average_pooling": pooling}
        _assert_agrees(_spec(name="cnn", **network), shape, 4)


@pytest.mark.parametrize("normalization", [one for one in NORMALIZATIONS if one is None or one["name"] != "instance_norm"])
@pytest.mark.parametrize("hidden", [[], [5], [7, 3, 2]])
@pytest.mark.parametrize("shape", [(4,), (1, 8, 8), (3, 5)])
def test_fully_connected_networks_agree_with_the_shape_arithmetic(
    normalization: dict[str, str] | None, hidden: list[int], shape: tuple[int, ...]
) -> None:
    _assert_agrees(_spec(name="mlp", hidden_units=hidden, normalization=normalization), shape, 3)


@settings(deadline=None, max_examples=60)
@given(
    size=st.tuples(st.integers(5, 14), st.integers(5, 14)),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    pool=st.integers(1, 2),
)
def test_any_feature_map_that_does_not_vanish_has_the_promised_size(
    size: tuple[int, int], kernel: int, stride: int, padding: int, pool: int
) -> None:
    """B113: floor((n + 2p - (k - 1) - 1) / s) + 1 along each axis."""
    axes = [(n + 2 * padding - (kernel - 1) - 1) // stride + 1 for n in size]
    if min(axes) // pool < 1:
        return
    block = {"channels": 2, "kernel_size": kernel, "stride": stride, "padding": padding, "pool": pool}
    _assert_agrees(_spec(name="cnn", blocks=[block]), (1, *size), 2)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("name", get_args(ActivationName))
def test_a_block_is_convolution_norm_activation_pool_in_that_order(axes: int, name: str) -> None:
    """Against torch's own layers, in float64."""
    spec = _spec(name="cnn", blocks=[{"channels": 4, "kernel_size": 3, "pool": 2}], normalization={"name": "batch_norm"}, activation=name)
    shape = (2, *[7, 6, 8][:axes])
    network = build(spec, shape, 3)
    weights = _weights(network, spec, dtype=torch.float64)
    values = {key: torch.from_numpy(value) for key, value in weights.arrays(0).items()}
    functional = torch.nn.functional
    convolution = [functional.conv1d, functional.conv2d, functional.conv3d][axes - 1]
    pool = [functional.max_pool1d, functional.max_pool2d, functional.max_pool3d][axes - 1]
    x = torch.randn(5, *shape, dtype=torch.float64)
    z = convolution(x, values["conv1.weight"], values["conv1.bias"], padding=1)
    z = functional.batch_norm(z, values["norm1.running_mean"], values["norm1.running_var"], values["norm1.weight"], values["norm1.bias"])
    z = pool(getattr(functional, name)(z), 2).flatten(1)
    expected = functional.linear(z, values["output.weight"], values["output.bias"])
    with torch.no_grad():
        found = network.forward(x.unsqueeze(0), weights.run(slice(0, 1), 5))[0]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_pooling_may_come_before_relu_without_changing_value_or_gradient() -> None:
    """ReLU is monotone: only it may change places, and one number in four is then computed."""
    assert [name for name in get_args(ActivationName) if commutes_with_max_pool(name)] == ["relu"]
    results = []
    for relu_first in (True, False):
        x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1), requires_grad=True)
        pool, relu = torch.nn.functional.max_pool2d, torch.relu
        out = pool(relu(x), 2) if relu_first else relu(pool(x, 2))
        out.square().sum().backward()  # type: ignore[no-untyped-call]
        assert x.grad is not None
        results.append((out.detach(), x.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("relu", [0.0, 0.0, 2.0]),
        ("leaky_relu", [-0.01, 0.0, 2.0]),
        ("elu", [-0.632121, 0.0, 2.0]),
        ("gelu", [-0.158655, 0.0, 1.954500]),
        ("silu", [-0.268941, 0.0, 1.761594]),
        ("sigmoid", [0.268941, 0.5, 0.880797]),
        ("tanh", [-0.761594, 0.0, 0.964028]),
    ],
)
def test_activations_by_hand(name: Any, expected: list[float]) -> None:
    assert activation(name)(torch.tensor([-1.0, 0.0, 2.0])).tolist() == pytest.approx(expected, abs=1e-6)


def test_layer_norm_of_a_row_does_not_depend_on_the_rows_beside_it() -> None:
    """B078."""
    spec = _spec(name="mlp", hidden_units=[16], normalization={"name": "layer_norm"})
    network = build(spec, (6,), 3)
    x = torch.randn(1, WIDE_ROWS, 6, dtype=torch.float64)
    torch.testing.assert_close(_forward(network, spec, x)[:, :1], _forward(network, spec, x[:, :1]), rtol=1e-12, atol=1e-12)


def test_he_normal_has_variance_2_over_fan_in_and_xavier_keeps_its_bound() -> None:
    parameter = ParameterSpec("dense1.weight", (300, 200), "weight", 200, 300)
    source = torch.Generator().manual_seed(0)
    he = initial(HeNormalSpec(name="he_normal"), parameter, source)
    assert he.var().item() == pytest.approx(2 / 200, rel=0.02)
    xavier = initial(XavierUniformSpec(name="xavier_uniform"), parameter, source)
    bound = math.sqrt(6 / 500)
    assert xavier.abs().max().item() <= bound
    assert xavier.var().item() == pytest.approx(bound**2 / 3, rel=0.02)


def test_fans_of_a_convolution_count_the_whole_window() -> None:
    network = build(_spec(name="cnn", blocks=[{"channels": 5, "kernel_size": 3}]), (2, 8, 8), 3)
    kernel = network.parameters[0]
    assert (kernel.name, kernel.fan_in, kernel.fan_out) == ("conv1.weight", 18, 45)


def test_parameters_of_equal_name_and_shape_start_equal_in_different_networks() -> None:
    """Draws are named, not counted: a layer more elsewhere moves nothing."""
    found = []
    for normalization in NORMALIZATIONS:
        spec = _spec(name="mlp", hidden_units=[8, 4], normalization=normalization)
        found.append(_weights(build(spec, (6,), 3), spec).arrays(0))
    for other in found[1:]:
        for name in ("dense1.weight", "dense2.weight", "output.weight"):
            assert (found[0][name] == other[name]).all()
    assert all((values == 0).all() for values in (found[0]["dense1.bias"], found[1]["norm1.bias"]))
    assert (found[1]["norm1.weight"] == 1).all()


def test_fits_of_a_stack_start_from_their_own_seeds_wherever_they_stand() -> None:
    spec = _spec(name="mlp", hidden_units=[8])
    network = build(spec, (6,), 3)
    stacked = Weights.drawn(network, [spec] * 3, [4, 5, 6], torch.float32, torch.device("cpu"))
    alone = Weights.drawn(network, [spec], [6], torch.float32, torch.device("cpu"))
    assert torch.equal(stacked.parameters[2], alone.parameters[0])
    assert not torch.equal(stacked.parameters[0], stacked.parameters[1])


def test_every_tensor_starts_on_a_boundary_and_padding_stays_zero() -> None:
    spec = _spec(name="mlp", hidden_units=[17, 5, 1])
    network = build(spec, (3,), 2)
    layout = Segments.of(network.parameters)
    assert layout.width % ALIGNMENT == 0
    assert all(start % ALIGNMENT == 0 for start, _ in layout.offsets.values())
    weights = _weights(network, spec, 2)
    filled = torch.zeros_like(weights.parameters)
    for parameter in network.parameters:
        layout.view(filled, parameter.name).fill_(1)
    assert (weights.parameters[filled == 0] == 0).all()
    assert int(filled[0].sum()) == num_parameters(layers(spec, (3,), 2))


@pytest.mark.parametrize("spec", [{"name": "mlp"}, {"name": "cnn"}])
def test_evaluation_passes_fill_whole_vectors(spec: dict[str, str]) -> None:
    assert build(_spec(**spec), (1, 8, 8), 2).rows_at_once % WIDE_ROWS == 0

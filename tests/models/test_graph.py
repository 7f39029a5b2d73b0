"""Networks as ONNX graphs: what ONNX Runtime computes is what torch computes in evaluation mode."""

import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from pydantic import TypeAdapter

from models.activations.spec import ActivationName
from models.build import build
from models.graph import IR_VERSION, OPSET, onnx_model
from models.spec import NetworkSpec, PaddingMode
from training.evaluation import Part, measure
from training.losses.spec import CrossEntropySpec
from training.weights import Weights

_SPECS: TypeAdapter[Any] = TypeAdapter(NetworkSpec)
NORMALIZATIONS: list[dict[str, Any] | None] = [
    None,
    {"name": "batch_norm", "epsilon": 0.01},
    {"name": "layer_norm"},
    {"name": "instance_norm"},
    {"name": "group_norm", "groups": 1},
    {"name": "group_norm", "groups": 2},
    {"name": "group_norm", "groups": 4, "epsilon": 0.1},
]
OF_AN_MLP = [one for one in NORMALIZATIONS if one is None or one["name"] != "instance_norm"]
SIZES = (9, 8, 7)
POOLED = [{"channels": 4, "pool": 2}, {"channels": 8}]


def _spec(**fields: Any) -> Any:
    return _SPECS.validate_python(fields)


def _weights(spec: Any, shape: tuple[int, ...], outputs: int, dtype: torch.dtype = torch.float32) -> Weights:
    """Nothing stays at its first value: biases, scales, shifts and running statistics are drawn too."""
    network = build(spec, shape, outputs)
    weights = Weights.drawn(network, [spec], [0], dtype, torch.device("cpu"))
    source = torch.Generator().manual_seed(1)
    for parameter in network.parameters:
        if parameter.kind != "weight":
            center = 1.0 if parameter.kind == "scale" else 0.0
            view = weights.layout.view(weights.parameters, parameter.name)
            view.copy_(center + 0.3 * torch.randn(view.shape, generator=source))
    for buffer in network.buffers:
        view = weights.buffer_layout.view(weights.buffers, buffer.name)
        drawn = torch.randn(view.shape, generator=source)
        view.copy_(drawn.square() + 0.2 if buffer.name.endswith("running_var") else drawn)
    return weights


def _torch_outputs(weights: Weights, x: np.ndarray) -> np.ndarray:
    """Give the outputs that the figures are made of."""
    rows = torch.from_numpy(x).to(weights.parameters.dtype)
    part = Part(x=rows, y=torch.zeros(len(x), dtype=torch.int64), task="classification", scale=1.0)
    [figures] = measure(weights, [part], CrossEntropySpec(name="cross_entropy"), keeps_outputs=True)
    assert figures.outputs is not None
    return figures.outputs


def _onnx_outputs(model: onnx.ModelProto, x: np.ndarray) -> Mapping[str, np.ndarray]:
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"rows": x}), strict=True))


def _rows(count: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(count).normal(size=(count, *shape)).astype(np.float32)


def _assert_agrees(spec: Any, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> None:
    """One model for a batch of 1 and of 7."""
    weights = _weights(spec, shape, 3, dtype)
    model = onnx_model(spec, shape, 3, weights.arrays(0), task="classification")
    for count in (1, 7):
        x = _rows(count, shape)
        expected, found = _torch_outputs(weights, x), _onnx_outputs(model, x)
        assert expected.std() > 1e-3
        np.testing.assert_allclose(found["logits"], expected, rtol=1e-5, atol=1e-5)
        shares = np.exp(expected) / np.exp(expected).sum(1, keepdims=True)
        np.testing.assert_allclose(found["probabilities"], shares, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("normalization", OF_AN_MLP)
@pytest.mark.parametrize("hidden", [[], [8], [8, 12]])
@pytest.mark.parametrize("shape", [(5,), (2, 6), (1, 4, 5), (2, 3, 4, 5)])
def test_a_fully_connected_network_computes_the_same(
    normalization: dict[str, Any] | None, hidden: list[int], shape: tuple[int, ...]
) -> None:
    _assert_agrees(_spec(name="mlp", hidden_units=hidden, normalization=normalization, dropout=0.3), shape)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("pooling", [False, True])
def test_a_convolutional_network_computes_the_same(normalization: dict[str, Any] | None, axes: int, pooling: bool) -> None:
    """Hidden dense layers are normalized too, but by instance norm."""
    spec = _spec(name="cnn", blocks=POOLED, hidden_units=[8, 12], normalization=normalization, global_average_pooling=pooling, dropout=0.3)
    _assert_agrees(spec, (2, *SIZES[:axes]))


@pytest.mark.parametrize("name", get_args(ActivationName))
@pytest.mark.parametrize("network", [{"name": "mlp"}, {"name": "cnn", "blocks": POOLED, "hidden_units": [8]}])
def test_every_activation_computes_the_same(name: str, network: dict[str, Any]) -> None:
    """In blocks with and without pooling, and in hidden dense layers."""
    _assert_agrees(_spec(**network, activation=name), (2, 9, 8))


@pytest.mark.parametrize("name", get_args(ActivationName))
def test_activations_agree_far_from_zero(name: str) -> None:
    spec = _spec(name="mlp", hidden_units=[1], activation=name)
    one, none = np.ones((1, 1), np.float32), np.zeros(1, np.float32)
    arrays = {"dense1.weight": one, "dense1.bias": none, "output.weight": one, "output.bias": none}
    weights = _weights(spec, (1,), 1)
    for key, value in arrays.items():
        weights.layout.view(weights.parameters, key).copy_(torch.from_numpy(value))
    x = np.array([[-200.0], [-20.0], [-5.0], [-1.0], [-1e-3], [0.0], [1e-3], [1.0], [5.0], [20.0], [200.0]], dtype=np.float32)
    found = _onnx_outputs(onnx_model(spec, (1,), 1, arrays, task="regression"), x)["standardized"]
    np.testing.assert_allclose(found, _torch_outputs(weights, x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", get_args(PaddingMode))
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    "block",
    [{}, {"kernel_size": 5, "dilation": 2, "pool": 2}, {"kernel_size": 2, "stride": 2, "padding": 3}, {"kernel_size": 5, "padding": 6}],
)
def test_every_padding_mode_computes_the_same(mode: str, axes: int, block: dict[str, Any]) -> None:
    _assert_agrees(_spec(name="cnn", blocks=[{"channels": 3, "padding_mode": mode, **block}]), (2, *SIZES[:axes]))


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("padding", [7, 20])
def test_paddings_as_wide_as_the_rows_and_wider_compute_the_same(axes: int, padding: int) -> None:
    """Circular padding goes once around at most; an edge is repeated as often as asked."""
    mode = "circular" if padding == 7 else "replicate"
    _assert_agrees(_spec(name="cnn", blocks=[{"channels": 2, "padding": padding, "padding_mode": mode}]), (1, 7, 7, 7)[: axes + 1])


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    "block",
    [
        {"stride": 2},
        {"stride": 3, "padding": 0},
        {"kernel_size": 1},
        {"kernel_size": 2, "padding": 0, "stride": 2},
        {"kernel_size": 4, "padding": 2},
        {"kernel_size": 3, "dilation": 3},
        {"kernel_size": 2, "dilation": 2, "stride": 2, "padding": 1},
        {"pool": 3},
        {"pool": 7},
    ],
)
def test_strides_dilations_paddings_and_pools_compute_the_same(axes: int, block: dict[str, Any]) -> None:
    _assert_agrees(_spec(name="cnn", blocks=[{"channels": 3, **block}], hidden_units=[5]), (2, *SIZES[:axes]))


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_shortcuts_with_and_without_projection_compute_the_same(axes: int, normalization: dict[str, Any] | None, activation: str) -> None:
    blocks = [
        {"channels": 4, "residual": True},
        {"channels": 4, "residual": True, "dilation": 2, "padding_mode": "circular", "pool": 2},
        {"channels": 4, "residual": True, "stride": 2},
        {"channels": 8, "residual": True},
    ]
    spec = _spec(name="cnn", blocks=blocks, normalization=normalization, activation=activation)
    model = onnx_model(spec, (4, *[12, 11, 13][:axes]), 3, _weights(spec, (4, *[12, 11, 13][:axes]), 3).arrays(0), task="classification")
    assert [name for name in _node_names(model) if "shortcut" in name] == ["shortcut3", "shortcut4"]
    _assert_agrees(spec, (4, *[12, 11, 13][:axes]))


def test_weights_in_float64_are_written_down_in_float32() -> None:
    spec = _spec(name="cnn", blocks=POOLED, hidden_units=[8], normalization={"name": "batch_norm"}, activation="gelu")
    _assert_agrees(spec, (2, 9, 8), torch.float64)
    model = onnx_model(spec, (2, 9, 8), 3, _weights(spec, (2, 9, 8), 3, torch.float64).arrays(0), task="classification")
    assert {tensor.data_type for tensor in model.graph.initializer} == {onnx.TensorProto.FLOAT}


def test_numbers_have_one_standardized_output() -> None:
    spec = _spec(name="mlp", hidden_units=[8])
    weights = _weights(spec, (5,), 1)
    x = _rows(7, (5,))
    found = _onnx_outputs(onnx_model(spec, (5,), 1, weights.arrays(0), task="regression"), x)
    assert found.keys() == {"standardized"}
    np.testing.assert_allclose(found["standardized"], _torch_outputs(weights, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("task", "count", "outputs"), [("classification", 3, {"logits": 3, "probabilities": 3}), ("regression", 1, {"standardized": 1})]
)
def test_a_model_says_what_it_takes_and_gives(task: Literal["classification", "regression"], count: int, outputs: dict[str, int]) -> None:
    spec = _spec(name="cnn", blocks=POOLED)
    metadata = {"job": "7", "name": "Größe"}
    model = onnx_model(spec, (2, 9, 8), count, _weights(spec, (2, 9, 8), count).arrays(0), task=task, metadata=metadata)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [(one.name, one.type, one.shape) for one in session.get_inputs()] == [("rows", "tensor(float)", ["n", 2, 9, 8])]
    given = [(one.name, one.type, one.shape) for one in session.get_outputs()]
    assert given == [(name, "tensor(float)", ["n", width]) for name, width in outputs.items()]
    assert session.get_modelmeta().custom_metadata_map == metadata
    assert model.ir_version == IR_VERSION
    assert [(one.domain, one.version) for one in model.opset_import] == [("", OPSET)]


def test_every_weight_of_the_network_is_in_the_model_under_its_name() -> None:
    blocks = [{"channels": 4, "residual": True}, {"channels": 4, "stride": 2, "residual": True}]
    spec = _spec(name="cnn", blocks=blocks, hidden_units=[8], normalization={"name": "batch_norm"})
    arrays = _weights(spec, (2, 9, 8), 3).arrays(0)
    model = onnx_model(spec, (2, 9, 8), 3, arrays, task="classification")
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert held.keys() == arrays.keys()
    assert all(np.array_equal(held[name], arrays[name]) for name in arrays)


def test_equal_weights_make_equal_bytes() -> None:
    spec = _spec(name="cnn", blocks=POOLED, hidden_units=[8], normalization={"name": "layer_norm"})
    arrays = _weights(spec, (2, 9, 8), 3).arrays(0)
    first, second = (onnx_model(spec, (2, 9, 8), 3, arrays, task="classification", metadata={"b": "1", "a": "2"}) for _ in range(2))
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)


def test_weights_of_another_network_are_refused() -> None:
    arrays = _weights(_spec(name="mlp", hidden_units=[8]), (5,), 3).arrays(0)
    with pytest.raises(ValueError, match=r"dense1\.weight has shape \[8, 5\]; the network needs \[9, 5\]"):
        onnx_model(_spec(name="mlp", hidden_units=[9]), (5,), 3, arrays, task="classification")
    with pytest.raises(KeyError, match=r"dense2\.weight"):
        onnx_model(_spec(name="mlp", hidden_units=[8, 8]), (5,), 3, arrays, task="classification")


def test_the_graph_needs_no_torch() -> None:
    program = "import sys, models.graph; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def _node_names(model: onnx.ModelProto) -> list[str]:
    return [node.name for node in model.graph.node]

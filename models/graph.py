"""The network as an ONNX graph: the evaluation pass of models.mlp and models.cnn, for whoever runs a network without torch.

The graph is float32 whatever the weights are: ONNX Runtime's CPU kernels for convolutions, ELU, leaky ReLU, the error function
and instance normalization know no float64. Nodes and the values they give bear the names of the layers in models.shapes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, assert_never

import numpy as np
import onnx
from onnx import helper, numpy_helper

from models.activations.spec import ActivationName
from models.normalizations.spec import (
    BatchNormSpec,
    GroupNormSpec,
    InstanceNormSpec,
    LayerNormSpec,
    NormalizationSpec,
    normalizes,
)
from models.shapes import Shape, conv_shape, needs_projection, padding_of
from models.spec import CnnSpec, ConvBlockSpec, MlpSpec, NetworkSpec, PaddingMode

OPSET = 21
"""The first in which group normalization scales each channel; Gelu is there from 20 on, circular padding from 19 on."""
IR_VERSION = 10
"""The format that came with the opset: the oldest that holds it."""


def onnx_model(
    spec: NetworkSpec,
    input_shape: tuple[int, ...],
    num_outputs: int,
    weights: Mapping[str, np.ndarray],
    *,
    task: Literal["classification", "regression"],
    metadata: Mapping[str, str] = {},
) -> onnx.ModelProto:
    """Write the network that `spec` asks for down with its `weights`, parameters and running statistics by name.

    Input: `rows`, float32 [n, *input_shape], n of 1 and more, prepared as the network saw them in training. Outputs, float32:
    `logits` and `probabilities` [n, num_outputs] of classes, or `standardized` [n, 1], the target in standard units.

    Raises:
        KeyError: a weight that the network needs is not there.
        ValueError: a weight has another shape than the network needs.
    """
    graph = Graph(weights)
    match task:
        case "classification":
            logits = add_network(graph, spec, "rows", input_shape, num_outputs, output="logits")
            graph.add("Softmax", [logits], "probabilities", axis=1)
            outputs = ["logits", "probabilities"]
        case "regression":
            add_network(graph, spec, "rows", input_shape, num_outputs, output="standardized")
            outputs = ["standardized"]
        case _:
            assert_never(task)
    given = [_rows_of("rows", input_shape)]
    return finished(graph, spec.name, given, [_rows_of(name, (num_outputs,)) for name in outputs], metadata)


@dataclass(frozen=True)
class Graph:
    """What is written so far. A node has the name of its first output; every weight is read once.

    `under` a prefix another network is written into the same graph.
    """

    weights: Mapping[str, np.ndarray] = field(default_factory=dict)
    prefix: str = ""
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)

    def under(self, prefix: str, weights: Mapping[str, np.ndarray]) -> "Graph":
        """Write on into the same graph: all names that are given from here on begin with `prefix`."""
        return replace(self, prefix=prefix, weights=weights)

    def add(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Append a node; give the name of its output."""
        return self.add_many(kind, inputs, [output], **attributes)[0]

    def add_many(self, kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> list[str]:
        """Append a node of several outputs; give their names."""
        names = [f"{self.prefix}{output}" for output in outputs]
        self.nodes.append(helper.make_node(kind, inputs, names, name=names[0], **attributes))
        return names

    def weight(self, name: str, shape: Shape) -> str:
        """Append a weight of that shape; give its name in the graph."""
        values = self.weights[name]
        if values.shape != shape:
            raise ValueError(f"{name} has shape {list(values.shape)}; the network needs {list(shape)}")
        return self.constant(name, np.ascontiguousarray(values, dtype=np.float32))

    def integers(self, name: str, values: Sequence[int]) -> str:
        """Append whole numbers that a node takes as an input; give their name in the graph."""
        return self.constant(name, np.array(values, dtype=np.int64))

    def constant(self, name: str, values: np.ndarray) -> str:
        """Append an array of whatever type and shape; give its name in the graph."""
        self.initializers.append(numpy_helper.from_array(values, f"{self.prefix}{name}"))
        return f"{self.prefix}{name}"


def finished(
    graph: Graph, name: str, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto], metadata: Mapping[str, str]
) -> onnx.ModelProto:
    """Make a model of a graph that is written."""
    body = helper.make_graph(graph.nodes, name, inputs, outputs, graph.initializers)
    model = helper.make_model(body, producer_name="holdout", ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)])
    helper.set_model_props(model, dict(metadata))
    return model


def _rows_of(name: str, shape: Shape) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", *shape])


def add_network(graph: Graph, spec: NetworkSpec, rows: str, input_shape: Shape, num_outputs: int, *, output: str) -> str:
    """Write a network that reads the value `rows`, float32 [n, *input_shape]; give the name of its `output`, float32 [n, num_outputs].

    Raises:
        KeyError, ValueError: as `onnx_model`.
    """
    match spec:
        case MlpSpec():
            x = rows if len(input_shape) == 1 else graph.add("Flatten", [rows], "flatten", axis=1)
            features, first = math.prod(input_shape), 1
        case CnnSpec():
            x, shape = _blocks(graph, spec, rows, input_shape)
            if spec.global_average_pooling:
                x, shape = graph.add("GlobalAveragePool", [x], "global_pool"), shape[:1]
            x = graph.add("Flatten", [x], "flatten", axis=1)
            features, first = math.prod(shape), len(spec.blocks) + 1
        case _:
            assert_never(spec)
    for index, units in enumerate(spec.hidden_units):
        number = first + index
        x = _dense(graph, x, f"dense{index + 1}", (units, features))
        x = _normalized(graph, spec.normalization, x, f"norm{number}", (units,))
        x = _activated(graph, spec.activation, x, f"activation{number}")
        features = units
    return _dense(graph, x, "output", (num_outputs, features), output=output)


def _dense(graph: Graph, x: str, name: str, shape: Shape, *, output: str | None = None) -> str:
    weight, bias = graph.weight(f"{name}.weight", shape), graph.weight(f"{name}.bias", shape[:1])
    return graph.add("Gemm", [x, weight, bias], output or name, transB=1)


def _blocks(graph: Graph, spec: CnnSpec, x: str, shape: Shape) -> tuple[str, Shape]:
    """Write the convolutional blocks; give the name and the shape of what the last one puts out."""
    for number, block in enumerate(spec.blocks, start=1):
        out = conv_shape(block, shape)
        z = _convolved(graph, block, x, number, shape[0], axes=len(shape) - 1)
        z = _normalized(graph, spec.normalization, z, f"norm{number}", out)
        if block.residual:
            z = graph.add("Add", [z, _shortcut(graph, block, x, number, shape)], f"add{number}")
        x, shape = _activated(graph, spec.activation, z, f"activation{number}"), out
        if block.pool > 1:
            window = [block.pool] * (len(shape) - 1)
            x = graph.add("MaxPool", [x], f"pool{number}", kernel_shape=window, strides=window)
            shape = (shape[0], *(n // block.pool for n in shape[1:]))
    return x, shape


def _convolved(graph: Graph, block: ConvBlockSpec, x: str, number: int, channels: int, *, axes: int) -> str:
    name, pad = f"conv{number}", padding_of(block)
    mode = _pad_mode(block.padding_mode)
    if mode is not None:
        around = [0, 0, *[pad] * axes]
        x, pad = graph.add("Pad", [x, graph.integers(f"pad{number}.pads", around * 2)], f"pad{number}", mode=mode), 0
    weight = graph.weight(f"{name}.weight", (block.channels, channels, *[block.kernel_size] * axes))
    bias = graph.weight(f"{name}.bias", (block.channels,))
    return graph.add(
        "Conv",
        [x, weight, bias],
        name,
        kernel_shape=[block.kernel_size] * axes,
        strides=[block.stride] * axes,
        dilations=[block.dilation] * axes,
        pads=[pad] * axes * 2,
    )


def _pad_mode(mode: PaddingMode) -> str | None:
    """Give ONNX's name; None for zeros, which the convolution itself pads."""
    match mode:
        case "zeros":
            return None
        case "reflect":
            return "reflect"
        case "replicate":
            return "edge"
        case "circular":
            return "wrap"
        case _:
            assert_never(mode)


def _shortcut(graph: Graph, block: ConvBlockSpec, x: str, number: int, shape: Shape) -> str:
    if not needs_projection(block, shape):
        return x
    name, axes = f"shortcut{number}", len(shape) - 1
    weight = graph.weight(f"{name}.weight", (block.channels, shape[0], *[1] * axes))
    bias = graph.weight(f"{name}.bias", (block.channels,))
    return graph.add("Conv", [x, weight, bias], name, kernel_shape=[1] * axes, strides=[block.stride] * axes)


def _normalized(graph: Graph, spec: NormalizationSpec | None, x: str, name: str, shape: Shape) -> str:
    """Normalize rows of `shape`, where the normalization applies to them."""
    if spec is None or not normalizes(spec, shape):
        return x
    own = shape if isinstance(spec, LayerNormSpec) else shape[:1]
    inputs = [x, graph.weight(f"{name}.weight", own), graph.weight(f"{name}.bias", own)]
    match spec:
        case BatchNormSpec():
            followed = [graph.weight(f"{name}.{part}", own) for part in ("running_mean", "running_var")]
            return graph.add("BatchNormalization", [*inputs, *followed], name, epsilon=spec.epsilon)
        case LayerNormSpec():
            return graph.add("LayerNormalization", inputs, name, axis=1, epsilon=spec.epsilon)
        case InstanceNormSpec():
            return graph.add("InstanceNormalization", inputs, name, epsilon=spec.epsilon)
        case GroupNormSpec():
            return graph.add("GroupNormalization", inputs, name, num_groups=spec.groups, epsilon=spec.epsilon)
        case _:
            assert_never(spec)


def _activated(graph: Graph, activation: ActivationName, x: str, name: str) -> str:  # noqa: PLR0911  one return per member of the union
    match activation:
        case "relu":
            return graph.add("Relu", [x], name)
        case "leaky_relu":
            return graph.add("LeakyRelu", [x], name, alpha=0.01)
        case "elu":
            return graph.add("Elu", [x], name, alpha=1.0)
        case "gelu":
            return graph.add("Gelu", [x], name, approximate="none")
        case "silu":
            return graph.add("Mul", [x, graph.add("Sigmoid", [x], f"{name}.gate")], name)
        case "sigmoid":
            return graph.add("Sigmoid", [x], name)
        case "tanh":
            return graph.add("Tanh", [x], name)
        case _:
            assert_never(activation)

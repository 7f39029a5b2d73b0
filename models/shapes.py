"""Shape arithmetic: what a network's layers put out and how many parameters they have, known before any tensor exists.

Layers come in the order of the forward pass. Numbers count on from the convolutional blocks into the hidden
dense layers for parts that both have (`norm2`, `activation2`, `dropout2`); `conv` and `dense` count on their own.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from models.normalizations.spec import BatchNormSpec, LayerNormSpec, NormalizationSpec
from models.spec import CnnSpec, ConvBlockSpec, MlpSpec, NetworkSpec

Shape = tuple[int, ...]


class ShapeProblem(ValueError):
    """A network that cannot be built on these inputs. `pointer` is a JSON pointer into the job spec."""

    def __init__(self, message: str, *, layer: str, pointer: str, code: str) -> None:
        """Say what is wrong, with which layer, where in the spec."""
        super().__init__(message)
        self.layer = layer
        self.pointer = pointer
        self.code = code


@dataclass(frozen=True)
class Layer:
    """One layer: its output shape without the batch axis, and the parameters it learns."""

    name: str
    kind: str
    output_shape: Shape
    num_parameters: int


def layers(spec: NetworkSpec, input_shape: Shape, num_outputs: int) -> tuple[Layer, ...]:
    """List every layer of `spec` on inputs of `input_shape` ([F] for tables, [C, *axes] for images and signals).

    Raises:
        ShapeProblem: a feature map would vanish, or the network does not apply to such inputs.
    """
    match spec:
        case MlpSpec():
            return tuple(_mlp(spec, input_shape, num_outputs))
        case CnnSpec():
            return tuple(_cnn(spec, input_shape, num_outputs))
        case _:
            assert_never(spec)


def num_parameters(table: tuple[Layer, ...]) -> int:
    """Count everything learned: weights, biases, normalization scales and shifts."""
    return sum(layer.num_parameters for layer in table)


def padding_of(block: ConvBlockSpec) -> int:
    """Zeros added on each side of every axis."""
    return block.kernel_size // 2 if block.padding == "same" else block.padding


def window_output(size: int, *, kernel: int, stride: int, padding: int) -> int:
    """Positions of a sliding window along one axis: floor((n + 2p - (k - 1) - 1) / s) + 1; at most 0 when it does not fit."""
    return (size + 2 * padding - kernel) // stride + 1


def _mlp(spec: MlpSpec, input_shape: Shape, num_outputs: int) -> Iterator[Layer]:
    if len(input_shape) > 1:
        yield Layer("flatten", "flatten", (math.prod(input_shape),), 0)
    yield from _head(spec, math.prod(input_shape), num_outputs, first=1)


def _cnn(spec: CnnSpec, input_shape: Shape, num_outputs: int) -> Iterator[Layer]:
    if len(input_shape) < 2:
        message = f"cnn needs inputs with channels and one to three axes; this dataset has rows of shape {list(input_shape)}: use mlp"
        raise ShapeProblem(message, layer="conv1", pointer="/network/name", code="network_does_not_apply")
    shape = input_shape
    for number, block in enumerate(spec.blocks, start=1):
        for layer in _block(spec, block, number, shape):
            shape = layer.output_shape
            yield layer
    yield Layer("flatten", "flatten", (math.prod(shape),), 0)
    yield from _head(spec, math.prod(shape), num_outputs, first=len(spec.blocks) + 1)


def _block(spec: CnnSpec, block: ConvBlockSpec, number: int, shape: Shape) -> Iterator[Layer]:
    pointer = f"/network/blocks/{number - 1}"
    if block.padding == "same" and block.kernel_size % 2 == 0:
        message = f'conv{number}: padding "same" needs an odd kernel_size, not {block.kernel_size}'
        raise ShapeProblem(message, layer=f"conv{number}", pointer=f"{pointer}/padding", code="even_kernel")
    channels, axes = shape[0], shape[1:]
    pad = padding_of(block)
    axes = tuple(window_output(n, kernel=block.kernel_size, stride=block.stride, padding=pad) for n in axes)
    if min(axes) < 1:
        message = f"conv{number}: a kernel of {block.kernel_size} does not fit inputs of {list(shape[1:])} with padding {pad}; the feature map would vanish"
        raise ShapeProblem(message, layer=f"conv{number}", pointer=f"{pointer}/kernel_size", code="feature_map_vanishes")
    out = (block.channels, *axes)
    weights = block.channels * channels * block.kernel_size ** len(axes)
    yield Layer(f"conv{number}", "convolution", out, weights + block.channels)
    yield from _normalization(spec.normalization, number, out)
    yield Layer(f"activation{number}", spec.activation, out, 0)
    if block.pool > 1:
        pooled = tuple(n // block.pool for n in axes)
        if min(pooled) < 1:
            message = f"pool{number}: a window of {block.pool} does not fit a feature map of {list(axes)}; it would vanish"
            raise ShapeProblem(message, layer=f"pool{number}", pointer=f"{pointer}/pool", code="feature_map_vanishes")
        out = (block.channels, *pooled)
        yield Layer(f"pool{number}", "max_pool", out, 0)
    if spec.dropout > 0:
        yield Layer(f"dropout{number}", "dropout", out, 0)


def _head(spec: MlpSpec | CnnSpec, inputs: int, num_outputs: int, *, first: int) -> Iterator[Layer]:
    width = inputs
    for index, units in enumerate(spec.hidden_units):
        number = first + index
        yield Layer(f"dense{index + 1}", "dense", (units,), units * width + units)
        yield from _normalization(spec.normalization, number, (units,))
        yield Layer(f"activation{number}", spec.activation, (units,), 0)
        if spec.dropout > 0:
            yield Layer(f"dropout{number}", "dropout", (units,), 0)
        width = units
    yield Layer("output", "dense", (num_outputs,), num_outputs * width + num_outputs)


def _normalization(spec: NormalizationSpec | None, number: int, shape: Shape) -> Iterator[Layer]:
    name = f"norm{number}"
    match spec:
        case None:
            return
        case BatchNormSpec():
            yield Layer(name, spec.name, shape, 2 * shape[0])
        case LayerNormSpec():
            if math.prod(shape) == 1:
                message = f"{name}: layer_norm over a single value is always 0; nothing would be learned"
                raise ShapeProblem(message, layer=name, pointer="/network/normalization", code="normalization_of_one_value")
            yield Layer(name, spec.name, shape, 2 * math.prod(shape))
        case _:
            assert_never(spec)

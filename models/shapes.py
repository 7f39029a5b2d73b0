"""Shape arithmetic: what a network's layers put out and how many parameters they have, known before any tensor exists.

Layers come in the order of the forward pass. Numbers count on from the convolutional blocks into the hidden
dense layers for parts that both have (`norm2`, `activation2`, `dropout2`); `conv` and `dense` count on their own.
"""

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import assert_never

from models.normalizations.spec import (
    BatchNormSpec,
    GroupNormSpec,
    InstanceNormSpec,
    LayerNormSpec,
    NormalizationSpec,
    normalizes,
)
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
    """One layer: its output shape without the batch axis, and what it learns.

    `receptive_field` is, along each axis of the input, how many neighbouring positions one output depends on (it may
    exceed the input: then padding is seen too); None for networks without axes. `dense_parameters`, of a convolution:
    what a dense layer between the same shapes would have to learn, for the same job without sharing.
    """

    name: str
    kind: str
    output_shape: Shape
    num_weights: int = 0
    num_biases: int = 0
    receptive_field: Shape | None = None
    dense_parameters: int | None = None

    @property
    def num_parameters(self) -> int:
        """Count everything the layer learns."""
        return self.num_weights + self.num_biases


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


def row_flops(table: tuple[Layer, ...]) -> int:
    """Floating point operations of one row's forward pass: two for each weight at each position where it is used."""
    return sum(2 * layer.num_weights * math.prod(layer.output_shape[1:]) for layer in table)


def padding_of(block: ConvBlockSpec) -> int:
    """Positions added on each side of every axis."""
    return block.dilation * (block.kernel_size - 1) // 2 if block.padding == "same" else block.padding


def window_output(size: int, *, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """Positions of a sliding window along one axis: floor((n + 2p - d(k - 1) - 1) / s) + 1; at most 0 when it does not fit."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def conv_shape(block: ConvBlockSpec, input_shape: Shape) -> Shape:
    """Shape after a block's convolution."""
    pad = padding_of(block)
    sizes = (window_output(n, kernel=block.kernel_size, stride=block.stride, padding=pad, dilation=block.dilation) for n in input_shape[1:])
    return (block.channels, *sizes)


def needs_projection(block: ConvBlockSpec, input_shape: Shape) -> bool:
    """Tell whether a residual block's input must be projected, for its shape is not that of the convolution's output."""
    return block.residual and conv_shape(block, input_shape) != input_shape


def _mlp(spec: MlpSpec, input_shape: Shape, num_outputs: int) -> Iterator[Layer]:
    if len(input_shape) > 1:
        yield Layer("flatten", "flatten", (math.prod(input_shape),))
    if isinstance(spec.normalization, InstanceNormSpec):
        message = "instance_norm normalizes over positions, and an mlp has none: use layer_norm, group_norm or batch_norm"
        raise ShapeProblem(message, layer="norm1", pointer="/network/normalization", code="does_not_apply")
    yield from _head(spec, math.prod(input_shape), num_outputs, first=1, sees=None)


@dataclass(frozen=True)
class _Place:
    """How far a forward pass through the blocks has come. Neighbouring outputs are `jump` inputs apart, each sees `field` of them."""

    shape: Shape
    field: int = 1
    jump: int = 1

    def through(self, shape: Shape, *, window: int, stride: int) -> "_Place":
        """Slide a window over what is here."""
        return _Place(shape, self.field + (window - 1) * self.jump, self.jump * stride)

    @property
    def sees(self) -> Shape:
        """Give the receptive field along each axis."""
        return (self.field,) * (len(self.shape) - 1)


def _cnn(spec: CnnSpec, input_shape: Shape, num_outputs: int) -> Iterator[Layer]:
    if not 2 <= len(input_shape) <= 4:
        message = f"cnn needs inputs with channels and one to three axes; this dataset has rows of shape {list(input_shape)}: use mlp"
        raise ShapeProblem(message, layer="conv1", pointer="/network/name", code="network_does_not_apply")
    place = _Place(input_shape)
    for number, block in enumerate(spec.blocks, start=1):
        place = yield from _block(spec, block, number, place)
    everything = input_shape[1:]
    if spec.global_average_pooling:
        if math.prod(place.shape[1:]) == 1:
            message = "global_average_pooling over a single position changes nothing: the last block's feature map is already of size 1"
            raise ShapeProblem(message, layer="global_pool", pointer="/network/global_average_pooling", code="no_effect")
        yield Layer("global_pool", "global_average_pool", place.shape[:1], receptive_field=everything)
        inputs = place.shape[0]
    else:
        inputs = math.prod(place.shape)
        yield Layer("flatten", "flatten", (inputs,), receptive_field=everything)
    yield from _head(spec, inputs, num_outputs, first=len(spec.blocks) + 1, sees=everything)


def _block(spec: CnnSpec, block: ConvBlockSpec, number: int, before: _Place) -> Generator[Layer, None, _Place]:
    """List a block's layers; give where they end."""
    pointer = f"/network/blocks/{number - 1}"
    out = _convolved(block, number, before.shape, pointer)
    place = before.through(out, window=block.dilation * (block.kernel_size - 1) + 1, stride=block.stride)
    axes, channels = len(out) - 1, before.shape[0]
    dense = math.prod(before.shape) * math.prod(out) + math.prod(out)
    kernel = block.channels * channels * block.kernel_size**axes
    yield Layer(f"conv{number}", "convolution", out, kernel, block.channels, place.sees, dense)
    yield from _normalization(spec.normalization, number, out, place.sees)
    if block.residual:
        if needs_projection(block, before.shape):
            yield Layer(f"shortcut{number}", "convolution", out, block.channels * channels, block.channels, before.sees)
        yield Layer(f"add{number}", "add", out, receptive_field=place.sees)
    yield Layer(f"activation{number}", spec.activation, out, receptive_field=place.sees)
    if block.pool > 1:
        pooled = tuple(n // block.pool for n in out[1:])
        if min(pooled) < 1:
            message = f"pool{number}: a window of {block.pool} does not fit a feature map of {list(out[1:])}; it would vanish"
            raise ShapeProblem(message, layer=f"pool{number}", pointer=f"{pointer}/pool", code="feature_map_vanishes")
        place = place.through((block.channels, *pooled), window=block.pool, stride=block.pool)
        yield Layer(f"pool{number}", "max_pool", place.shape, receptive_field=place.sees)
    if spec.dropout > 0:
        yield Layer(f"dropout{number}", "dropout", place.shape, receptive_field=place.sees)
    return place


def _convolved(block: ConvBlockSpec, number: int, shape: Shape, pointer: str) -> Shape:
    """Give the shape after the convolution, or say why there is none."""
    name, pad, span = f"conv{number}", padding_of(block), block.dilation * (block.kernel_size - 1) + 1

    def problem(message: str, field: str, code: str) -> ShapeProblem:
        return ShapeProblem(f"{name}: {message}", layer=name, pointer=f"{pointer}/{field}", code=code)

    if block.padding == "same" and span % 2 == 0:
        message = f'padding "same" needs dilation * (kernel_size - 1) to be even, not {block.dilation} * {block.kernel_size - 1}'
        raise problem(message, "padding", "even_kernel")
    if block.dilation > 1 and block.kernel_size == 1:
        raise problem("a kernel of one position cannot be dilated", "dilation", "no_effect")
    if block.padding_mode != "zeros":
        if pad == 0:
            raise problem(f"nothing is padded, so {block.padding_mode} has no effect", "padding_mode", "no_effect")
        most = min(shape[1:]) - 1 if block.padding_mode == "reflect" else min(shape[1:])
        if block.padding_mode != "replicate" and pad > most:
            message = f"{block.padding_mode} can pad inputs of {list(shape[1:])} by at most {most} on each side, not {pad}"
            raise problem(message, "padding_mode", "padding_too_large")
    out = conv_shape(block, shape)
    if min(out[1:]) < 1:
        message = f"a kernel that spans {span} does not fit inputs of {list(shape[1:])} with padding {pad}; the feature map would vanish"
        raise problem(message, "kernel_size", "feature_map_vanishes")
    shortcut = tuple((n - 1) // block.stride + 1 for n in shape[1:])
    if block.residual and out[1:] != shortcut:
        message = (
            f"the input reaches the shortcut's end as {list(shortcut)}, the convolution's output is {list(out[1:])}: use padding \"same\""
        )
        raise problem(message, "residual", "shortcut_does_not_fit")
    return out


def _head(spec: MlpSpec | CnnSpec, inputs: int, num_outputs: int, *, first: int, sees: Shape | None) -> Iterator[Layer]:
    width = inputs
    for index, units in enumerate(spec.hidden_units):
        number = first + index
        yield Layer(f"dense{index + 1}", "dense", (units,), units * width, units, sees)
        yield from _normalization(spec.normalization, number, (units,), sees)
        yield Layer(f"activation{number}", spec.activation, (units,), receptive_field=sees)
        if spec.dropout > 0:
            yield Layer(f"dropout{number}", "dropout", (units,), receptive_field=sees)
        width = units
    yield Layer("output", "dense", (num_outputs,), num_outputs * width, num_outputs, sees)


def _normalization(spec: NormalizationSpec | None, number: int, shape: Shape, sees: Shape | None) -> Iterator[Layer]:
    if spec is None or not normalizes(spec, shape):
        return
    name, learned = f"norm{number}", shape[0]
    match spec:
        case BatchNormSpec():
            over = None
        case LayerNormSpec():
            over = learned = math.prod(shape)
        case InstanceNormSpec():
            over = math.prod(shape[1:])
        case GroupNormSpec():
            if shape[0] % spec.groups != 0:
                what = "channels" if len(shape) > 1 else "units"
                message = f"{name}: {spec.groups} groups do not divide {shape[0]} {what}"
                raise ShapeProblem(message, layer=name, pointer="/network/normalization/groups", code="groups_do_not_divide")
            over = math.prod(shape) // spec.groups
        case _:
            assert_never(spec)
    if over == 1:
        message = f"{name}: {spec.name} over a single value is always 0; nothing would be learned"
        raise ShapeProblem(message, layer=name, pointer="/network/normalization", code="normalization_of_one_value")
    yield Layer(name, spec.name, shape, learned, learned, sees)

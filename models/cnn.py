"""The convolutional network, in as many dimensions as its inputs have. One call per fit: grouped calls are neither faster on CPUs nor bit-equal."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.activations.build import activation, commutes_with_max_pool
from models.activations.spec import ActivationName
from models.base import BufferSpec, ParameterSpec, Run, stack
from models.mlp import Head
from models.normalizations.build import buffers_of, normalize, parameters_of
from models.shapes import conv_shape, needs_projection, padding_of
from models.spec import CnnSpec, ConvBlockSpec

_functional = torch.nn.functional
_CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {1: _functional.conv1d, 2: _functional.conv2d, 3: _functional.conv3d}
_POOLS: dict[int, Callable[..., Tensor]] = {1: _functional.max_pool1d, 2: _functional.max_pool2d, 3: _functional.max_pool3d}


@dataclass(frozen=True)
class Block:
    """Convolution, normalization, shortcut, activation, max pooling, channel dropout, on one fit's rows [B, C, *axes]."""

    spec: ConvBlockSpec
    number: int
    input_shape: tuple[int, ...]

    @property
    def conv_shape(self) -> tuple[int, ...]:
        """Shape after the convolution."""
        return conv_shape(self.spec, self.input_shape)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape after pooling."""
        channels, *axes = self.conv_shape
        return (channels, *(n // self.spec.pool for n in axes))

    @property
    def parameters(self) -> tuple[ParameterSpec, ...]:
        """Declare the kernel and the bias."""
        return self._kernel(f"conv{self.number}", self.spec.kernel_size)

    @property
    def shortcut(self) -> tuple[ParameterSpec, ...]:
        """Declare the projection of a residual block whose shapes differ."""
        return self._kernel(f"shortcut{self.number}", 1) if needs_projection(self.spec, self.input_shape) else ()

    def forward(self, x: Tensor, run: Run, i: int) -> Tensor:
        """Run fit `i` of the pass."""
        spec, own = run.specs[i], run.single[i]
        axes = x.dim() - 2
        z = self._convolve(x, own[f"conv{self.number}.weight"], own[f"conv{self.number}.bias"], axes)
        z = normalize(spec.normalization, f"norm{self.number}", z, own, run.buffers[i], is_training=run.is_training)
        if self.spec.residual:
            z = z + self._shortcut(x, own, axes)
        z = self._activate_and_pool(z, spec.activation, axes)
        if run.masks is None or spec.dropout == 0:
            return z
        return z * run.masks(i, f"dropout{self.number}", (*z.shape[:2], *[1] * axes), spec.dropout)

    def _kernel(self, name: str, size: int) -> tuple[ParameterSpec, ...]:
        axes, channels = len(self.input_shape) - 1, self.input_shape[0]
        shape = (self.spec.channels, channels, *[size] * axes)
        weight = ParameterSpec(f"{name}.weight", shape, "weight", channels * size**axes, self.spec.channels * size**axes)
        return weight, ParameterSpec(f"{name}.bias", (self.spec.channels,), "bias")

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor, axes: int) -> Tensor:
        block, pad = self.spec, padding_of(self.spec)
        if block.padding_mode != "zeros":
            x, pad = _functional.pad(x, [pad, pad] * axes, mode=block.padding_mode), 0
        return _CONVOLUTIONS[axes](x, weight, bias, stride=block.stride, padding=pad, dilation=block.dilation)

    def _shortcut(self, x: Tensor, own: Mapping[str, Tensor], axes: int) -> Tensor:
        if not needs_projection(self.spec, self.input_shape):
            return x
        weight, bias = own[f"shortcut{self.number}.weight"], own[f"shortcut{self.number}.bias"]
        return _CONVOLUTIONS[axes](x, weight, bias, stride=self.spec.stride)

    def _activate_and_pool(self, z: Tensor, name: ActivationName, axes: int) -> Tensor:
        activate = activation(name)
        if self.spec.pool == 1:
            return activate(z)
        if commutes_with_max_pool(name):
            return activate(_POOLS[axes](z, self.spec.pool))
        return _POOLS[axes](activate(z), self.spec.pool)


@dataclass(frozen=True)
class Cnn:
    """Convolutional blocks, flattened, through the dense head."""

    spec: CnnSpec
    blocks: Sequence[Block]
    head: Head
    rows_at_once: int = 128

    @classmethod
    def of(cls, spec: CnnSpec, input_shape: tuple[int, ...], num_outputs: int) -> "Cnn":
        """Lay the blocks out on inputs of `input_shape` [C, *axes]."""
        blocks: list[Block] = []
        shape = input_shape
        for number, block in enumerate(spec.blocks, start=1):
            blocks.append(Block(block, number, shape))
            shape = blocks[-1].output_shape
        inputs = shape[0] if spec.global_average_pooling else math.prod(shape)
        return cls(spec, blocks, Head.of(spec, inputs, num_outputs, first=len(blocks) + 1))

    @property
    def parameters(self) -> Sequence[ParameterSpec]:
        """Declare what is learned, in the order of the forward pass."""
        declared: list[ParameterSpec] = []
        for block in self.blocks:
            declared += block.parameters
            declared += parameters_of(self.spec.normalization, f"norm{block.number}", block.conv_shape)
            declared += block.shortcut
        return [*declared, *self.head.parameters]

    @property
    def buffers(self) -> Sequence[BufferSpec]:
        """Declare what is followed."""
        spec = self.spec.normalization
        followed = [buffer for block in self.blocks for buffer in buffers_of(spec, f"norm{block.number}", block.conv_shape)]
        return [*followed, *self.head.buffers]

    def forward(self, inputs: Tensor, run: Run) -> Tensor:
        """From [k, B, C, *axes] to [k, B, O]."""
        flat = []
        for i, rows in enumerate(inputs):
            x = rows
            for block in self.blocks:
                x = block.forward(x, run, i)
            flat.append(x.flatten(2).mean(2) if self.spec.global_average_pooling else x.flatten(1))
        return self.head.forward(stack(flat), run)

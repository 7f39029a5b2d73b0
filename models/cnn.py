"""The convolutional network, in as many dimensions as its inputs have. One call per fit: grouped calls are neither faster on CPUs nor bit-equal."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.activations.build import activation, commutes_with_max_pool
from models.base import BufferSpec, ParameterSpec, Run, stack
from models.mlp import Head
from models.normalizations.build import buffers_of, normalize, parameters_of
from models.shapes import padding_of, window_output
from models.spec import CnnSpec, ConvBlockSpec

_functional = torch.nn.functional
_CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {1: _functional.conv1d, 2: _functional.conv2d, 3: _functional.conv3d}
_POOLS: dict[int, Callable[..., Tensor]] = {1: _functional.max_pool1d, 2: _functional.max_pool2d, 3: _functional.max_pool3d}


@dataclass(frozen=True)
class Block:
    """Convolution, normalization, activation, max pooling, channel dropout, on one fit's rows [B, C, *axes]."""

    spec: ConvBlockSpec
    number: int
    input_shape: tuple[int, ...]

    @property
    def conv_shape(self) -> tuple[int, ...]:
        """Shape after the convolution."""
        block = self.spec
        axes = (window_output(n, kernel=block.kernel_size, stride=block.stride, padding=padding_of(block)) for n in self.input_shape[1:])
        return (block.channels, *axes)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape after pooling."""
        channels, *axes = self.conv_shape
        return (channels, *(n // self.spec.pool for n in axes))

    @property
    def parameters(self) -> tuple[ParameterSpec, ...]:
        """Declare the kernel and the bias."""
        axes = len(self.input_shape) - 1
        window = self.spec.kernel_size**axes
        shape = (self.spec.channels, self.input_shape[0], *[self.spec.kernel_size] * axes)
        weight = ParameterSpec(f"conv{self.number}.weight", shape, "weight", self.input_shape[0] * window, self.spec.channels * window)
        return weight, ParameterSpec(f"conv{self.number}.bias", (self.spec.channels,), "bias")

    def forward(self, x: Tensor, run: Run, i: int) -> Tensor:
        """Run fit `i` of the pass."""
        spec, own = run.specs[i], run.single[i]
        axes = x.dim() - 2
        weight, bias = own[f"conv{self.number}.weight"], own[f"conv{self.number}.bias"]
        x = _CONVOLUTIONS[axes](x, weight, bias, stride=self.spec.stride, padding=padding_of(self.spec))
        if spec.normalization is not None:
            x = normalize(spec.normalization, f"norm{self.number}", x, own, run.buffers[i], is_training=run.is_training)
        activate = activation(spec.activation)
        if self.spec.pool == 1:
            x = activate(x)
        elif commutes_with_max_pool(spec.activation):
            x = activate(_POOLS[axes](x, self.spec.pool))
        else:
            x = _POOLS[axes](activate(x), self.spec.pool)
        if run.masks is None or spec.dropout == 0:
            return x
        return x * run.masks(i, f"dropout{self.number}", (*x.shape[:2], *[1] * axes), spec.dropout)


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
        return cls(spec, blocks, Head.of(spec, math.prod(shape), num_outputs, first=len(blocks) + 1))

    @property
    def parameters(self) -> Sequence[ParameterSpec]:
        """Declare what is learned, in the order of the forward pass."""
        declared: list[ParameterSpec] = []
        for block in self.blocks:
            declared += block.parameters
            if self.spec.normalization is not None:
                declared += parameters_of(self.spec.normalization, f"norm{block.number}", block.conv_shape)
        return [*declared, *self.head.parameters]

    @property
    def buffers(self) -> Sequence[BufferSpec]:
        """Declare what is followed."""
        if self.spec.normalization is None:
            return ()
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
            flat.append(x.flatten(1))
        return self.head.forward(stack(flat), run)

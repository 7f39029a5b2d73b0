"""The convolutional network, in as many dimensions as its inputs have.

One call per fit: grouped calls are neither faster on CPUs nor bit-equal. Kernels and feature maps lie with their channels
last, which convolutions, pooling and batch norm are fastest on; signals are images of height 1, for which torch has such
kernels. Layer norm alone wants its channels first and would copy there and back: its networks stay that way.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import EllipsisType

import torch
from torch import Tensor

from models.activations.build import activation, commutes_with_max_pool
from models.activations.spec import ActivationName
from models.base import BufferSpec, ParameterSpec, Run, stack
from models.mlp import Head
from models.normalizations.build import buffers_of, fold, folds, normalize, parameters_of
from models.normalizations.spec import LayerNormSpec
from models.shapes import conv_shape, needs_projection, padding_of
from models.spec import CnnSpec, ConvBlockSpec

_functional = torch.nn.functional
_CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {2: _functional.conv2d, 3: _functional.conv3d}
_POOLS: dict[int, Callable[..., Tensor]] = {2: _functional.max_pool2d, 3: _functional.max_pool3d}


@dataclass(frozen=True)
class Block:
    """Convolution, normalization, shortcut, activation, max pooling, channel dropout, on one fit's rows [B, C, *axes].

    Rows of signals are [B, C, 1, L].
    """

    spec: ConvBlockSpec
    number: int
    input_shape: tuple[int, ...]
    is_channels_last: bool

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
        if folds(spec.normalization) and not run.is_training:
            z = self._convolve(x, *self._folded(run, i))
        else:
            z = self._convolve(x, own[f"conv{self.number}.weight"], own[f"conv{self.number}.bias"])
            z = normalize(spec.normalization, f"norm{self.number}", z, own, run.buffers[i], is_training=run.is_training)
        if self.spec.residual:
            z = z + self._shortcut(x, own)
        z = self._activate_and_pool(z, spec.activation)
        if run.masks is None or spec.dropout == 0:
            return z
        return z * run.masks(i, f"dropout{self.number}", (*z.shape[:2], *[1] * (z.dim() - 2)), spec.dropout)

    def folded(self, run: Run, i: int) -> dict[str, Tensor]:
        """Give, by name, what fit `i` convolves with in evaluation mode instead of its own kernel, bias and batch norm."""
        spec, own = run.specs[i].normalization, run.single[i]
        if not folds(spec):
            return {}
        kernel = own[f"conv{self.number}.weight"], own[f"conv{self.number}.bias"]
        weight, bias = fold(spec, f"norm{self.number}", *kernel, own, run.buffers[i])
        return {f"folded{self.number}.weight": weight, f"folded{self.number}.bias": bias}

    def _folded(self, run: Run, i: int) -> tuple[Tensor, Tensor]:
        name = f"folded{self.number}"
        found = run.single[i] if f"{name}.weight" in run.single[i] else self.folded(run, i)
        return found[f"{name}.weight"], found[f"{name}.bias"]

    def _kernel(self, name: str, size: int) -> tuple[ParameterSpec, ...]:
        axes, channels = len(self.input_shape) - 1, self.input_shape[0]
        shape = (self.spec.channels, channels, *[size] * axes)
        fans = channels * size**axes, self.spec.channels * size**axes
        weight = ParameterSpec(f"{name}.weight", shape, "weight", *fans, is_channels_last=self.is_channels_last)
        return weight, ParameterSpec(f"{name}.bias", (self.spec.channels,), "bias")

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        block, pad = self.spec, padding_of(self.spec)
        padding = self._along(pad, across=0)
        if block.padding_mode != "zeros":
            x = _functional.pad(x, _around(padding), mode=block.padding_mode)
            padding = self._along(0, across=0)
        step, dilation = self._along(block.stride, across=1), self._along(block.dilation, across=1)
        if block.kernel_size == 1 and block.stride > 1:
            return self._pointwise(_functional.pad(x, _around(padding)) if any(padding) else x, weight, bias)
        return _CONVOLUTIONS[len(step)](x, self._kernel_of(weight), bias, stride=step, padding=padding, dilation=dilation)

    def _shortcut(self, x: Tensor, own: Mapping[str, Tensor]) -> Tensor:
        if not needs_projection(self.spec, self.input_shape):
            return x
        return self._pointwise(x, own[f"shortcut{self.number}.weight"], own[f"shortcut{self.number}.bias"])

    def _pointwise(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Convolve with a kernel of one position at every `stride`-th: what lies between is left out first.

        oneDNN 3.12 writes beyond its memory in the backward pass of such convolutions with a stride and channels last (AVX2).
        """
        steps = self._along(self.spec.stride, across=1)
        if self.spec.stride > 1:
            kept: tuple[EllipsisType | slice, ...] = (..., *(slice(None, None, step) for step in steps))
            x = x[kept]
        return _CONVOLUTIONS[len(steps)](x, self._kernel_of(weight), bias)

    def _activate_and_pool(self, z: Tensor, name: ActivationName) -> Tensor:
        activate = activation(name)
        if self.spec.pool == 1:
            return activate(z)
        window = self._along(self.spec.pool, across=1)
        pool = _POOLS[len(window)]
        if commutes_with_max_pool(name):
            return activate(pool(z, window))
        return pool(activate(z), window)

    def _along(self, size: int, *, across: int) -> tuple[int, ...]:
        """Give `size` for every axis; `across` for the height that a signal does not have."""
        axes = len(self.input_shape) - 1
        return (across, size) if axes == 1 else (size,) * axes

    def _kernel_of(self, weight: Tensor) -> Tensor:
        return weight.unsqueeze(2) if weight.dim() == 3 else weight


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
        shape, is_channels_last = input_shape, not isinstance(spec.normalization, LayerNormSpec)
        for number, block in enumerate(spec.blocks, start=1):
            blocks.append(Block(block, number, shape, is_channels_last))
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

    def prepared(self, run: Run) -> Run:
        """Fold every block's batch norm into its kernel."""
        single = [
            {**own, **{name: value for block in self.blocks for name, value in block.folded(run, i).items()}}
            for i, own in enumerate(run.single)
        ]
        return replace(run, single=single)

    def forward(self, inputs: Tensor, run: Run) -> Tensor:
        """From [k, B, C, *axes] to [k, B, O]."""
        flat = []
        for i, rows in enumerate(inputs):
            x = rows.unsqueeze(2) if rows.dim() == 3 else rows
            for block in self.blocks:
                x = block.forward(x, run, i)
            flat.append(x.flatten(2).mean(2) if self.spec.global_average_pooling else x.flatten(1))
        return self.head.forward(stack(flat), run)


def _around(padding: tuple[int, ...]) -> list[int]:
    """Give paddings of axes as torch's `pad` reads them: before and after, the last axis first."""
    return [n for n in reversed(padding) for _ in range(2)]

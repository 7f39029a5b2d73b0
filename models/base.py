"""What a stack of networks of one structure is made of.

K fits of one structure are one network whose parameters are one matrix `[K, P]`: a row for each fit, a stretch of
columns for each parameter. Layers view into it. Axes: K stacked fits, B batch rows, F features, C channels.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import torch
from torch import Tensor

from models.spec import NetworkSpec

ALIGNMENT = 64
"""Every fit's row and every parameter starts at a multiple of 64 elements: vectorised kernels then treat each fit as they treat it alone."""
WIDE_ROWS = 32
"""Batches of a multiple of 32 rows keep every fit's slice of a stacked tensor on such a boundary too."""


@dataclass(frozen=True)
class ParameterSpec:
    """One learned tensor of a network. Penalties act on `weight` only.

    `is_channels_last`: a kernel [O, C, *window] lies in its row as [O, *window, C], which is how fast convolutions read it.
    """

    name: str
    shape: tuple[int, ...]
    kind: Literal["weight", "bias", "scale", "shift"]
    fan_in: int = 0
    fan_out: int = 0
    is_channels_last: bool = False


@dataclass(frozen=True)
class BufferSpec:
    """One tensor that is followed, not learned (running statistics), and its first value."""

    name: str
    shape: tuple[int, ...]
    initial: float


@dataclass(frozen=True)
class Segments:
    """Where each named tensor lies in a row of the matrix; those of `channels_last` with their second axis last."""

    offsets: Mapping[str, tuple[int, tuple[int, ...]]]
    width: int
    channels_last: frozenset[str] = frozenset()

    @classmethod
    def of(cls, specs: Sequence[ParameterSpec] | Sequence[BufferSpec]) -> "Segments":
        """Lay tensors out one after another, each on its boundary."""
        offsets = {}
        position = 0
        for spec in specs:
            offsets[spec.name] = (position, spec.shape)
            position += -(-math.prod(spec.shape) // ALIGNMENT) * ALIGNMENT
        last = frozenset(spec.name for spec in specs if isinstance(spec, ParameterSpec) and spec.is_channels_last)
        return cls(offsets=offsets, width=max(position, ALIGNMENT), channels_last=last)

    def view(self, matrix: Tensor, name: str) -> Tensor:
        """View one tensor of every row of `matrix` [K, width] as [K, *shape]."""
        start, shape = self.offsets[name]
        flat = matrix[:, start : start + math.prod(shape)]
        if name not in self.channels_last:
            return flat.view(len(matrix), *shape)
        units, channels, *window = shape
        return flat.view(len(matrix), units, *window, channels).movedim(-1, 2)

    def views(self, matrix: Tensor) -> dict[str, Tensor]:
        """View every tensor of every row."""
        return {name: self.view(matrix, name) for name in self.offsets}

    def usual(self, row: Tensor) -> Tensor:
        """Give a row [width] with every tensor in the order of its shape: what is written does not know how rows are stored."""
        if not self.channels_last:
            return row
        found = row.clone()
        for name in self.channels_last:
            self._usual(found, name).copy_(self.view(row.unsqueeze(0), name)[0])
        return found

    def stored(self, row: Tensor) -> Tensor:
        """Give a row [width] that is in the usual order as rows are stored."""
        if not self.channels_last:
            return row
        found = row.clone()
        for name in self.channels_last:
            self.view(found.unsqueeze(0), name)[0].copy_(self._usual(row, name))
        return found

    def _usual(self, row: Tensor, name: str) -> Tensor:
        """View a tensor of a row that is in the usual order."""
        start, shape = self.offsets[name]
        return row[start : start + math.prod(shape)].view(shape)


class Masks(Protocol):
    """Where dropout masks come from."""

    def __call__(self, fit: int, layer: str, shape: tuple[int, ...], probability: float) -> Tensor:
        """Give 0 where a unit is dropped and 1 / (1 - p) where it stays."""


@dataclass(frozen=True)
class Run:
    """One forward pass of k fits together.

    `stacked` holds [k, *shape] views, `single` and `buffers` the same storage fit by fit. `masks` is None in
    evaluation mode: it is what makes a pass a training pass. `is_wide`: the batch is a multiple of `WIDE_ROWS`.
    """

    specs: Sequence[NetworkSpec]
    stacked: Mapping[str, Tensor]
    single: Sequence[Mapping[str, Tensor]]
    buffers: Sequence[Mapping[str, Tensor]]
    is_wide: bool
    masks: Masks | None = None

    @property
    def is_training(self) -> bool:
        """Tell training mode (batch statistics, dropout) from evaluation mode."""
        return self.masks is not None


class Network(Protocol):
    """A structure: what it learns, what it follows, and its forward pass.

    `rows_at_once` is how many rows an evaluation pass takes: few enough for caches, a multiple of `WIDE_ROWS`.
    """

    @property
    def rows_at_once(self) -> int:
        """Give the size of an evaluation pass; it belongs to the structure, so figures do not depend on the stack."""

    @property
    def parameters(self) -> Sequence[ParameterSpec]:
        """Declare what is learned, in the order of the forward pass."""

    @property
    def buffers(self) -> Sequence[BufferSpec]:
        """Declare what is followed."""

    def prepared(self, run: Run) -> Run:
        """Compute what every chunk of an evaluation pass would, once; it holds until weights change."""

    def forward(self, inputs: Tensor, run: Run) -> Tensor:
        """From rows [k, B, *input_shape] to outputs [k, B, O]: logits, or the standardised target (O = 1)."""


@dataclass(frozen=True)
class Dense:
    """z = x W^T + b, W [O, I].

    On CPUs the stacked product is used only where it is bit for bit the product of each fit alone, which was measured
    to hold for wide batches and weights that fill whole vectors; elsewhere every fit has its own call.
    """

    name: str
    inputs: int
    outputs: int
    parameters: tuple[ParameterSpec, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Declare the weight and the bias."""
        weight = ParameterSpec(f"{self.name}.weight", (self.outputs, self.inputs), "weight", self.inputs, self.outputs)
        object.__setattr__(self, "parameters", (weight, ParameterSpec(f"{self.name}.bias", (self.outputs,), "bias")))

    def __call__(self, x: Tensor, run: Run) -> Tensor:
        """[k, B, I] to [k, B, O]."""
        weight, bias = f"{self.name}.weight", f"{self.name}.bias"
        if self.is_shared(run, is_cuda=x.is_cuda):
            return torch.baddbmm(run.stacked[bias].unsqueeze(1), x, run.stacked[weight].transpose(1, 2))
        return stack([torch.nn.functional.linear(rows, own[weight], own[bias]) for rows, own in zip(x, run.single, strict=True)])

    def is_shared(self, run: Run, *, is_cuda: bool) -> bool:
        """Tell whether the fits of a pass share one product."""
        return is_cuda or (run.is_wide and self._fills_vectors())

    def _fills_vectors(self) -> bool:
        return self.outputs > 1 and self.inputs > 1 and self.outputs * self.inputs % 16 == 0


def part(matrix: Tensor, rows: slice) -> Tensor:
    """View some rows of a matrix; all of them without a view, which would take longer than many a step's sums."""
    return matrix if rows.start == 0 and rows.stop == len(matrix) else matrix[rows]


def stack(parts: list[Tensor]) -> Tensor:
    """Stack per-fit tensors to [k, ...] without a copy for one fit."""
    return parts[0].unsqueeze(0) if len(parts) == 1 else torch.stack(parts)

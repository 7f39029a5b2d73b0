"""The matrices of a stack: one row for each fit. Leaves that autograd knows are views of them."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from models.base import WIDE_ROWS, Masks, Network, Run, Segments
from models.initializers.build import initial
from models.spec import NetworkSpec
from training.seeding import generator

# Gradients are views of one matrix on purpose (one zeroing, one update for all parameters); torch remarks once that they are not dense.
warnings.filterwarnings("ignore", message="grad and param do not obey the gradient layout contract", category=UserWarning)


@dataclass(frozen=True)
class _Leaves:
    """Views of some rows: stacked and fit by fit. Parameters are leaves whose `.grad` views the gradient matrix."""

    stacked: Mapping[str, Tensor]
    single: Sequence[Mapping[str, Tensor]]
    buffers: Sequence[Mapping[str, Tensor]]


class Weights:
    """Parameters [K, P], their gradient [K, P] and followed buffers [K, Q] of K fits of one structure."""

    def __init__(self, network: Network, specs: Sequence[NetworkSpec], parameters: Tensor, buffers: Tensor) -> None:
        """Take the matrices over; their gradient starts at 0."""
        self.network = network
        self.layout = Segments.of(network.parameters)
        self.buffer_layout = Segments.of(network.buffers)
        self.specs = list(specs)
        self.parameters = parameters
        self.buffers = buffers
        self.gradient = torch.zeros_like(parameters)
        self._leaves: dict[tuple[int, int], _Leaves] = {}

    @classmethod
    def drawn(
        cls, network: Network, specs: Sequence[NetworkSpec], seeds: Sequence[int], dtype: torch.dtype, device: torch.device
    ) -> "Weights":
        """Draw every fit's first weights from its seed and each parameter's name, on the CPU."""
        layout, followed = Segments.of(network.parameters), Segments.of(network.buffers)
        parameters = torch.zeros(len(seeds), layout.width, dtype=torch.float64)
        buffers = torch.zeros(len(seeds), followed.width, dtype=torch.float64)
        for row, (spec, seed) in enumerate(zip(specs, seeds, strict=True)):
            for parameter in network.parameters:
                values = initial(spec.initializer, parameter, generator(seed, "initial", parameter.name))
                layout.view(parameters[row : row + 1], parameter.name).copy_(values.unsqueeze(0))
            for buffer in network.buffers:
                followed.view(buffers[row : row + 1], buffer.name).fill_(buffer.initial)
        return cls(network, specs, parameters.to(device, dtype), buffers.to(device, dtype))

    def __len__(self) -> int:
        """Count the fits."""
        return len(self.parameters)

    @cached_property
    def is_weight(self) -> Tensor:
        """Mark [P] what penalties, decay and noise act on: 1 for weights, 0 for biases, normalization parameters and padding."""
        mask = torch.zeros(1, self.layout.width, dtype=self.parameters.dtype, device=self.parameters.device)
        for parameter in self.network.parameters:
            if parameter.kind == "weight":
                self.layout.view(mask, parameter.name).fill_(1.0)
        return mask[0]

    def run(self, rows: slice, batch_rows: int, masks: Masks | None = None) -> Run:
        """Prepare a forward pass of the fits `rows` (all, or one) on batches of `batch_rows`."""
        key = (rows.start, rows.stop)
        leaves = self._leaves.get(key)
        if leaves is None:
            leaves = self._leaves[key] = self._make_leaves(rows)
        is_wide = batch_rows % WIDE_ROWS == 0
        return Run(
            specs=self.specs[rows], stacked=leaves.stacked, single=leaves.single, buffers=leaves.buffers, is_wide=is_wide, masks=masks
        )

    def keep(self, live: Sequence[int]) -> None:
        """Drop the fits that are not in `live`: a stopped fit costs nothing."""
        chosen = list(live)
        self.specs = [self.specs[i] for i in chosen]
        self.parameters = self.parameters[chosen]
        self.buffers = self.buffers[chosen]
        self.gradient = torch.zeros_like(self.parameters)
        self._leaves.clear()

    def copy(self) -> "Weights":
        """Copy every row, as it is now."""
        return Weights(self.network, self.specs, self.parameters.clone(), self.buffers.clone())

    def alone(self, i: int) -> "Weights":
        """Copy one fit's row, as it is now."""
        return Weights(self.network, [self.specs[i]], self.parameters[i : i + 1].clone(), self.buffers[i : i + 1].clone())

    def row(self, i: int) -> dict[str, Tensor]:
        """View one fit's whole row: its parameters [P] and buffers [Q]."""
        return {"parameters": self.parameters[i], "buffers": self.buffers[i]}

    def arrays(self, i: int) -> dict[str, np.ndarray]:
        """Copy one fit's parameters and buffers out, by name."""
        views = {**self.layout.views(self.parameters[i : i + 1]), **self.buffer_layout.views(self.buffers[i : i + 1])}
        return {name: view[0].detach().cpu().numpy().copy() for name, view in views.items()}

    @torch.inference_mode(mode=False)  # whoever asks first: others may differentiate
    def _make_leaves(self, rows: slice) -> _Leaves:
        each = [slice(i, i + 1) for i in range(rows.start, rows.stop)]
        single = [{name: self._leaf(name, row, squeeze=True) for name in self.layout.offsets} for row in each]
        buffers = [{name: view[0] for name, view in self.buffer_layout.views(self.buffers[row]).items()} for row in each]
        return _Leaves({name: self._leaf(name, rows, squeeze=False) for name in self.layout.offsets}, single, buffers)

    def _leaf(self, name: str, rows: slice, *, squeeze: bool) -> Tensor:
        value, gradient = self.layout.view(self.parameters[rows], name), self.layout.view(self.gradient[rows], name)
        if squeeze:
            value, gradient = value[0], gradient[0]
        leaf = value.detach().requires_grad_()
        leaf.grad = gradient
        return leaf

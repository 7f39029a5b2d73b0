"""Normalizations of dense outputs written out: what autograd would do, with the kernels that it would call, fit by fit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor

from models.normalizations.spec import BatchNormSpec, GroupNormSpec, InstanceNormSpec, LayerNormSpec, NormalizationSpec

_aten = torch.ops.aten
_ALL = [True, True, True]
_TRAINS = True


@dataclass
class WrittenNorm:
    """The normalization of one fit's rows [B, F] while it trains.

    `gamma`, `beta` [F] with the gradients `d_gamma`, `d_beta`; `running` are the running mean and variance of batch norm. What
    `forward` leaves in `_kept` is what `backward` needs: the inputs, their mean and the inverse of their deviation.
    """

    spec: NormalizationSpec
    gamma: Tensor
    beta: Tensor
    d_gamma: Tensor
    d_beta: Tensor
    running: tuple[Tensor, Tensor] | None
    _kept: tuple[Tensor, Tensor, Tensor] | None = None

    @classmethod
    def of(cls, spec: NormalizationSpec, name: str, own: Mapping[str, Tensor], buffers: Mapping[str, Tensor]) -> "WrittenNorm":
        """Take one fit's leaves, whose `.grad` views the gradient matrix."""
        gamma, beta = own[f"{name}.weight"], own[f"{name}.bias"]
        if gamma.grad is None or beta.grad is None:
            raise ValueError(f"{name} has no gradient to write to")
        running = (buffers[f"{name}.running_mean"], buffers[f"{name}.running_var"]) if isinstance(spec, BatchNormSpec) else None
        return cls(spec, gamma.detach(), beta.detach(), gamma.grad, beta.grad, running)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize [B, F]; batch norm's running statistics are updated."""
        spec, rows = self.spec, len(x)
        match spec:
            case BatchNormSpec():
                mean, variance = self.running or (None, None)
                found = _aten.native_batch_norm.default(x, self.gamma, self.beta, mean, variance, _TRAINS, spec.momentum, spec.epsilon)
            case LayerNormSpec():
                found = _aten.native_layer_norm.default(x, self.gamma.shape, self.gamma, self.beta, spec.epsilon)
            case GroupNormSpec():
                found = _aten.native_group_norm.default(x, self.gamma, self.beta, rows, x.shape[1], 1, spec.groups, spec.epsilon)
            case InstanceNormSpec():
                raise ValueError("dense outputs have no positions to normalize over")
            case _:
                assert_never(spec)
        self._kept = (x, found[1], found[2])
        normalized: Tensor = found[0]
        return normalized

    def backward(self, gradient: Tensor, *, adds: bool) -> Tensor:
        """Give the gradient of the inputs from that of the outputs, and write those of gamma and beta, or add to them."""
        if self._kept is None:
            raise ValueError("backward before forward")
        (x, mean, scale), spec = self._kept, self.spec
        match spec:
            case BatchNormSpec():
                found = _aten.native_batch_norm_backward.default(
                    gradient, x, self.gamma, *(self.running or (None, None)), mean, scale, _TRAINS, spec.epsilon, _ALL
                )
            case LayerNormSpec():
                found = _aten.native_layer_norm_backward.default(gradient, x, self.gamma.shape, mean, scale, self.gamma, self.beta, _ALL)
            case GroupNormSpec():
                found = _aten.native_group_norm_backward.default(
                    gradient, x, mean, scale, self.gamma, len(x), x.shape[1], 1, spec.groups, _ALL
                )
            case InstanceNormSpec():
                raise ValueError("dense outputs have no positions to normalize over")
            case _:
                assert_never(spec)
        for own, part in ((self.d_gamma, found[1]), (self.d_beta, found[2])):
            if adds:
                own.add_(part)
            else:
                own.copy_(part)
        d_inputs: Tensor = found[0]
        return d_inputs

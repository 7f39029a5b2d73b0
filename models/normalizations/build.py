"""Normalizations, fit by fit: stacked batch statistics are not bit for bit those of a fit alone."""

from collections.abc import Mapping
from typing import TypeGuard, assert_never

import torch
from torch import Tensor

from models.base import BufferSpec, ParameterSpec
from models.normalizations.spec import BatchNormSpec, GroupNormSpec, InstanceNormSpec, LayerNormSpec, NormalizationSpec, normalizes

_functional = torch.nn.functional


def parameters_of(spec: NormalizationSpec | None, name: str, shape: tuple[int, ...]) -> tuple[ParameterSpec, ...]:
    """Declare gamma and beta for outputs of `shape` ([F] or [C, *axes])."""
    if spec is None or not normalizes(spec, shape):
        return ()
    own = shape if isinstance(spec, LayerNormSpec) else shape[:1]
    return ParameterSpec(f"{name}.weight", own, "scale"), ParameterSpec(f"{name}.bias", own, "shift")


def buffers_of(spec: NormalizationSpec | None, name: str, shape: tuple[int, ...]) -> tuple[BufferSpec, ...]:
    """Declare running statistics, where the normalization keeps any."""
    match spec:
        case BatchNormSpec():
            return BufferSpec(f"{name}.running_mean", shape[:1], 0.0), BufferSpec(f"{name}.running_var", shape[:1], 1.0)
        case None | LayerNormSpec() | InstanceNormSpec() | GroupNormSpec():
            return ()
        case _:
            assert_never(spec)


def folds(spec: NormalizationSpec | None) -> TypeGuard[BatchNormSpec]:
    """Tell whether the normalization is one scale and shift per channel in evaluation mode, whatever the rows."""
    return isinstance(spec, BatchNormSpec)


def fold(
    spec: BatchNormSpec, name: str, weight: Tensor, bias: Tensor, own: Mapping[str, Tensor], buffers: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Give the weight [O, ...] and bias [O] of a layer that puts out what batch norm makes of its outputs in evaluation mode.

    s (w x + b - mean) + beta with s = gamma / sqrt(var + epsilon) is (s w) x + (s (b - mean) + beta).
    """
    scale = own[f"{name}.weight"] * torch.rsqrt(buffers[f"{name}.running_var"] + spec.epsilon)
    shift = torch.addcmul(own[f"{name}.bias"], bias - buffers[f"{name}.running_mean"], scale)
    return weight * scale.view(-1, *[1] * (weight.dim() - 1)), shift


def normalize(
    spec: NormalizationSpec | None, name: str, x: Tensor, own: Mapping[str, Tensor], buffers: Mapping[str, Tensor], *, is_training: bool
) -> Tensor:
    """Normalize one fit's rows [B, *shape]; batch norm's running statistics are updated in place while training."""
    if spec is None or not normalizes(spec, tuple(x.shape[1:])):
        return x
    gamma, beta = own[f"{name}.weight"], own[f"{name}.bias"]
    match spec:
        case BatchNormSpec():
            mean, variance = buffers[f"{name}.running_mean"], buffers[f"{name}.running_var"]
            return _functional.batch_norm(x, mean, variance, gamma, beta, is_training, spec.momentum, spec.epsilon)
        case LayerNormSpec():
            shape = x.shape[1:]  # a signal has a height of 1 here
            return _functional.layer_norm(x, shape, gamma.view(shape), beta.view(shape), spec.epsilon)
        case InstanceNormSpec():
            return torch.group_norm(x, x.shape[1], gamma, beta, spec.epsilon)
        case GroupNormSpec():
            return torch.group_norm(x, spec.groups, gamma, beta, spec.epsilon)
        case _:
            assert_never(spec)

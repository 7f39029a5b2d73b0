"""Normalizations, fit by fit: stacked batch statistics are not bit for bit those of a fit alone."""

from collections.abc import Mapping
from typing import assert_never

import torch
from torch import Tensor

from models.base import BufferSpec, ParameterSpec
from models.normalizations.spec import BatchNormSpec, LayerNormSpec, NormalizationSpec


def parameters_of(spec: NormalizationSpec, name: str, shape: tuple[int, ...]) -> tuple[ParameterSpec, ...]:
    """Declare gamma and beta for outputs of `shape` ([F] or [C, *axes])."""
    own = shape[:1] if isinstance(spec, BatchNormSpec) else shape
    return ParameterSpec(f"{name}.weight", own, "scale"), ParameterSpec(f"{name}.bias", own, "shift")


def buffers_of(spec: NormalizationSpec, name: str, shape: tuple[int, ...]) -> tuple[BufferSpec, ...]:
    """Declare running statistics, where the normalization keeps any."""
    match spec:
        case BatchNormSpec():
            return BufferSpec(f"{name}.running_mean", shape[:1], 0.0), BufferSpec(f"{name}.running_var", shape[:1], 1.0)
        case LayerNormSpec():
            return ()
        case _:
            assert_never(spec)


def normalize(
    spec: NormalizationSpec, name: str, x: Tensor, own: Mapping[str, Tensor], buffers: Mapping[str, Tensor], *, is_training: bool
) -> Tensor:
    """Normalize one fit's rows [B, *shape]; batch norm's running statistics are updated in place while training."""
    gamma, beta = own[f"{name}.weight"], own[f"{name}.bias"]
    match spec:
        case BatchNormSpec():
            mean, variance = buffers[f"{name}.running_mean"], buffers[f"{name}.running_var"]
            return torch.nn.functional.batch_norm(x, mean, variance, gamma, beta, is_training, spec.momentum, spec.epsilon)
        case LayerNormSpec():
            return torch.nn.functional.layer_norm(x, gamma.shape, gamma, beta, spec.epsilon)
        case _:
            assert_never(spec)

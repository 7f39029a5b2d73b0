"""Augmentations as batched tensor code: one call for all rows of a batch that are changed.

Every number is drawn on the CPU from the generator that is given, so a fit's draws depend on nothing but its seed.
"""

import math
from collections.abc import Sequence
from typing import assert_never

import torch
from torch import Tensor

from training.augmentations.spec import (
    AugmentationSpec,
    CropSpec,
    EraseSpec,
    FlipSpec,
    HsvSpec,
    JitterSpec,
    RotateSpec,
    ScaleSpec,
    SignalJitterSpec,
    SignalScaleSpec,
    SignalShiftSpec,
    TranslateSpec,
    axis_of,
)
from training.transfer import sent

_GRAY = 1 / math.sqrt(3)
_MIN_ASPECT = 0.3


def augment(specs: Sequence[AugmentationSpec], x: Tensor, source: torch.Generator) -> Tensor:
    """Change rows [B, C, *axes], each augmentation in turn; a new tensor where anything changed."""
    for spec in specs:
        chosen = torch.nonzero(torch.rand(len(x), generator=source) < spec.p)[:, 0]
        if len(chosen) == len(x):
            x = _changed(spec, x, source)
        elif len(chosen) > 0:
            picked = sent(chosen, x.device)
            x = x.index_copy(0, picked, _changed(spec, x.index_select(0, picked), source))
    return x


def _changed(spec: AugmentationSpec, x: Tensor, source: torch.Generator) -> Tensor:
    match spec:
        case FlipSpec():
            return x.flip(axis_of(spec))
        case CropSpec():
            return _cropped(x, spec.padding, source)
        case RotateSpec():
            return _rotated(x, _uniform(x, source, -1, 1) * math.radians(spec.degrees))
        case ScaleSpec():
            axes = x.dim() - 2
            zoom = 1 / _uniform(x, source, spec.low, spec.high)
            return _warped(x, torch.eye(axes, dtype=x.dtype, device=x.device) * zoom.view(-1, 1, 1), x.new_zeros(len(x), axes))
        case TranslateSpec():
            shift = torch.stack([_uniform(x, source, -2, 2) * spec.fraction for _ in range(2)], dim=1)  # the grid runs from -1 to 1
            return _warped(x, torch.eye(2, dtype=x.dtype, device=x.device).expand(len(x), 2, 2), shift)
        case JitterSpec():
            return _jittered(x, spec, source)
        case HsvSpec():
            return _recolored(x, spec, source)
        case EraseSpec():
            return _erased(x, spec, source)
        case SignalJitterSpec():
            return x + _drawn(torch.randn(x.shape, generator=source), x) * spec.sigma
        case SignalScaleSpec():
            return x * (1 + _drawn(torch.randn(*x.shape[:2], 1, generator=source), x) * spec.sigma)
        case SignalShiftSpec():
            most = round(spec.fraction * x.shape[2])
            start = torch.randint(-most, most + 1, (len(x),), generator=source)
            positions = (torch.arange(x.shape[2]) - start[:, None]) % x.shape[2]
            return x.gather(2, sent(positions[:, None, :], x.device).expand(x.shape))
        case _:
            assert_never(spec)


def _drawn(values: Tensor, like: Tensor) -> Tensor:
    return sent(values, like.device, like.dtype)


def _uniform(x: Tensor, source: torch.Generator, low: float, high: float) -> Tensor:
    """Draw one number for each row, [B]."""
    return _drawn(torch.rand(len(x), generator=source) * (high - low) + low, x)


def _cropped(x: Tensor, padding: int, source: torch.Generator) -> Tensor:
    axes = x.dim() - 2
    windows = torch.nn.functional.pad(x, [padding, padding] * axes)
    for axis in range(axes):
        windows = windows.unfold(2 + axis, x.shape[2 + axis], 1)
    starts = [sent(torch.randint(0, 2 * padding + 1, (len(x),), generator=source), x.device) for _ in range(axes)]
    places: tuple[Tensor | slice, ...] = (torch.arange(len(x), device=x.device), slice(None), *starts)
    return windows[places]


def _rotated(x: Tensor, angle: Tensor) -> Tensor:
    height, width = x.shape[2:]
    cos, sin = angle.cos(), angle.sin()
    # The grid is in halves of each axis: a turn of pixels that are square needs the ratio of the sides.
    rows = [torch.stack([cos, -sin * height / width], dim=1), torch.stack([sin * width / height, cos], dim=1)]
    return _warped(x, torch.stack(rows, dim=1), x.new_zeros(len(x), 2))


def _warped(x: Tensor, linear: Tensor, shift: Tensor) -> Tensor:
    """Read each row [C, *axes] at `linear` [B, axes, axes] times its own positions, plus `shift` [B, axes]."""
    theta = torch.cat([linear, shift.unsqueeze(2)], dim=2)
    grid = torch.nn.functional.affine_grid(theta, list(x.shape), align_corners=False)
    return torch.nn.functional.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _jittered(x: Tensor, spec: JitterSpec, source: torch.Generator) -> Tensor:
    shape = (-1, 1, 1, 1)
    contrast = _uniform(x, source, 1 - spec.contrast, 1 + spec.contrast).view(shape)
    brightness = _uniform(x, source, -spec.brightness, spec.brightness).view(shape)
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return (mean + contrast * (x - mean) + brightness).clamp(0, 1)


def _recolored(x: Tensor, spec: HsvSpec, source: torch.Generator) -> Tensor:
    """Turn about the axis (1, 1, 1) by Rodrigues' formula, stretch what is across it, then everything: one 3 x 3 matrix for each row."""
    angle = _uniform(x, source, -1, 1) * (2 * math.pi * spec.hue)
    saturation = _uniform(x, source, 1 - spec.saturation, 1 + spec.saturation)
    value = _uniform(x, source, 1 - spec.value, 1 + spec.value)
    along = torch.full((3, 3), 1 / 3, dtype=x.dtype, device=x.device)
    across = torch.eye(3, dtype=x.dtype, device=x.device) - along
    turn = sent(torch.tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]), x.device, x.dtype) * _GRAY
    cos, sin, stretch, gain = (one.view(-1, 1, 1) for one in (angle.cos(), angle.sin(), saturation, value))
    matrix = gain * (along + stretch * (cos * across + sin * turn))
    return (matrix @ x.flatten(2)).view(x.shape).clamp(0, 1)


def _erased(x: Tensor, spec: EraseSpec, source: torch.Generator) -> Tensor:
    height, width = x.shape[2:]
    area = _uniform(x, source, spec.low, spec.high) * height * width
    aspect = _uniform(x, source, math.log(_MIN_ASPECT), -math.log(_MIN_ASPECT)).exp()
    tall = (area * aspect).sqrt().round().clamp(1, height)
    wide = (area / aspect).sqrt().round().clamp(1, width)
    top = (_uniform(x, source, 0, 1) * (height - tall + 1)).floor()
    left = (_uniform(x, source, 0, 1) * (width - wide + 1)).floor()
    inside = _between(top, tall, height).unsqueeze(2) & _between(left, wide, width).unsqueeze(1)
    noise = _drawn(torch.rand(x.shape, generator=source), x)
    return torch.where(inside.unsqueeze(1), noise, x)


def _between(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Mark positions [B, size] that lie in each row's stretch."""
    positions = torch.arange(size, device=start.device)
    return (positions >= start[:, None]) & (positions < (start + length)[:, None])

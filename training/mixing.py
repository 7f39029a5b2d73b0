"""Rows mixed with other rows of their batch: mixup (Zhang et al. 2018) and cutmix (Yun et al. 2019)."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.regularizers.spec import RegularizationSpec
from training.transfer import sent


@dataclass(frozen=True)
class Mix:
    """What a batch was mixed with: the place of each row's partner [B], and the share of its own that each row kept."""

    partner: Tensor
    share: float


def mixed(spec: RegularizationSpec, x: Tensor, numbers: np.random.Generator, order: torch.Generator) -> tuple[Tensor, Mix | None]:
    """Mix the rows of one fit's batch [B, ...] as asked; a batch of one row has no partner but itself and stays as it is."""
    alpha = spec.mixup_alpha or spec.cutmix_alpha
    if alpha == 0 or len(x) == 1:
        return x, None
    share = float(numbers.beta(alpha, alpha))
    partner = sent(torch.randperm(len(x), generator=order), x.device)
    if spec.mixup_alpha > 0:
        return torch.lerp(x[partner], x, share), Mix(partner, share)
    rows, columns, share = _rectangle(tuple(x.shape[2:]), share, numbers)
    pasted = x.clone()
    pasted[:, :, rows, columns] = x[partner][:, :, rows, columns]
    return pasted, Mix(partner, share)


def _rectangle(size: tuple[int, ...], share: float, numbers: np.random.Generator) -> tuple[slice, slice, float]:
    """Draw where to paste: sides of sqrt(1 - share) of the image's, about a point anywhere, clipped; and the share that is left."""
    height, width = size
    side = math.sqrt(1 - share)
    middle = (numbers.integers(height), numbers.integers(width))
    bounds = []
    for centre, length in zip(middle, size, strict=True):
        half = round(side * length) // 2
        bounds.append((max(0, int(centre) - half), min(length, int(centre) + half)))
    (top, bottom), (left, right) = bounds
    pasted = (bottom - top) * (right - left)
    return slice(top, bottom), slice(left, right), 1 - pasted / (height * width)

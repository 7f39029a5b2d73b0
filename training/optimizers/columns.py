"""Settings that are numbers, or columns [k, 1] of numbers: one for each fit of a stack.

With numbers these are the plain in-place operations of torch, kernel for kernel. Columns are float64, as Python's numbers
are, so that 1 - beta is not rounded before it is used; what they are applied to keeps its precision.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from training.optimizers.spec import OptimizerSpec
from training.transfer import sent

Setting = float | Tensor


def merged(specs: Sequence[OptimizerSpec], device: torch.device) -> OptimizerSpec:
    """Make k specs of one kind one: what they agree on stays as it is, what differs becomes a column on `device`.

    The result is for update rules alone: it was not validated, and a column is no float.
    """
    first = specs[0]
    values = {name: _merged([getattr(spec, name) for spec in specs], device) for name in type(first).model_fields}
    return first.model_construct(**values)


def column(values: Sequence[float], device: torch.device) -> Tensor:
    """Give numbers as a column [k, 1] on `device`."""
    return sent(torch.tensor(values, dtype=torch.float64).unsqueeze(1), device)


def is_any(setting: Setting) -> bool:
    """Tell whether a setting is other than 0 (False) for any fit; a column is there because some differ."""
    return isinstance(setting, Tensor) or bool(setting)


def added(x: Tensor, y: Tensor, times: Setting) -> Tensor:
    """Give x + times * y."""
    return x + y * times.to(x.dtype) if isinstance(times, Tensor) else x.add(y, alpha=times)


def subtract(x: Tensor, y: Tensor, times: Setting) -> Tensor:
    """Do x <- x - times * y in place."""
    return x.sub_(y * times.to(x.dtype)) if isinstance(times, Tensor) else x.sub_(y, alpha=times)


def add_product(x: Tensor, y: Tensor, z: Tensor, times: Setting) -> Tensor:
    """Do x <- x + times * y * z in place."""
    return x.add_((y * z).mul_(times.to(x.dtype))) if isinstance(times, Tensor) else x.addcmul_(y, z, value=times)


def subtract_quotient(x: Tensor, y: Tensor, z: Tensor, times: Setting) -> Tensor:
    """Do x <- x - times * y / z in place."""
    return x.sub_((y / z).mul_(times.to(x.dtype))) if isinstance(times, Tensor) else x.addcdiv_(y, z, value=-times)


def move_toward(x: Tensor, y: Tensor, share: Setting) -> Tensor:
    """Do x <- x + share * (y - x) in place."""
    return x.add_((y - x).mul_(share.to(x.dtype))) if isinstance(share, Tensor) else x.lerp_(y, share)


def _merged(values: Sequence[Any], device: torch.device) -> Any:
    return values[0] if all(value == values[0] for value in values) else column(values, device)

"""Numbers on their way from the CPU, where everything random is drawn, to the device that trains."""

import torch
from torch import Tensor


def sent(values: Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Bring a CPU tensor to `device` (and `dtype`) without waiting for what the device still has to do.

    From memory that can be paged out a copy waits for the whole queue of the device: it goes through pinned memory.
    """
    values = values if dtype is None else values.to(dtype)
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)

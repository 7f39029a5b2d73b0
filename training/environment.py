"""What a fit was trained with: stored beside its numbers."""

import platform
from typing import Any

import numpy as np
import torch

from training.backend import large_products


def devices() -> list[str]:
    """List what can be trained on, without initialising CUDA (a process that did cannot fork workers that use it)."""
    return ["cpu", "cuda"] if torch.cuda.device_count() > 0 else ["cpu"]


def use_full_precision() -> None:
    """Keep GPUs from rounding the factors of float32 products to TF32 (10 bits), as cuDNN does unless told; no spec asks for it."""
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]  # set on the module's stand-in, which has no stub


def environment(device: str) -> dict[str, Any]:
    """Describe software and device, JSON-ready."""
    return {
        "device": device,
        "device_name": torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine(),
        "arithmetic": "cuda" if device == "cuda" else torch.backends.cpu.get_cpu_capability(),
        "large_products": "default" if device == "cuda" else large_products(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }

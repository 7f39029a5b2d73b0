"""Kept weights as safetensors: names, shapes and numbers, no code."""

from collections.abc import Mapping

import numpy as np
from safetensors.numpy import load, save


def save_safetensors(weights: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """Serialise parameters and running statistics by name."""
    return save({name: np.ascontiguousarray(values) for name, values in weights.items()}, metadata=dict(metadata))


def load_safetensors(content: bytes) -> dict[str, np.ndarray]:
    """Read what `save_safetensors` wrote."""
    return dict(load(content))

"""Kept weights as safetensors: names, shapes and numbers, no code."""

import json
from collections.abc import Mapping

import numpy as np
from safetensors.numpy import load, save


def save_safetensors(weights: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """Serialise parameters and running statistics by name."""
    return save({name: np.ascontiguousarray(values) for name, values in weights.items()}, metadata=dict(metadata))


def load_safetensors(content: bytes) -> dict[str, np.ndarray]:
    """Read what `save_safetensors` wrote."""
    return dict(load(content))


def safetensors_metadata(content: bytes) -> dict[str, str]:
    """Read the metadata that `save_safetensors` wrote: a JSON header stands behind its length, 8 bytes, little end first."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    return dict(header.get("__metadata__", {}))

"""Datasets made by a formula: fixed rows from a fixed seed, so that every job sees the same."""

import numpy as np
from sklearn.datasets import make_moons

from data.dataset import Array

_SEED = 0


def moons(rows: int = 1000, noise: float = 0.25) -> tuple[Array, Array]:
    """Two interleaved half circles with Gaussian noise: x [rows, 2], y 0 or 1."""
    x, y = make_moons(n_samples=rows, noise=noise, random_state=_SEED)
    return np.asarray(x), np.asarray(y, dtype=np.int64)


def spirals(rows: int = 1000, turns: float = 1.5, noise: float = 0.05) -> tuple[Array, Array]:
    """Two interleaved Archimedean spirals, radius 0 to 1, with Gaussian noise: x [rows, 2], y 0 or 1."""
    draws = np.random.default_rng(_SEED)
    y = np.arange(rows, dtype=np.int64) % 2
    radius = np.sqrt(draws.uniform(0.01, 1.0, rows))
    angle = 2 * np.pi * turns * radius + np.pi * y
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return x + draws.normal(0, noise, x.shape), y


def noisy_sine(rows: int = 500, noise: float = 0.2) -> tuple[Array, Array]:
    """Y = sin(2 pi x) + N(0, noise^2) with x uniform in [0, 1]: x [rows, 1], y [rows]."""
    draws = np.random.default_rng(_SEED)
    x = draws.uniform(0, 1, (rows, 1))
    return x, np.sin(2 * np.pi * x[:, 0]) + draws.normal(0, noise, rows)

"""Datasets made by a formula: fixed rows from a fixed seed, so that every job sees the same."""

import numpy as np

from data import bundled
from data.dataset import Array

_SEED = 0


def moons(rows: int = 1000, noise: float = 0.25) -> tuple[Array, Array]:
    """Two interleaved half circles with Gaussian noise: x [rows, 2], y 0 or 1."""
    return bundled.moons(rows, noise)


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
    return x, sine(x) + draws.normal(0, noise, rows)


def sine(x: Array) -> Array:
    """One period of a sine, what noisy_sine is without noise: x [rows, 1] gives [rows]."""
    found: Array = np.sin(2 * np.pi * x[:, 0])
    return found


def waves(rows: int = 1200, length: int = 64, noise: float = 0.4) -> tuple[Array, Array]:
    """Sines, squares, triangles and sawtooths of 2 to 5 periods, random phase and amplitude, with Gaussian noise: x [rows, 1, length], y 0 to 3."""
    draws = np.random.default_rng(_SEED)
    y = np.arange(rows, dtype=np.int64) % 4
    periods, phase = draws.uniform(2, 5, (rows, 1)), draws.uniform(0, 1, (rows, 1))
    turn = (periods * np.arange(length) / length + phase) % 1
    shapes = (np.sin(2 * np.pi * turn), np.where(turn < 0.5, 1.0, -1.0), 1 - 4 * np.abs(turn - 0.5), 2 * turn - 1)
    x = np.choose(y[:, None], shapes) * draws.uniform(0.7, 1.3, (rows, 1)) + draws.normal(0, noise, turn.shape)
    return x[:, None], y


def solids(rows: int = 800, size: int = 12, noise: float = 0.5) -> tuple[Array, Array]:
    """Balls, cubes, hollow balls and crosses of random place and size, with Gaussian noise: x [rows, 1, size, size, size], y 0 to 3."""
    draws = np.random.default_rng(_SEED)
    y = np.arange(rows, dtype=np.int64) % 4
    grid = np.stack(np.meshgrid(*[np.arange(size)] * 3, indexing="ij"))
    centre = draws.uniform(size / 2 - 2, size / 2 + 1, (rows, 3, 1, 1, 1))
    radius = draws.uniform(size / 4, size / 3, (rows, 1, 1, 1))
    away = np.abs(grid - centre)
    distance = np.sqrt((away**2).sum(axis=1))
    ball, cube = distance < radius, away.max(axis=1) < 0.8 * radius
    cross = (np.sort(away, axis=1)[:, 1] < 1) & (away.max(axis=1) < 1.2 * radius)
    inside = np.choose(y[:, None, None, None], (ball, cube, ball & (distance > radius - 1.5), cross))
    return (inside + draws.normal(0, noise, inside.shape))[:, None], y


def colored_shapes(rows: int = 900, size: int = 12, noise: float = 0.1) -> tuple[Array, Array]:
    """Discs, squares and crosses in any color on any other, values in [0, 1]: x [rows, 3, size, size], y 0 to 2."""
    draws = np.random.default_rng(_SEED)
    y = np.arange(rows, dtype=np.int64) % 3
    grid = np.stack(np.meshgrid(*[np.arange(size)] * 2, indexing="ij"))
    centre = draws.uniform(size / 2 - 2, size / 2 + 1, (rows, 2, 1, 1))
    radius = draws.uniform(size / 4, size / 3, (rows, 1, 1))
    away = np.abs(grid - centre)
    shapes = (
        np.sqrt((away**2).sum(axis=1)) < radius,
        away.max(axis=1) < 0.85 * radius,
        (away.min(axis=1) < 1) & (away.max(axis=1) < radius),
    )
    inside = np.choose(y[:, None, None], shapes)[:, None]
    ground, ink = draws.uniform(0, 1, (2, rows, 3, 1, 1))
    return np.clip(np.where(inside, ink, ground) + draws.normal(0, noise, (rows, 3, size, size)), 0, 1), y


def bright_half(rows: int = 400, size: int = 8) -> tuple[Array, Array]:
    """Noise images whose left or right half is brighter: a label that a horizontal flip makes wrong. x [rows, 1, size, size] in [0, 1], y 0 or 1."""
    draws = np.random.default_rng(_SEED)
    y = np.arange(rows, dtype=np.int64) % 2
    x = draws.uniform(0, 0.5, (rows, 1, size, size))
    is_right = np.arange(size) >= size // 2
    return x + 0.4 * (is_right == y[:, None])[:, None, None, :], y

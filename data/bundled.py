"""Rows that scikit-learn ships, read from its files: importing it takes 150 MB of a process, and nothing here needs that.

A test compares them with what scikit-learn's own loaders give.
"""

import csv
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from data.dataset import Array

_SEED = 0


def digits() -> tuple[Array, Array]:
    """Read x [1797, 64] float64 and y [1797] int64."""
    rows = np.loadtxt(_path("data/digits.csv.gz"), delimiter=",")
    return rows[:, :-1], rows[:, -1].astype(np.int64)


def table(name: str) -> tuple[Array, Array]:
    """Read a table of classes by its file's name: x [n, features] float64 and y [n] int64. Its first line tells sizes and labels."""
    with _path(f"data/{name}.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines))[1:]
    return np.array([row[:-1] for row in rows], dtype=np.float64), np.array([row[-1] for row in rows], dtype=np.int64)


def diabetes() -> tuple[Array, Array]:
    """Read x [442, 10] float64 in the units they were measured in, and y [442] float64."""
    return np.loadtxt(_path("data/diabetes_data_raw.csv.gz")), np.loadtxt(_path("data/diabetes_target.csv.gz"))


def photograph(name: str) -> Array:
    """Read a sample photograph [427, 640, 3] uint8."""
    with Image.open(_path(f"images/{name}")) as image:
        return np.asarray(image)


def moons(rows: int, noise: float) -> tuple[Array, Array]:
    """Make two interleaved half circles with Gaussian noise as scikit-learn's `make_moons` does: x [rows, 2], y [rows] int64."""
    draws = np.random.RandomState(_SEED)
    outer, inner = np.linspace(0, np.pi, rows // 2), np.linspace(0, np.pi, rows - rows // 2)
    x = np.stack([np.append(np.cos(outer), 1 - np.cos(inner)), np.append(np.sin(outer), 1 - np.sin(inner) - 0.5)], axis=1)
    y = np.repeat(np.array([0, 1], dtype=np.int64), [len(outer), len(inner)])
    order = np.arange(rows)
    draws.shuffle(order)
    return x[order] + draws.normal(scale=noise, size=x.shape), y[order]


def _path(file: str) -> Path:
    """Find a file without importing the package that it is in.

    Raises:
        FileNotFoundError: scikit-learn is not installed, or has no such file.
    """
    spec = find_spec("sklearn")
    for folder in (spec and spec.submodule_search_locations) or ():
        found = Path(folder, "datasets", file)
        if found.is_file():
            return found
    raise FileNotFoundError(f"scikit-learn's {file} is not here")

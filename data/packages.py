"""Real datasets that Python packages ship, read from the packages' files: statsmodels, palmerpenguins and seglearn are never imported."""

import csv
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from data import bundled
from data.dataset import Array

PHOTO_LABELS = ("temple", "flower")
PHOTO_LICENCE = "CC BY 2.0"
PHOTO_SOURCE = (
    "scikit-learn's sample photographs: china.jpg by danielbuechele (flickr.com/photos/danielbuechele/6061409035), "
    "flower.jpg by vultilion (flickr.com/photos/vultilion/6056698931; scikit-learn's README names danielbuechele here too, "
    "but links to vultilion); cut into patches"
)

SUNSPOT_FEATURES = (*(f"{before} years before" for before in range(11, 1, -1)), "1 year before")
SUNSPOT_LICENCE = "public domain"
SUNSPOT_SOURCE = "yearly sunspot numbers 1700-2008, National Geophysical Data Center, by statsmodels"

PENGUIN_NUMBERS = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")
PENGUIN_ISLANDS = ("Biscoe", "Dream", "Torgersen")
PENGUIN_SEXES = ("female", "male")
PENGUIN_SPECIES = ("Adelie", "Chinstrap", "Gentoo")
PENGUIN_LICENCE = "CC0 1.0 (the package palmerpenguins: MIT)"
PENGUIN_SOURCE = "Gorman, Williams & Fraser 2014 (doi 10.1371/journal.pone.0090081), Palmer Station LTER, by palmerpenguins"

WATCH_LABELS = (
    "pendulum",
    "abduction",
    "forward elevation",
    "internal rotation",
    "external rotation",
    "lower trapezius row",
    "bent over row",
)
WATCH_CHANNELS = ("ax (g)", "ay (g)", "az (g)", "wx (rad/s)", "wy (rad/s)", "wz (rad/s)")
WATCH_HERTZ = 50.0
WATCH_LICENCE = "BSD-3-Clause (distributed with seglearn, by the author of both)"
WATCH_SOURCE = "Burns et al. 2018 (doi 10.1088/1361-6579/aacfd9), a part of SPAR: 10 of its 20 people, by seglearn"

_SIDE = 16
_BLOCK = 4
_WINDOW = 128
_LAGS = 11
_SUNSPOTS = ("statsmodels", "datasets/sunspots/sunspots.csv")
_PENGUINS = ("palmerpenguins", "data/penguins-raw.csv")
_WATCH = ("seglearn", "data/watch_dataset.npy")
_RAW_NUMBERS = ("Culmen Length (mm)", "Culmen Depth (mm)", "Flipper Length (mm)", "Body Mass (g)")
_NOT_KNOWN = "NA"


@dataclass(frozen=True, kw_only=True)
class Penguins:
    """344 birds: `numbers` [n, 4] float64 (mm, mm, mm, g) and the codes `island`, `sex` [n] float64, NaN where missing.

    Codes count along `PENGUIN_ISLANDS` and `PENGUIN_SEXES`; `species` [n] int64 along `PENGUIN_SPECIES`. `groups` [n] int64
    are birds: rows with one species and one individual id. Ids name nests and were given again on other islands, so that a
    group may hold two birds, but no bird is known in two groups. `years` [n] int64 are 2007 to 2009.
    """

    numbers: Array
    island: Array
    sex: Array
    species: Array
    groups: Array
    years: Array


def photo_patches_missing() -> str | None:
    """Say why `photo_patches` cannot be read here, or None."""
    return None if find_spec("PIL") is not None else _needs("pillow")


def photo_patches() -> tuple[Array, Array, Array]:
    """Cut two photographs into x [1920, 3, 16, 16] uint8, y [1920] int64 and groups [1920] int64, the temple's patches first.

    From each photograph (427 x 640 pixels) its upper 24 rows of 40 patches are taken, from left to right and top to bottom.
    Neighbouring patches are alike: a group is a block of 4 x 4 patches, 60 in each photograph, and belongs in one part.

    Raises:
        FileNotFoundError: Pillow is not installed.
    """
    reason = photo_patches_missing()
    if reason is not None:
        raise FileNotFoundError(reason)
    photographs = [_grid(bundled.photograph(name)) for name in ("china.jpg", "flower.jpg")]
    rows, columns = photographs[0].shape[:2]
    down, across = np.meshgrid(np.arange(rows) // _BLOCK, np.arange(columns) // _BLOCK, indexing="ij")
    block = (down * (columns // _BLOCK) + across).reshape(-1)
    y = np.repeat(np.arange(len(photographs)), block.size)
    groups = np.tile(block, len(photographs)) + y * (block.max() + 1)
    x = np.concatenate([patches.reshape(-1, 3, _SIDE, _SIDE) for patches in photographs])
    return x, y.astype(np.int64), groups.astype(np.int64)


def sunspots_missing() -> str | None:
    """Say why `sunspots` cannot be read here, or None."""
    return _missing(*_SUNSPOTS)


def sunspots() -> tuple[Array, Array, Array]:
    """Read x [298, 11] float64, the numbers of the 11 years before (oldest first), y [298] float64 and the years [298] int64.

    Raises:
        FileNotFoundError: statsmodels is not installed.
    """
    rows = _table(*_SUNSPOTS)
    years = np.array([int(row["YEAR"]) for row in rows], dtype=np.int64)
    numbers = np.array([float(row["SUNACTIVITY"]) for row in rows])
    x = np.lib.stride_tricks.sliding_window_view(numbers, _LAGS)[:-1].copy()
    return x, numbers[_LAGS:], years[_LAGS:]


def penguins_missing() -> str | None:
    """Say why `penguins` cannot be read here, or None."""
    return _missing(*_PENGUINS)


def penguins() -> Penguins:
    """Read 344 penguins of three species, with the gaps that the measurements have.

    Raises:
        FileNotFoundError: palmerpenguins is not installed.
    """
    rows = _table(*_PENGUINS)
    species = [row["Species"].split()[0] for row in rows]
    birds = list(zip(species, [row["Individual ID"] for row in rows], strict=True))
    number_of = {bird: number for number, bird in enumerate(dict.fromkeys(birds))}
    return Penguins(
        numbers=np.array([[_number(row[name]) for name in _RAW_NUMBERS] for row in rows]),
        island=np.array([_code(row["Island"], PENGUIN_ISLANDS) for row in rows]),
        sex=np.array([_code(row["Sex"], PENGUIN_SEXES) for row in rows]),
        species=np.array([PENGUIN_SPECIES.index(name) for name in species], dtype=np.int64),
        groups=np.array([number_of[bird] for bird in birds], dtype=np.int64),
        years=np.array([int(row["Date Egg"][:4]) for row in rows], dtype=np.int64),
    )


def watch_missing() -> str | None:
    """Say why `watch` cannot be read here, or None."""
    return _missing(*_WATCH)


def watch() -> tuple[Array, Array, Array]:
    """Cut a smartwatch's 140 recordings into x [1833, 6, 128] float64 (g and rad/s), y [1833] int64 and groups [1833] int64.

    Ten people did seven exercises of the shoulder with either arm. A row is 2.56 s at 50 Hz; rows follow the file and do not
    overlap, and what is left at a recording's end is dropped. A group is a person: rows of one are alike.

    Raises:
        FileNotFoundError: seglearn is not installed.
    """
    with _path(*_WATCH).open("rb") as file:
        if npy.read_magic(file) != (1, 0):
            raise ValueError(f"{_WATCH[1]} of seglearn is not in version 1.0 of NumPy's format")
        npy.read_array_header_1_0(file)
        content = _Arrays(file).load().item()
    windows = [_windows(recording) for recording in content["X"]]
    counts = [len(cut) for cut in windows]
    _, people = np.unique(content["subject"], return_inverse=True)
    return np.concatenate(windows), np.repeat(content["y"], counts).astype(np.int64), np.repeat(people, counts).astype(np.int64)


class _Arrays(pickle.Unpickler):
    """Unpickle arrays and what Python's literals make: a file cannot name anything else to be called."""

    _ALLOWED: Mapping[tuple[str, str], object] = {
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],  # its name in NumPy 2 differs
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): str.encode,
    }

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Give one of four names.

        Raises:
            UnpicklingError: the file asks for another one.
        """
        try:
            return self._ALLOWED[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module_name}.{global_name} is not part of an array") from None


def _needs(package: str) -> str:
    return f"needs the package {package}: install holdout[data]"


def _found(package: str, file: str) -> Path | None:
    spec = find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        candidate = Path(folder, file)
        if candidate.is_file():
            return candidate
    return None


def _missing(package: str, file: str) -> str | None:
    if _found(package, file) is not None:
        return None
    return _needs(package) if find_spec(package) is None else f"the package {package} that is installed here has no {file}"


def _path(package: str, file: str) -> Path:
    found = _found(package, file)
    if found is None:
        raise FileNotFoundError(_missing(package, file))
    return found


def _table(package: str, file: str) -> list[dict[str, str]]:
    with _path(package, file).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _number(text: str) -> float:
    return np.nan if text == _NOT_KNOWN else float(text)


def _code(text: str, categories: tuple[str, ...]) -> float:
    """Count along the categories, whatever the case they are written in."""
    if text == _NOT_KNOWN:
        return np.nan
    return float([category.casefold() for category in categories].index(text.casefold()))


def _grid(photograph: Array) -> Array:
    """Cut [h, w, 3] into whole blocks of patches: [rows, columns, 3, 16, 16]."""
    rows, columns = (size // (_SIDE * _BLOCK) * _BLOCK for size in photograph.shape[:2])
    cut = photograph[: rows * _SIDE, : columns * _SIDE].reshape(rows, _SIDE, columns, _SIDE, 3)
    return cut.transpose(0, 2, 4, 1, 3)


def _windows(recording: Array) -> Array:
    """Cut [t, c] into [t // 128, c, 128]."""
    whole = len(recording) // _WINDOW
    return recording[: whole * _WINDOW].reshape(whole, _WINDOW, -1).transpose(0, 2, 1)

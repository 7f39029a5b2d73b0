"""Datasets that packages ship: their rows, their gaps and their groups; without a package, the reason."""

import importlib.util
import io
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import astuple
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from data import packages
from data.dataset import content_hash

READERS: dict[str, tuple[Callable[[], Any], Callable[[], str | None], str]] = {
    "photo_patches": (packages.photo_patches, packages.photo_patches_missing, "pillow"),
    "sunspots": (packages.sunspots, packages.sunspots_missing, "statsmodels"),
    "penguins": (lambda: astuple(packages.penguins()), packages.penguins_missing, "palmerpenguins"),
    "watch": (packages.watch, packages.watch_missing, "seglearn"),
}


def _needs(name: str) -> pytest.MarkDecorator:
    reason = READERS[name][1]()
    return pytest.mark.skipif(reason is not None, reason=str(reason))


INSTALLED = [pytest.param(name, marks=_needs(name)) for name in READERS]


@pytest.mark.parametrize("name", INSTALLED)
def test_rows_are_the_same_each_time_they_are_read(name: str) -> None:
    read = READERS[name][0]
    assert content_hash(*read()) == content_hash(*read())


@pytest.mark.parametrize("name", INSTALLED)
def test_all_arrays_of_a_dataset_have_one_row_each(name: str) -> None:
    arrays = READERS[name][0]()
    assert {type(array) for array in arrays} == {np.ndarray}
    assert len({len(array) for array in arrays}) == 1


@pytest.mark.parametrize("name", READERS)
def test_without_its_package_a_dataset_says_which_one_it_needs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read, missing, package = READERS[name]
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    assert missing() == f"needs the package {package}: install holdout[data]"
    with pytest.raises(FileNotFoundError, match=f"needs the package {package}"):
        read()


def test_a_package_without_the_file_is_named_with_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda _: importlib.util.find_spec("json"))
    assert packages.sunspots_missing() == "the package statsmodels that is installed here has no datasets/sunspots/sunspots.csv"


def test_heavy_packages_are_not_imported() -> None:
    code = """
import sys
from data import packages
for read, missing in (
    (packages.photo_patches, packages.photo_patches_missing), (packages.sunspots, packages.sunspots_missing),
    (packages.penguins, packages.penguins_missing), (packages.watch, packages.watch_missing),
):
    missing() or read()
print(*({"statsmodels", "palmerpenguins", "seglearn", "torch"} & set(sys.modules)))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert not done.stdout.strip()


@_needs("photo_patches")
def test_each_photograph_gives_960_patches_in_60_blocks_of_16() -> None:
    x, y, groups = packages.photo_patches()
    assert (x.shape, x.dtype) == ((1920, 3, 16, 16), np.uint8)
    assert (y.dtype, groups.dtype) == (np.int64, np.int64)
    assert np.bincount(y).tolist() == [960, 960]
    assert len(packages.PHOTO_LABELS) == 2
    assert np.bincount(groups).tolist() == [16] * 120
    assert np.array_equal(y, groups // 60)
    assert (x.min(), x.max()) == (0, 255)


@_needs("photo_patches")
def test_patches_are_where_their_place_in_the_order_says() -> None:
    x, _, groups = packages.photo_patches()
    for first, name in ((0, "china.jpg"), (960, "flower.jpg")):
        put_together = x[first : first + 960].reshape(24, 40, 3, 16, 16).transpose(0, 3, 1, 4, 2).reshape(384, 640, 3)
        assert np.array_equal(put_together, load_sample_image(name)[:384])
    assert groups[:8].tolist() == [0] * 4 + [1] * 4
    assert groups[[0, 120, 160, 959, 960, 1919]].tolist() == [0, 0, 10, 59, 60, 119]


@_needs("photo_patches")
def test_neighbouring_patches_are_alike() -> None:
    x, y, groups = packages.photo_patches()
    color = x.mean(axis=(2, 3))
    overall = sum(color[y == photograph].var(axis=0).sum() for photograph in (0, 1)) / 2
    within = np.mean([color[groups == group].var(axis=0).sum() for group in range(120)])
    assert within < 0.5 * overall


@_needs("sunspots")
def test_a_sunspot_number_stands_behind_the_eleven_years_before_it() -> None:
    x, y, years = packages.sunspots()
    assert (x.shape, y.shape, years.shape) == ((298, 11), (298,), (298,))
    assert (x.dtype, y.dtype, years.dtype) == (np.float64, np.float64, np.int64)
    assert years.tolist() == list(range(1711, 2009))
    assert x[0].tolist() == [5, 11, 16, 23, 36, 58, 29, 20, 10, 8, 3]
    assert y[0] == 0
    assert np.array_equal(x[1:, -1], y[:-1])
    assert np.array_equal(x[11:, 0], y[:-11])
    assert len(packages.SUNSPOT_FEATURES) == 11
    assert packages.SUNSPOT_FEATURES[0] == "11 years before"


@_needs("sunspots")
def test_sunspot_numbers_are_finite_and_at_most_190_2() -> None:
    x, y, _ = packages.sunspots()
    assert np.isfinite(x).all()
    assert (y.min(), y.max()) == (0, 190.2)


@_needs("penguins")
def test_penguins_are_344_of_three_species() -> None:
    birds = packages.penguins()
    assert (birds.numbers.shape, birds.numbers.dtype) == ((344, 4), np.float64)
    assert dict(zip(packages.PENGUIN_SPECIES, np.bincount(birds.species), strict=True)) == {"Adelie": 152, "Chinstrap": 68, "Gentoo": 124}
    assert birds.species.dtype == np.int64
    assert dict(zip(*np.unique(birds.years, return_counts=True), strict=True)) == {2007: 110, 2008: 114, 2009: 120}


@_needs("penguins")
def test_penguins_have_the_gaps_that_the_file_has() -> None:
    birds = packages.penguins()
    gaps = np.isnan(birds.numbers)
    assert gaps.sum(axis=0).tolist() == [2, 2, 2, 2]
    assert np.flatnonzero(gaps.any(axis=1)).tolist() == [3, 271]
    assert (np.isnan(birds.sex).sum(), np.isnan(birds.island).sum()) == (11, 0)


@_needs("penguins")
def test_penguins_measure_what_penguins_measure() -> None:
    numbers = packages.penguins().numbers
    assert np.nanmin(numbers, axis=0).tolist() == [32.1, 13.1, 172, 2700]
    assert np.nanmax(numbers, axis=0).tolist() == [59.6, 21.5, 231, 6300]


@_needs("penguins")
def test_codes_of_penguins_count_along_their_categories() -> None:
    birds = packages.penguins()
    assert (birds.island.dtype, birds.sex.dtype) == (np.float64, np.float64)
    islands = np.bincount(birds.island.astype(int))
    assert dict(zip(packages.PENGUIN_ISLANDS, islands, strict=True)) == {"Biscoe": 168, "Dream": 124, "Torgersen": 52}
    sexes = np.bincount(birds.sex[~np.isnan(birds.sex)].astype(int))
    assert dict(zip(packages.PENGUIN_SEXES, sexes, strict=True)) == {"female": 165, "male": 168}


@_needs("penguins")
def test_a_penguin_s_group_is_of_one_species_and_has_at_most_two_rows_of_different_years() -> None:
    birds = packages.penguins()
    sizes = np.bincount(birds.groups)
    assert np.bincount(sizes).tolist() == [0, 224, 60]
    for group in np.flatnonzero(sizes == 2):
        rows = birds.groups == group
        assert len(set(birds.species[rows])) == 1
        assert len(set(birds.years[rows])) == 2


@_needs("watch")
def test_the_watch_gives_windows_of_ten_people_and_seven_exercises() -> None:
    x, y, groups = packages.watch()
    assert (x.shape, x.dtype) == ((1833, 6, 128), np.float64)
    assert (y.dtype, groups.dtype) == (np.int64, np.int64)
    assert x.shape[1] == len(packages.WATCH_CHANNELS)
    assert np.bincount(y).tolist() == [198, 299, 306, 283, 284, 228, 235]
    assert len(packages.WATCH_LABELS) == 7
    assert np.bincount(groups).tolist() == [220, 212, 119, 116, 191, 186, 206, 191, 190, 202]
    assert len({*zip(groups.tolist(), y.tolist(), strict=True)}) == 70


@_needs("watch")
def test_the_watch_measures_gravity_and_turns() -> None:
    x, _, _ = packages.watch()
    assert np.isfinite(x).all()
    strength = np.sqrt((x[:, :3] ** 2).sum(axis=1))
    assert 0.9 < np.median(strength) < 1.1
    assert np.abs(x[:, :3]).max() < 6
    assert np.abs(x[:, 3:]).max() < 30


def test_a_pickle_that_calls_something_is_refused() -> None:
    with pytest.raises(pickle.UnpicklingError, match="getpid is not part of an array"):
        packages._Arrays(io.BytesIO(pickle.dumps(os.getpid))).load()

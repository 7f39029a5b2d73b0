"""What is read and drawn without scikit-learn, beside scikit-learn: equal to the last bit."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import datasets
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

from data import bundled
from data.dataset import Array
from data.splits.draws import folds, parts, stratified_folds, stratified_parts

SEEDS = st.integers(0, 2**32 - 1)


def _same(found: tuple[Array, Array], expected: tuple[Array, Array]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other, strict=False)


def test_digits_are_those_of_scikit_learn() -> None:
    _same(bundled.digits(), datasets.load_digits(return_X_y=True))


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_tables_are_those_of_scikit_learn(name: str) -> None:
    _same(bundled.table("wine_data" if name == "wine" else name), getattr(datasets, f"load_{name}")(return_X_y=True))


def test_diabetes_is_that_of_scikit_learn() -> None:
    _same(bundled.diabetes(), datasets.load_diabetes(return_X_y=True, scaled=False))


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_photographs_are_those_of_scikit_learn(name: str) -> None:
    np.testing.assert_array_equal(bundled.photograph(name), datasets.load_sample_image(name), strict=True)


@pytest.mark.parametrize("rows", [2, 7, 1000])
def test_moons_are_those_of_scikit_learn(rows: int) -> None:
    _same(bundled.moons(rows, 0.25), datasets.make_moons(n_samples=rows, noise=0.25, random_state=0))


@given(count=st.integers(2, 300), share=st.floats(0.01, 0.99), seed=SEEDS)
def test_parts_are_drawn_as_scikit_learn_draws_them(count: int, share: float, seed: int) -> None:
    drawn = max(1, min(count - 1, round(share * count)))
    expected = train_test_split(np.arange(count), test_size=drawn, train_size=count - drawn, random_state=seed)
    _same(parts(count, drawn, seed), tuple(expected))


@given(sizes=st.lists(st.integers(2, 40), min_size=2, max_size=8), share=st.floats(0.05, 0.95), seed=SEEDS)
def test_strata_are_drawn_as_scikit_learn_draws_them(sizes: list[int], share: float, seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)) * 3, sizes))
    drawn = max(len(sizes), min(len(labels) - len(sizes), round(share * len(labels))))
    positions = np.arange(len(labels))
    expected = train_test_split(positions, test_size=drawn, train_size=len(labels) - drawn, random_state=seed, stratify=labels)
    _same(stratified_parts(labels, drawn, seed), tuple(expected))


@given(count=st.integers(10, 200), num_folds=st.integers(2, 10), seed=st.none() | SEEDS)
def test_folds_are_those_of_scikit_learn(count: int, num_folds: int, seed: int | None) -> None:
    expected = KFold(num_folds, shuffle=seed is not None, random_state=seed).split(np.arange(count))
    for one, other in zip(folds(count, num_folds, seed), expected, strict=True):
        _same(one, other)


@given(sizes=st.lists(st.integers(1, 40), min_size=2, max_size=6), num_folds=st.integers(2, 10), seed=st.none() | SEEDS)
def test_stratified_folds_are_those_of_scikit_learn(sizes: list[int], num_folds: int, seed: int | None) -> None:
    sizes = [*sizes, num_folds]  # a class at least that fills every fold
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)) * 3, sizes))
    splitter = StratifiedKFold(num_folds, shuffle=seed is not None, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # classes of fewer rows than folds
        expected = list(splitter.split(labels, labels))
    for one, other in zip(stratified_folds(labels, num_folds, seed), expected, strict=True):
        _same(one, other)

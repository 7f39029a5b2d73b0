"""Hold-out: counts, stratification, order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.dataset import Dataset, Task
from data.splits.build import SplitProblem, divide
from data.splits.spec import HoldoutSpec, PredefinedSpec
from tests.factories import a_dataset

Y10 = np.arange(10.0)


def _holdout(**fields: object) -> HoldoutSpec:
    return HoldoutSpec.model_validate({"name": "holdout", **fields})


def _rows(y: np.ndarray, task: Task, parts: np.ndarray | None = None) -> Dataset:
    return a_dataset(np.zeros((len(y), 1)), y, task=task, parts=parts)


@pytest.mark.parametrize(
    ("fraction", "rows", "expected"),
    [(0.3, 10, 3), (0.35, 10, 4), (0.25, 10, 3), (0.05, 10, 1), (0.01, 10, 1), (0.15, 10, 2), (0.3, 1797, 539)],
)
def test_counts_go_to_the_nearest_row_halves_up_on_the_decimal_as_sent(fraction: float, rows: int, expected: int) -> None:
    division = divide(_holdout(val_fraction=fraction), _rows(np.arange(float(rows)), "regression"), 0)
    assert (len(division.val), len(division.train), len(division.test)) == (expected, rows - expected, 0)


@given(
    rows=st.integers(4, 200),
    val=st.sampled_from([0, 0.1, 0.3, 0.45]),
    test=st.sampled_from([0, 0.1, 0.25]),
    seed=st.integers(0, 2**32 - 1),
    shuffle=st.booleans(),
)
def test_the_parts_are_disjoint_and_together_every_row(rows: int, val: float, test: float, seed: int, shuffle: bool) -> None:
    division = divide(_holdout(val_fraction=val, test_fraction=test, shuffle=shuffle), _rows(np.arange(float(rows)), "regression"), seed)
    together = np.concatenate([division.train, division.val, division.test])
    assert sorted(together.tolist()) == list(range(rows))
    assert (len(division.val) > 0) == (val > 0)
    assert (len(division.test) > 0) == (test > 0)


def test_file_order_is_train_validation_test() -> None:
    division = divide(_holdout(val_fraction=0.2, test_fraction=0.1, shuffle=False), _rows(Y10, "regression"), 0)
    assert (division.train.tolist(), division.val.tolist(), division.test.tolist()) == ([0, 1, 2, 3, 4, 5, 6], [7, 8], [9])


def test_classes_are_stratified_by_default() -> None:
    y = np.repeat([0, 1], [90, 10])
    division = divide(_holdout(val_fraction=0.3, test_fraction=0.2), _rows(y, "classification"), 5)
    assert [int(y[part].sum()) for part in (division.train, division.val, division.test)] == [5, 3, 2]


def test_the_seed_decides_the_order() -> None:
    first, again, other = (divide(_holdout(), _rows(Y10, "regression"), seed) for seed in (0, 0, 1))
    assert np.array_equal(first.train, again.train)
    assert not np.array_equal(first.train, other.train)


@pytest.mark.parametrize(
    ("fields", "y", "task", "pointer"),
    [
        ({"val_fraction": 0.5, "test_fraction": 0.5}, Y10, "regression", "/split/val_fraction"),
        ({"val_fraction": 0.5, "test_fraction": 0.5, "shuffle": False}, Y10, "regression", "/split"),
        ({"shuffle": False, "stratify": True}, np.repeat([0, 1], 5), "classification", "/split/stratify"),
        ({"stratify": True}, Y10, "regression", "/split/stratify"),
        ({"val_fraction": 0.1}, np.arange(10) % 5, "classification", "/split/val_fraction"),
        ({}, np.array([0] * 9 + [1]), "classification", "/split/val_fraction"),
    ],
)
def test_a_split_that_cannot_be_made_says_where(fields: dict[str, object], y: np.ndarray, task: Task, pointer: str) -> None:
    """B034: a class with a single row is refused, as are parts too small for every class."""
    with pytest.raises(SplitProblem) as caught:
        divide(_holdout(**fields), _rows(y, task), 0)
    assert caught.value.pointer == pointer


def test_a_class_of_two_rows_is_stratified_and_one_of_a_single_row_only_without() -> None:
    """B034: two rows of the rare class go to both sides; of one row the code says so, and plain hold-out takes it."""
    two = _rows(np.array([0] * 8 + [1] * 2), "classification")
    division = divide(_holdout(), two, 0)
    assert [int(two.y[part].sum()) for part in (division.train, division.val)] == [1, 1]
    one = _rows(np.array([0] * 9 + [1]), "classification")
    with pytest.raises(SplitProblem) as caught:
        divide(_holdout(), one, 0)
    assert (caught.value.code, caught.value.pointer) == ("class_too_small", "/split/val_fraction")
    assert len(divide(_holdout(stratify=False), one, 0).val) == 3


def test_a_predefined_test_split_is_kept_and_validation_comes_from_the_training_rows() -> None:
    parts = np.repeat([0, 2], [80, 20])
    y = np.arange(100) % 4
    division = divide(PredefinedSpec(name="predefined"), _rows(y, "classification", parts), 0)
    assert division.test.tolist() == list(range(80, 100))
    assert (len(division.train), len(division.val)) == (70, 10)
    assert sorted([*division.train, *division.val]) == list(range(80))
    assert set(np.bincount(y[division.val])) == {2, 3}
    other = divide(PredefinedSpec(name="predefined", val_fraction=0.2), _rows(y, "classification", parts), 0)
    assert len(other.val) == 20
    assert len(divide(PredefinedSpec(name="predefined", val_fraction=0), _rows(y, "classification", parts), 0).val) == 0


def test_validation_rows_of_the_datasets_own_are_used() -> None:
    parts = np.array([0, 1, 2, 0, 0])
    division = divide(PredefinedSpec(name="predefined"), _rows(np.arange(5.0), "regression", parts), 0)
    assert (division.train.tolist(), division.val.tolist(), division.test.tolist()) == ([0, 3, 4], [1], [2])


def test_a_predefined_split_needs_one_and_leaves_training_rows() -> None:
    with pytest.raises(SplitProblem, match="no division of its own"):
        divide(PredefinedSpec(name="predefined"), _rows(Y10, "regression"), 0)
    with pytest.raises(SplitProblem, match="leaves none of 5"):
        divide(PredefinedSpec(name="predefined", val_fraction=0.5), _rows(Y10, "regression", np.repeat([0, 2], 5)), 0)

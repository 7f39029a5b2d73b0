"""Preparation learns from training rows only."""

from dataclasses import replace

import numpy as np
import pytest

from data import builtin
from data.dataset import Dataset
from data.preprocessing.build import prepare
from data.preprocessing.spec import PreprocessingSpec
from data.splits.build import Division

DIVISION = Division(train=np.array([0, 1]), val=np.array([2]), test=np.array([3]))


def _table(x: list[list[float]], y: list[float]) -> Dataset:
    info = replace(builtin.info("noisy_sine"), input_shape=(len(x[0]),), num_rows=len(x))
    return Dataset(info=info, x=np.array(x, dtype=np.float64), y=np.array(y))


def test_the_scaler_learns_from_training_rows_only() -> None:
    """B006: train [0, 2] has mean 1 and population deviation 1, so the validation value 100 becomes 99."""
    split = prepare(PreprocessingSpec(), _table([[0], [2], [100], [3]], [1, 3, 5, 7]), DIVISION, np.float64)
    assert split.train.x.tolist() == [[-1], [1]]
    assert split.val is not None
    assert split.val.x.tolist() == [[99]]
    assert split.test is not None
    assert split.test.x.tolist() == [[2]]


def test_changing_validation_features_leaves_the_training_rows_bit_identical() -> None:
    """B006."""
    first = prepare(PreprocessingSpec(), _table([[0.1], [2.3], [100], [3]], [1, 3, 5, 7]), DIVISION, np.float32)
    other = prepare(PreprocessingSpec(), _table([[0.1], [2.3], [-7e5], [1e9]], [1, 3, 5, 7]), DIVISION, np.float32)
    assert np.array_equal(first.train.x, other.train.x)
    assert first.state == other.state


def test_a_constant_column_gets_scale_one() -> None:
    split = prepare(PreprocessingSpec(), _table([[5, 1], [5, 3], [6, 5], [5, 5]], [1, 3, 5, 7]), DIVISION, np.float64)
    assert split.val is not None
    assert split.train.x[:, 0].tolist() == [0, 0]
    assert split.val.x[0, 0] == 1


def test_a_numeric_target_is_standardised_from_training_rows_and_can_be_put_back() -> None:
    split = prepare(PreprocessingSpec(), _table([[0], [2], [1], [3]], [10, 30, 50, 70]), DIVISION, np.float64)
    assert (split.target_scale, split.state["target_mean"]) == (10, 20)
    assert split.train.y.tolist() == [-1, 1]
    assert split.val is not None
    assert (split.val.y * split.target_scale + split.state["target_mean"]).tolist() == [50]


def test_none_leaves_values_as_they_are() -> None:
    split = prepare(PreprocessingSpec(features="none", target="none"), _table([[0], [2], [1], [3]], [10, 30, 50, 70]), DIVISION, np.float64)
    assert split.train.x.tolist() == [[0], [2]]
    assert (split.train.y.tolist(), split.target_scale) == ([10, 30], 1)


def test_images_are_scaled_to_one_then_standardised_per_channel() -> None:
    digits = builtin.load("digits")
    division = Division(train=np.arange(1000), val=np.arange(1000, 1797), test=np.arange(0))
    raw = prepare(PreprocessingSpec(features="none"), digits, division, np.float64)
    assert (raw.train.x.min(), raw.train.x.max()) == (0, 1)
    split = prepare(PreprocessingSpec(), digits, division, np.float64)
    assert len(split.state["feature_mean"]) == 1
    assert split.train.x.mean() == pytest.approx(0, abs=1e-12)
    assert split.train.x.std() == pytest.approx(1)
    assert split.test is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_features_come_in_the_precision_asked_for(dtype: type[np.float32]) -> None:
    split = prepare(
        PreprocessingSpec(), builtin.load("iris"), Division(train=np.arange(100), val=np.arange(100, 150), test=np.arange(0)), dtype
    )
    assert split.train.x.dtype == dtype

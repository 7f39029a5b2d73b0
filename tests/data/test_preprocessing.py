"""Preparation learns from training rows only; images, targets and states. Words and gaps are in test_tables.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data import builtin
from data.dataset import Dataset
from data.preprocessing.apply import apply, resized
from data.preprocessing.build import prepare, prepared_shape
from data.preprocessing.spec import PreprocessingSpec
from data.preprocessing.state import GridPreparation, NumberColumn, Preparation, TablePreparation, Target
from data.splits.build import Division
from tests.factories import a_dataset

DIVISION = Division(train=np.array([0, 1]), val=np.array([2]), test=np.array([3]))


def _table(x: list[list[float]], y: list[float]) -> Dataset:
    return a_dataset(np.array(x, dtype=np.float64), y, task="regression")


def _grid(inputs: object) -> GridPreparation:
    assert isinstance(inputs, GridPreparation)
    return inputs


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


def test_a_constant_column_gets_scale_one_by_min_max_too() -> None:
    split = prepare(PreprocessingSpec(features="min_max"), _table([[5, 1], [5, 3], [7, 5], [5, 2]], [1, 3, 5, 7]), DIVISION, np.float64)
    assert isinstance(split.state.inputs, TablePreparation)
    assert [(column.offset, column.scale) for column in split.state.inputs.columns] == [(5, 1), (1, 2)]
    assert split.val is not None
    assert (split.train.x.tolist(), split.val.x.tolist()) == ([[0, 0], [0, 1]], [[2, 2]])


def test_a_numeric_target_is_standardised_from_training_rows_and_can_be_put_back() -> None:
    split = prepare(PreprocessingSpec(), _table([[0], [2], [1], [3]], [10, 30, 50, 70]), DIVISION, np.float64)
    assert (split.state.target.scale, split.state.target.offset) == (10, 20)
    assert split.train.y.tolist() == [-1, 1]
    assert split.val is not None
    assert (split.val.y * split.state.target.scale + split.state.target.offset).tolist() == [50]


def test_none_leaves_values_as_they_are() -> None:
    split = prepare(PreprocessingSpec(features="none", target="none"), _table([[0], [2], [1], [3]], [10, 30, 50, 70]), DIVISION, np.float64)
    assert split.train.x.tolist() == [[0], [2]]
    assert (split.train.y.tolist(), split.state.target.scale) == ([10, 30], 1)


def test_images_are_scaled_to_one_then_standardised_per_channel() -> None:
    digits = builtin.load("digits")
    division = Division(train=np.arange(1000), val=np.arange(1000, 1797), test=np.arange(0))
    raw = prepare(PreprocessingSpec(features="none"), digits, division, np.float64)
    assert (raw.train.x.min(), raw.train.x.max()) == (0, 1)
    split = prepare(PreprocessingSpec(), digits, division, np.float64)
    assert len(_grid(split.state.inputs).offset) == 1
    assert split.train.x.mean() == pytest.approx(0, abs=1e-12)
    assert split.train.x.std() == pytest.approx(1)
    assert split.test is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_features_come_in_the_precision_asked_for(dtype: type[np.float32]) -> None:
    split = prepare(
        PreprocessingSpec(), builtin.load("iris"), Division(train=np.arange(100), val=np.arange(100, 150), test=np.arange(0)), dtype
    )
    assert split.train.x.dtype == dtype


@pytest.mark.parametrize("features", ["standardize", "min_max"])
def test_each_channel_of_a_color_image_is_scaled_by_itself(features: str) -> None:
    x = np.random.default_rng(0).integers(0, 256, (12, 3, 4, 5)).astype(np.uint8)
    dataset, division = a_dataset(x, np.arange(12) % 2, x_unit=255.0), Division(train=np.arange(8), val=np.arange(8, 12), test=np.arange(0))
    split = prepare(PreprocessingSpec.model_validate({"features": features}), dataset, division, np.float64)
    learned = x[:8].transpose(1, 0, 2, 3).reshape(3, -1) / 255
    if features == "standardize":
        offset, scale = learned.mean(1), learned.std(1)
    else:
        offset, scale = learned.min(1), learned.max(1) - learned.min(1)
    expected = (x / 255 - offset[:, None, None]) / scale[:, None, None]
    assert split.val is not None
    np.testing.assert_allclose(np.concatenate([split.train.x, split.val.x]), expected, atol=1e-12)


@pytest.mark.parametrize("size", [(4, 4), (3, 9), (8, 8), (20, 5), (1, 1)])
def test_images_are_resized_as_pillow_resizes_them(size: tuple[int, int]) -> None:
    """Bilinear, antialiased where they shrink; channel by channel, in [0, 1], width and height not confused."""
    x = np.random.default_rng(1).integers(0, 256, (3, 2, 8, 6)).astype(np.uint8)
    dataset = a_dataset(x, [0, 1, 0], x_unit=255.0)
    spec = PreprocessingSpec(features="none", resize=size)
    split = prepare(spec, dataset, Division(train=np.array([0, 1]), val=np.array([2]), test=np.arange(0)), np.float64)
    for row, image in enumerate(split.train.x):
        for c, channel in enumerate(image):
            expected = Image.fromarray((x[row, c] / 255).astype(np.float32), mode=None).resize(size[::-1], Image.Resampling.BILINEAR)
            assert np.array_equal(channel, np.asarray(expected))
    assert split.train.x.shape[1:] == (2, *size) == split.state.input_shape == prepared_shape(spec, dataset, np.array([0, 1]))
    assert split.val is not None
    assert 0 <= split.val.x.min() <= split.val.x.max() <= 1


def test_an_even_image_stays_even_and_shrinking_weighs_neighbours_by_hand() -> None:
    """16 -> 2: a triangle of half width 8 gives the other half 1 of 7 parts, so two axes give 2 * 1/7 * 6/7."""
    assert resized(np.full((1, 1, 8, 8), 0.25), (3, 5)).tolist() == [[[[0.25] * 5] * 3]]
    halved = resized(np.kron(np.array([[[[0.0, 1.0], [1.0, 0.0]]]]), np.ones((1, 1, 8, 8))), (2, 2))
    np.testing.assert_allclose(halved[0, 0], [[12 / 49, 37 / 49], [37 / 49, 12 / 49]], atol=1e-6)


def test_scaling_learns_from_resized_images() -> None:
    x = np.random.default_rng(2).random((40, 1, 8, 8))
    split = prepare(
        PreprocessingSpec(resize=(3, 3)),
        a_dataset(x, np.arange(40) % 2),
        Division(train=np.arange(40), val=np.arange(0), test=np.arange(0)),
        np.float64,
    )
    assert (split.train.x.mean(), split.train.x.std()) == (pytest.approx(0, abs=1e-12), pytest.approx(1))


@pytest.mark.parametrize(
    ("name", "resize"),
    [("digits", None), ("digits", (5, 4)), ("waves", None), ("solids", None), ("colored_shapes", (6, 6)), ("iris", None)],
)
def test_a_prepared_row_has_the_shape_that_was_said_before(name: str, resize: tuple[int, int] | None) -> None:
    dataset, division = builtin.load(name), Division(train=np.arange(20), val=np.arange(20, 22), test=np.arange(0))
    spec = PreprocessingSpec(resize=resize)
    split = prepare(spec, dataset, division, np.float32)
    assert split.train.x.shape[1:] == split.state.input_shape == prepared_shape(spec, dataset, division.train)


@pytest.mark.parametrize("features", ["standardize", "min_max"])
def test_what_is_learned_in_chunks_is_what_all_rows_say(features: str) -> None:
    x = np.random.default_rng(3).normal(5, 3, (10_000, 2))
    dataset, division = a_dataset(x, x[:, 0]), Division(train=np.arange(10_000), val=np.arange(0), test=np.arange(0))
    split = prepare(PreprocessingSpec.model_validate({"features": features}), dataset, division, np.float64)
    expected = (x - x.mean(0)) / x.std(0) if features == "standardize" else (x - x.min(0)) / np.ptp(x, axis=0)
    np.testing.assert_allclose(split.train.x, expected, atol=1e-12)


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(offset=FINITE, scale=FINITE, fill=FINITE, unit=FINITE)
def test_a_preparation_survives_json_bit_for_bit(offset: float, scale: float, fill: float, unit: float) -> None:
    target = Target(name="y", task="regression", labels=None, offset=offset, scale=scale, unit="µm")
    column = NumberColumn(name='a "b" \u2028', fill=fill, indicator=True, offset=offset, scale=scale)
    grid = GridPreparation(kind="image", shape=(1, 2, 3), unit=unit, resize=(4, 5), offset=(offset,), scale=(scale,))
    for inputs in (TablePreparation(columns=(column,)), grid):
        state = Preparation(inputs=inputs, target=target)
        again = Preparation.model_validate_json(state.model_dump_json())
        assert again == state
        assert repr(again) == repr(state)  # -0.0 == 0.0


@pytest.mark.parametrize("features", ["standardize", "min_max", "none"])
def test_a_reloaded_preparation_of_images_prepares_bit_identical_rows(features: str) -> None:
    digits = builtin.load("digits")
    division = Division(train=np.arange(1000), val=np.arange(1000, 1797), test=np.arange(0))
    split = prepare(PreprocessingSpec.model_validate({"features": features, "resize": [7, 5]}), digits, division, np.float64)
    again = Preparation.model_validate_json(split.state.model_dump_json())
    assert split.val is not None
    assert np.array_equal(apply(again, digits.x[1000:]), split.val.x)

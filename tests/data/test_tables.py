"""Tables of numbers, words and gaps, checked against scikit-learn; what is learned comes from training rows only."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler

from data.dataset import Column, Dataset
from data.preprocessing.apply import Unprepared, apply
from data.preprocessing.build import MissingValues, OutOfRange, PreparedSplit, prepare, prepared_shape
from data.preprocessing.spec import PreprocessingSpec
from data.preprocessing.state import CategoryColumn, Preparation, TablePreparation
from data.splits.build import Division, divide
from data.splits.spec import HoldoutSpec, PredefinedSpec
from tests.factories import a_dataset

FEATURES, CATEGORIES, MISSING = ("standardize", "min_max", "none"), ("one_hot", "ordinal"), ("median", "most_frequent", "indicator")
FILLED = list(product(FEATURES, CATEGORIES, MISSING))
COMBINATIONS = list(product(FEATURES, CATEGORIES, (*MISSING, "reject")))
NAMES = ("height", "color", "weight", "shape")
ROWS: tuple[tuple[Any, ...], ...] = (
    (1.5, "red", 10.0, "round"),
    (None, "blue", 20.0, "square"),
    (3.0, None, 20.0, "round"),
    (4.0, "blue", 40.0, "round"),
    (4.0, "red", 5.0, "flat"),
    (None, "green", 0.1, "flat"),
    (7.0, "blue", 1e6, "square"),
    # from here on, rows that are not trained on
    (None, "violet", None, "long"),
    (-9.0, None, 3.0, None),
    (0.0, "aqua", 1e9, "round"),
)
TRAIN = 7


def _spec(features: str, categories: str, missing: str) -> PreprocessingSpec:
    return PreprocessingSpec.model_validate({"features": features, "categories": categories, "missing": missing})


def _dataset(rows: Sequence[Sequence[Any]], **columns: Any) -> Dataset:
    """Hold words as indices of all the words that there are, in order, as an upload does."""
    arrays, found = [], []
    for name, cells in zip(NAMES, zip(*rows, strict=True), strict=False):
        words = tuple(sorted({cell for cell in cells if isinstance(cell, str)}))
        places = {word: float(i) for i, word in enumerate(words)}
        arrays.append([np.nan if cell is None else places.get(cell, cell) for cell in cells])
        found.append(Column(name=name, kind="category" if words else "number", categories=words))
    return a_dataset(np.array(arrays, dtype=np.float64).T, np.arange(len(rows)) % 2, columns=found, **columns)


def _division(dataset: Dataset, train: int = TRAIN) -> Division:
    rows = np.arange(dataset.info.num_rows)
    return Division(train=rows[:train], val=rows[train:], test=rows[:0])


def _table(split: PreparedSplit) -> TablePreparation:
    assert isinstance(split.state.inputs, TablePreparation)
    return split.state.inputs


def _reference(rows: Sequence[Sequence[Any]], spec: PreprocessingSpec) -> np.ndarray:
    """Prepare all rows by pipelines of scikit-learn that were fitted to the training rows."""
    scaler = {"standardize": StandardScaler(), "min_max": MinMaxScaler(), "none": FunctionTransformer()}[spec.features]
    number = "most_frequent" if spec.missing == "most_frequent" else "median"
    blocks, indicators = [], []
    for i in range(len(NAMES)):
        cells = [row[i] for row in rows]
        pipeline: Pipeline
        if any(isinstance(cell, str) for cell in cells):
            column = np.array(cells, dtype=object).reshape(-1, 1)
            words = [sorted({cell for cell in cells[:TRAIN] if cell is not None})]
            imputer = SimpleImputer(missing_values=None, strategy="most_frequent")
            if spec.missing == "indicator":
                imputer = SimpleImputer(missing_values=None, strategy="constant", fill_value="no such word")
            if spec.categories == "one_hot":
                pipeline = make_pipeline(imputer, OneHotEncoder(categories=words, handle_unknown="ignore", sparse_output=False))
            else:
                encoder = OrdinalEncoder(categories=words, handle_unknown="use_encoded_value", unknown_value=-1)
                pipeline = make_pipeline(imputer, encoder, scaler)
            made = pipeline.fit(column[:TRAIN]).transform(column)
            blocks.append(np.column_stack([made, 1 - made.sum(1)]) if spec.categories == "one_hot" else made)
            continue
        column = np.array([np.nan if cell is None else cell for cell in cells]).reshape(-1, 1)
        pipeline = make_pipeline(SimpleImputer(strategy=number), scaler)
        blocks.append(pipeline.fit(column[:TRAIN]).transform(column))
        if spec.missing == "indicator":
            indicators.append(MissingIndicator(error_on_new=False).fit(column[:TRAIN]).transform(column))
    return np.column_stack([*blocks, *indicators])


@pytest.mark.parametrize(("features", "categories", "missing"), FILLED)
def test_every_combination_agrees_with_scikit_learn(features: str, categories: str, missing: str) -> None:
    """B006: pipelines of imputer, scaler and encoder, fitted to the training rows."""
    spec, dataset = _spec(features, categories, missing), _dataset(ROWS)
    split = prepare(spec, dataset, _division(dataset), np.float64)
    assert split.val is not None
    found = np.concatenate([split.train.x, split.val.x])
    np.testing.assert_allclose(found, _reference(ROWS, spec), rtol=1e-12, atol=1e-12)
    assert found.shape[1:] == split.state.input_shape == prepared_shape(spec, dataset, np.arange(TRAIN))
    assert found.shape[1] == len(_table(split).input_names)


@pytest.mark.parametrize(("features", "categories"), list(product(FEATURES, CATEGORIES)))
def test_without_gaps_every_way_to_fill_them_gives_the_same_rows(features: str, categories: str) -> None:
    whole = [row for row in ROWS if None not in row]
    dataset = _dataset(whole)
    made = [prepare(_spec(features, categories, missing), dataset, _division(dataset, 4), np.float64) for missing in (*MISSING, "reject")]
    for one in made[1:]:
        assert np.array_equal(one.train.x, made[0].train.x)
        assert one.val is not None
        assert made[0].val is not None
        assert np.array_equal(one.val.x, made[0].val.x)


def test_inputs_are_named_in_order() -> None:
    dataset = _dataset(ROWS)
    split = prepare(_spec("none", "one_hot", "indicator"), dataset, _division(dataset), np.float64)
    assert _table(split).input_names == (
        "height", "color=blue", "color=green", "color=red", "color unknown", "weight", "shape=flat", "shape=round", "shape=square", "shape unknown",
        "height missing",
    )  # fmt: skip


def test_unknown_words_go_to_the_unknown_bucket() -> None:
    dataset = _dataset(ROWS)
    hot = prepare(_spec("standardize", "one_hot", "median"), dataset, _division(dataset), np.float64)
    assert hot.val is not None
    assert hot.val.x[0, 1:5].tolist() == [0, 0, 0, 1]  # violet
    assert hot.val.x[1, 1:5].tolist() == [1, 0, 0, 0]  # none: blue, the most frequent
    assert hot.train.x[:, 4].tolist() == [0] * TRAIN
    ordinal = prepare(_spec("none", "ordinal", "indicator"), dataset, _division(dataset), np.float64)
    assert ordinal.val is not None
    assert ordinal.val.x[:, 1].tolist() == [-1, -1, -1]
    assert ordinal.train.x[:, 1].tolist() == [2, 0, -1, 0, 2, 1, 0]


def test_the_most_frequent_word_is_the_first_in_the_alphabet_where_two_are_equal() -> None:
    rows = [(1.0, "b"), (1.0, "a"), (1.0, None), (1.0, "c")]
    split = prepare(_spec("none", "ordinal", "median"), _dataset(rows), _division(_dataset(rows), 3), np.float64)
    assert split.train.x[:, 1].tolist() == [1, 0, 0]


def test_a_gap_becomes_the_training_median() -> None:
    """B021: x: 1,,3 gives 2, whatever the validation rows hold."""
    dataset = _dataset([(1.0,), (None,), (3.0,), (1e9,), (None,)])
    split = prepare(_spec("none", "one_hot", "median"), dataset, _division(dataset, 3), np.float64)
    assert split.val is not None
    assert (split.train.x.tolist(), split.val.x.tolist()) == ([[1], [2], [3]], [[1e9], [2]])


def test_a_rejected_gap_is_named_by_column_and_row() -> None:
    """B021."""
    with pytest.raises(MissingValues, match=r"column height lacks 3 values \(first in row 2\)"):
        prepare(PreprocessingSpec(), _dataset(ROWS), _division(_dataset(ROWS)), np.float64)


@pytest.mark.parametrize("missing", MISSING)
def test_a_column_without_any_training_value_is_refused_by_name(missing: str) -> None:
    """B021."""
    for cells in ((None, None, 3.0), (None, None, "a")):
        rows = [(float(i), cell) for i, cell in enumerate(cells)]
        with pytest.raises(MissingValues, match="column color has no value in the training rows"):
            prepare(_spec("standardize", "one_hot", missing), _dataset(rows), _division(_dataset(rows), 2), np.float64)


def test_a_preparation_that_saw_no_gap_refuses_one_by_row_and_column() -> None:
    """B021: serving a model that was trained to accept none missing."""
    whole = _dataset([row for row in ROWS if None not in row])
    state = prepare(PreprocessingSpec(), whole, _division(whole, 4), np.float64).state
    raw = whole.x.copy()
    raw[2, 3] = np.nan
    with pytest.raises(Unprepared, match="row 3 has no value for shape") as caught:
        apply(state, raw)
    assert (caught.value.row, caught.value.column) == (2, "shape")


@pytest.mark.parametrize(("features", "categories", "missing"), FILLED)
def test_a_reloaded_preparation_prepares_bit_identical_rows(features: str, categories: str, missing: str) -> None:
    dataset = _dataset(ROWS)
    split = prepare(_spec(features, categories, missing), dataset, _division(dataset), np.float64)
    again = Preparation.model_validate_json(split.state.model_dump_json())
    assert again == split.state
    raw = dataset.x.copy()
    for i, column in enumerate(_table(split).columns):
        if isinstance(column, CategoryColumn):
            words = [row[i] for row in ROWS]
            raw[:, i] = [np.nan if word is None else column.categories.index(word) if word in column.categories else -1 for word in words]
    assert split.val is not None
    assert np.array_equal(apply(again, raw), np.concatenate([split.train.x, split.val.x]))
    one_by_one = np.concatenate([apply(again, raw[i : i + 1]) for i in range(len(raw))])
    assert np.array_equal(one_by_one, apply(again, raw))


CELLS = st.tuples(
    st.none() | st.integers(-1_000_000, 1_000_000).map(float),
    st.none() | st.sampled_from(["", "a", "b", "ä", "zz"]),
    st.integers(-1000, 1000).map(lambda thousandths: thousandths / 1000),
    st.sampled_from(["x", "y"]),
)


@given(rows=st.lists(CELLS, min_size=4, max_size=30), combination=st.sampled_from(FILLED))
def test_the_shape_said_before_is_the_shape_that_comes(rows: list[tuple[Any, ...]], combination: tuple[str, str, str]) -> None:
    rows = [(0.5, "a", 0.0, "x"), *rows]
    dataset, spec = _dataset(rows), _spec(*combination)
    split = prepare(spec, dataset, _division(dataset, len(rows) - 2), np.float32)
    assert split.val is not None
    expected = prepared_shape(spec, dataset, np.arange(len(rows) - 2))
    assert split.train.x.shape[1:] == split.val.x.shape[1:] == split.state.input_shape == expected
    assert np.isfinite(split.train.x).all()
    assert np.isfinite(split.val.x).all()


def test_a_value_unimaginably_far_from_the_training_rows_is_named() -> None:
    """B021: 1e-90 is a scale like any other, and 1 over it is more than float32 holds."""
    rows = [(0.0, "a", 0.0, "x"), (1e-90, "a", 0.0, "x"), (1.0, "a", 0.0, "x")]
    with pytest.raises(OutOfRange, match=r"^row 3: input height is beyond what float32 holds"):
        prepare(_spec("standardize", "one_hot", "median"), _dataset(rows), _division(_dataset(rows), 2), np.float32)


SPLITS: dict[str, HoldoutSpec | PredefinedSpec] = {
    "holdout by rows": HoldoutSpec(name="holdout", by="rows", test_fraction=0.2),
    "holdout in file order": HoldoutSpec(name="holdout", by="rows", shuffle=False, test_fraction=0.2),
    "holdout by group": HoldoutSpec(name="holdout", by="group", test_fraction=0.2),
    "holdout by time": HoldoutSpec(name="holdout", by="time", test_fraction=0.2),
    "predefined": PredefinedSpec(name="predefined", val_fraction=0.2, by="rows"),
    "predefined by group": PredefinedSpec(name="predefined", val_fraction=0.2, by="group"),
    "predefined by time": PredefinedSpec(name="predefined", val_fraction=0.2, by="time"),
}


def _divided(rows: Sequence[Sequence[Any]]) -> Dataset:
    count = len(rows)
    return _dataset(
        rows, groups=np.arange(count) // 4, times=np.arange(count) * 7 % count, parts=np.where(np.arange(count) % 10 == 9, 2, 0)
    )


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(("features", "categories", "missing"), COMBINATIONS)
def test_what_is_not_trained_on_leaves_no_trace(features: str, categories: str, missing: str, split: str) -> None:
    """B006: other numbers, words never seen and gaps in the held-out rows change no bit of the training rows or the state."""
    draws = np.random.default_rng(0)
    has_gaps = missing != "reject"

    def row() -> list[Any]:
        cells: list[Any] = [draws.normal(), str(draws.choice(["f", "m"])), draws.normal(50, 9), str(draws.choice(["k", "p", "z"]))]
        return [None if has_gaps and i < 2 and draws.random() < 0.2 else cell for i, cell in enumerate(cells)]

    rows = [row() for _ in range(60)]
    dataset = _divided(rows)
    division = divide(SPLITS[split], dataset, 1)
    assert min(len(division.train), len(division.val), len(division.test)) > 0
    other = [list(one) for one in rows]
    for i in [*division.val, *division.test]:
        other[i] = [draws.normal() * 1e6, str(draws.choice(["a", "new", "zzz"])), -1e-9, str(draws.choice(["", "q"]))]
        if has_gaps:
            other[i][int(draws.integers(4))] = None
    changed = _divided(other)
    spec = _spec(features, categories, missing)
    first = prepare(spec, dataset, division, np.float32)
    second = prepare(spec, changed, divide(SPLITS[split], changed, 1), np.float32)
    assert first.train.x.tobytes() == second.train.x.tobytes()
    assert first.state.model_dump_json() == second.state.model_dump_json()
    assert first.val is not None
    assert second.val is not None
    assert not np.array_equal(first.val.x, second.val.x)

"""Preparation of rows. Everything learned is learned from the training rows and applied to all parts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from data.counting import counted
from data.dataset import Array, Column, Dataset, DatasetInfo
from data.later import Later
from data.preprocessing.apply import UNKNOWN, apply, filled, in_unit_range
from data.preprocessing.spec import PreprocessingSpec
from data.preprocessing.state import CategoryColumn, GridPreparation, NumberColumn, Preparation, TablePreparation, Target
from data.splits.build import Division

impute, preprocessing = Later("sklearn.impute"), Later("sklearn.preprocessing")
_CHUNK = 4096
"""Rows prepared at once: bounds the float64 copies, whatever the size of the dataset."""


class UnfitRows(ValueError):
    """Rows that cannot be prepared as the spec asks."""


class MissingValues(UnfitRows):
    """Values are missing in a way that the spec does not provide for."""


class OutOfRange(UnfitRows):
    """A prepared value is beyond what the precision holds: the raw one lies unimaginably far from the training rows'."""


@dataclass(frozen=True, kw_only=True)
class PreparedPart:
    """Rows ready for a network: `x` [n, *input_shape], `y` [n] int64 class or standardised float64 target."""

    x: Array
    y: Array


@dataclass(frozen=True, kw_only=True)
class PreparedSplit:
    """The three parts, and what was learned from the first to prepare them all."""

    train: PreparedPart
    val: PreparedPart | None
    test: PreparedPart | None
    state: Preparation


def prepare(spec: PreprocessingSpec, dataset: Dataset, division: Division, dtype: type[np.float32] | type[np.float64]) -> PreparedSplit:
    """Learn from the training rows, then prepare all parts.

    Raises:
        MissingValues: a value is missing where the spec rejects it, or a column has none in the training rows.
        OutOfRange: a prepared value is not finite.
    """
    state = learn(spec, dataset, division.train)

    def part(rows: Array) -> PreparedPart | None:
        if len(rows) == 0:
            return None
        y = dataset.y[rows]
        if dataset.info.task == "regression":
            y = (y - state.target.offset) / state.target.scale
        return PreparedPart(x=prepare_rows(state, dataset, rows, dtype), y=y)

    train = part(division.train)
    if train is None:
        raise ValueError("a split without training rows")
    return PreparedSplit(train=train, val=part(division.val), test=part(division.test), state=state)


def prepare_rows(state: Preparation, dataset: Dataset, rows: Array, dtype: type[np.float32] | type[np.float64]) -> Array:
    """Prepare rows [n, *input_shape] as was learned before.

    Raises:
        OutOfRange: a prepared value is not finite.
    """
    codes = (
        None
        if not isinstance(state.inputs, TablePreparation)
        else [_positions(dataset.info, i, c) for i, c in enumerate(state.inputs.columns)]
    )
    x = np.empty((len(rows), *state.input_shape), dtype=dtype)
    for start in range(0, len(rows), _CHUNK):
        raw = dataset.x[rows[start : start + _CHUNK]]
        with np.errstate(over="ignore"):
            x[start : start + _CHUNK] = apply(state, raw if codes is None else _recoded(raw, codes))
    _check_range(x, rows, state)
    return x


def _check_range(x: Array, rows: Array, state: Preparation) -> None:
    for start in range(0, len(x), _CHUNK):
        strange = ~np.isfinite(x[start : start + _CHUNK])
        if strange.any():
            at = np.argwhere(strange)[0]
            name = f"input {state.inputs.input_names[at[1]]}" if isinstance(state.inputs, TablePreparation) else "the input"
            message = f"row {rows[start + at[0]] + 1}: {name} is beyond what {x.dtype} holds once it is prepared"
            raise OutOfRange(f"{message}; the value lies too far from those of the training rows")


def learn(spec: PreprocessingSpec, dataset: Dataset, train: Array) -> Preparation:
    """Learn from the training rows `train` (indices).

    Raises:
        MissingValues: as `prepare`.
    """
    info = dataset.info
    inputs = _learn_table(spec, dataset, train) if info.kind == "table" else _learn_grid(spec, dataset, train)
    offset, scale = 0.0, 1.0
    if info.task == "regression" and spec.target == "standardize":
        y = dataset.y[train]
        offset, scale = float(y.mean()), float(y.std()) or 1.0
    target = Target(name=info.target_name, task=info.task, labels=info.class_labels, offset=offset, scale=scale, unit=info.target_unit)
    return Preparation(inputs=inputs, target=target)


def prepared_shape(spec: PreprocessingSpec, dataset: Dataset, train: Array) -> tuple[int, ...]:
    """Give the shape of a prepared row, reading only the columns that decide it: words, and numbers whose absence is indicated."""
    info = dataset.info
    if info.kind != "table":
        return info.input_shape if spec.resize is None else (info.input_shape[0], *spec.resize)
    width = 0
    for i, column in enumerate(info.columns or ()):
        if column.kind == "category" and spec.categories == "one_hot":
            width += len(_training_words(dataset.column(i)[train])) + 1
        else:
            width += 1
        if column.kind != "category" and spec.missing == "indicator" and column.num_missing:
            width += int(np.isnan(dataset.column(i)[train]).any())
    return (width,)


def _learn_table(spec: PreprocessingSpec, dataset: Dataset, train: Array) -> TablePreparation:
    found: list[NumberColumn | CategoryColumn] = []
    for i, column in enumerate(dataset.info.columns or ()):
        values = dataset.x[train, i].astype(np.float64)
        _check_missing(spec, column, values)
        found.append(_category(spec, column, values) if column.kind == "category" else _number(spec, column, values))
    return TablePreparation(columns=_scaled(spec, dataset, train, found))


def _check_missing(spec: PreprocessingSpec, column: Column, values: Array) -> None:
    if spec.missing == "reject" and column.num_missing:
        message = f"column {column.name} lacks {counted(column.num_missing, 'value')} (first in row {column.first_missing_row})"
        raise MissingValues(f"{message}: set preprocessing.missing to median, most_frequent or indicator")
    if np.isnan(values).all():
        raise MissingValues(f"column {column.name} has no value in the training rows: leave it out of the features")


def _number(spec: PreprocessingSpec, column: Column, values: Array) -> NumberColumn:
    fill = None
    if spec.missing != "reject":
        strategy = "most_frequent" if spec.missing == "most_frequent" else "median"
        fill = float(impute.SimpleImputer(strategy=strategy).fit(values.reshape(-1, 1)).statistics_[0])
    indicator = spec.missing == "indicator" and bool(np.isnan(values).any())
    return NumberColumn(name=column.name, order=column.categories or None, fill=fill, indicator=indicator, offset=0.0, scale=1.0)


def _category(spec: PreprocessingSpec, column: Column, values: Array) -> CategoryColumn:
    words = _training_words(values)
    fill = None
    if spec.missing == "indicator":
        fill = UNKNOWN
    elif spec.missing != "reject":
        present = values[~np.isnan(values)]
        fill = int(np.searchsorted(words, impute.SimpleImputer(strategy="most_frequent").fit(present.reshape(-1, 1)).statistics_[0]))
    categories = tuple(column.categories[int(word)] for word in words)
    return CategoryColumn(name=column.name, categories=categories, encoding=spec.categories, fill=fill, offset=0.0, scale=1.0)


def _training_words(values: Array) -> Array:
    """List the category indices that occur, in order: `categories` are sorted, so this is alphabetical."""
    return np.unique(values[~np.isnan(values)])


def _scaled(
    spec: PreprocessingSpec, dataset: Dataset, train: Array, columns: list[NumberColumn | CategoryColumn]
) -> tuple[NumberColumn | CategoryColumn, ...]:
    """Learn offset and scale of each column that is a number by now, after imputation."""
    numeric = [i for i, column in enumerate(columns) if isinstance(column, NumberColumn) or column.encoding == "ordinal"]
    if spec.features == "none" or not numeric:
        return tuple(columns)
    codes = [_positions(dataset.info, i, columns[i]) for i in range(len(columns))]

    def chunks() -> Iterator[Array]:
        for start in range(0, len(train), _CHUNK):
            raw = _recoded(dataset.x[train[start : start + _CHUNK]], codes)
            yield np.column_stack([filled(columns[i], raw[:, i]) for i in numeric])

    offsets, scales = _learned_scale(spec, chunks())
    for i, offset, scale in zip(numeric, offsets, scales, strict=True):
        columns[i] = columns[i].model_copy(update={"offset": offset, "scale": scale})
    return tuple(columns)


def _positions(info: DatasetInfo, i: int, column: NumberColumn | CategoryColumn) -> Array | None:
    """Give for each category of the dataset its position among those of the training rows, -1 for those not among them."""
    if isinstance(column, NumberColumn):
        return None
    encoder = preprocessing.OrdinalEncoder(
        categories=[list(column.categories)], handle_unknown="use_encoded_value", unknown_value=UNKNOWN, dtype=np.float64
    )
    words = np.array((info.columns or ())[i].categories, dtype=object).reshape(-1, 1)
    positions: Array = encoder.fit(np.array(column.categories, dtype=object).reshape(-1, 1)).transform(words)[:, 0]
    return positions


def _recoded(raw: Array, codes: list[Array | None]) -> Array:
    """Turn indices of a dataset's categories into positions among those of the training rows."""
    out = raw.astype(np.float64)  # a copy
    for i, positions in enumerate(codes):
        if positions is not None:
            absent = np.isnan(out[:, i])
            out[:, i] = np.where(absent, np.nan, positions[np.where(absent, 0, out[:, i]).astype(np.int64)])
    return out


def _learn_grid(spec: PreprocessingSpec, dataset: Dataset, train: Array) -> GridPreparation:
    info = dataset.info
    assert info.kind != "table"
    channels = info.input_shape[0]
    plain = GridPreparation(
        kind=info.kind, shape=info.input_shape, unit=dataset.x_unit, resize=spec.resize, offset=(0.0,) * channels, scale=(1.0,) * channels
    )
    if spec.features == "none":
        return plain

    def chunks() -> Iterator[Array]:
        for start in range(0, len(train), _CHUNK):
            x = in_unit_range(plain, dataset.x[train[start : start + _CHUNK]])
            yield np.moveaxis(x, 1, -1).reshape(-1, channels)

    offsets, scales = _learned_scale(spec, chunks())
    return plain.model_copy(update={"offset": offsets, "scale": scales})


def _learned_scale(spec: PreprocessingSpec, chunks: Iterator[Array]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Give offset and scale per column: a prepared value is (value - offset) / scale."""
    match spec.features:
        case "standardize":
            standard = preprocessing.StandardScaler()
            for chunk in chunks:
                standard.partial_fit(chunk)
            return tuple(standard.mean_.tolist()), tuple(standard.scale_.tolist())
        case "min_max":
            extent = preprocessing.MinMaxScaler()
            for chunk in chunks:
                extent.partial_fit(chunk)
            return tuple(extent.data_min_.tolist()), tuple(np.where(extent.data_range_ > 0, extent.data_range_, 1.0).tolist())
        case "none":
            raise ValueError("nothing is scaled")
        case _:
            assert_never(spec.features)

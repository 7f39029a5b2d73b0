"""Preparation of rows. Everything learned is learned from the training rows and applied to all parts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.preprocessing import StandardScaler

from data.dataset import Array, Dataset
from data.preprocessing.spec import PreprocessingSpec
from data.splits.build import Division

_CHUNK = 4096
"""Rows prepared at once: bounds the float64 copies, whatever the size of the dataset."""


@dataclass(frozen=True, kw_only=True)
class PreparedPart:
    """Rows ready for a network: `x` [n, *input_shape], `y` [n] int64 class or standardised float64 target."""

    x: Array
    y: Array


@dataclass(frozen=True, kw_only=True)
class PreparedSplit:
    """The three parts. A standardised target times `target_scale` plus the mean in `state` is in original units.

    `state` is JSON-ready: what was learned, per feature of a table or channel of an image.
    """

    train: PreparedPart
    val: PreparedPart | None
    test: PreparedPart | None
    target_scale: float
    state: dict[str, Any]


def prepare(spec: PreprocessingSpec, dataset: Dataset, division: Division, dtype: type[np.float32] | type[np.float64]) -> PreparedSplit:
    """Scale images to [0, 1], then standardise features and a numeric target as asked."""
    features = _Features(dataset)
    scaler = features.learn(division.train) if spec.features == "standardize" else None
    target_mean, target_scale = _learn_target(spec, dataset, division.train)

    def part(rows: Array) -> PreparedPart | None:
        if len(rows) == 0:
            return None
        y = dataset.y[rows]
        if dataset.info.task == "regression":
            y = (y - target_mean) / target_scale
        return PreparedPart(x=features.apply(rows, scaler, dtype), y=y)

    train = part(division.train)
    if train is None:
        raise ValueError("a split without training rows")
    state = {
        "x_unit": dataset.x_unit,
        "feature_mean": None if scaler is None else scaler.mean_.tolist(),
        "feature_scale": None if scaler is None else scaler.scale_.tolist(),
        "target_mean": target_mean,
        "target_scale": target_scale,
    }
    return PreparedSplit(train=train, val=part(division.val), test=part(division.test), target_scale=target_scale, state=state)


class _Features:
    """Rows seen as [n * positions, features]: a feature is a column of a table or a channel of an image."""

    def __init__(self, dataset: Dataset) -> None:
        self._x = dataset.x
        self._unit = dataset.x_unit
        self._is_table = dataset.x.ndim == 2

    def learn(self, rows: Array) -> StandardScaler:
        """Mean and population standard deviation; a constant feature gets scale 1."""
        scaler = StandardScaler()
        for start in range(0, len(rows), _CHUNK):
            scaler.partial_fit(self._columns(self._raw(rows[start : start + _CHUNK])))
        return scaler

    def apply(self, rows: Array, scaler: StandardScaler | None, dtype: type[np.float32] | type[np.float64]) -> Array:
        out = np.empty((len(rows), *self._x.shape[1:]), dtype=dtype)
        for start in range(0, len(rows), _CHUNK):
            raw = self._raw(rows[start : start + _CHUNK])
            out[start : start + _CHUNK] = raw if scaler is None else self._rows(scaler.transform(self._columns(raw)), raw.shape)
        return out

    def _raw(self, rows: Array) -> Array:
        return self._x[rows].astype(np.float64) / self._unit

    def _columns(self, raw: Array) -> Array:
        return raw if self._is_table else np.moveaxis(raw, 1, -1).reshape(-1, raw.shape[1])

    def _rows(self, columns: Array, shape: tuple[int, ...]) -> Array:
        return columns if self._is_table else np.moveaxis(columns.reshape(shape[0], *shape[2:], shape[1]), -1, 1)


def _learn_target(spec: PreprocessingSpec, dataset: Dataset, train: Array) -> tuple[float, float]:
    if dataset.info.task == "classification" or spec.target == "none":
        return 0.0, 1.0
    y = dataset.y[train]
    deviation = float(y.std())
    return float(y.mean()), deviation if deviation > 0 else 1.0

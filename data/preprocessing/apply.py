"""From raw rows to a network's inputs, by what was learned. The same few lines prepare training rows and rows to predict."""

from typing import assert_never

import numpy as np
from PIL import Image

from data.dataset import Array
from data.preprocessing.state import CategoryColumn, GridPreparation, NumberColumn, Preparation, TablePreparation

UNKNOWN = -1


class Unprepared(ValueError):
    """A value that this preparation does not accept: a missing one where none was imputed. `column` names it, `row` counts from 0."""

    def __init__(self, row: int, column: str) -> None:
        """Say where it stands."""
        super().__init__(f"row {row + 1} has no value for {column}, and this model was trained to accept none missing")
        self.row = row
        self.column = column


def apply(preparation: Preparation, raw: Array) -> Array:
    """Prepare rows [n, columns] or [n, *shape] in raw units; float64 [n, *input_shape].

    In tables NaN is a missing value, and words are positions in their column's `categories`, or -1 for any other word.

    Raises:
        Unprepared: a value is missing where none is accepted.
    """
    match preparation.inputs:
        case TablePreparation():
            return _table(preparation.inputs, raw)
        case GridPreparation():
            return _grid(preparation.inputs, raw)
        case _:
            assert_never(preparation.inputs)


def filled(column: NumberColumn | CategoryColumn, values: Array) -> Array:
    """Put what stands for missing values in their place, [n]."""
    absent = np.isnan(values)
    if not absent.any():
        return values
    if column.fill is None:
        raise Unprepared(int(np.flatnonzero(absent)[0]), column.name)
    return np.where(absent, float(column.fill), values)


def resized(x: Array, size: tuple[int, int]) -> Array:
    """Bring images [n, C, H, W] in [0, 1] to a size [height, width]; bilinear, antialiased where they shrink."""
    height, width = size
    out = np.empty((*x.shape[:2], height, width))
    for i, image in enumerate(x):
        for c, channel in enumerate(image):
            out[i, c] = Image.fromarray(channel.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    return out


def in_unit_range(inputs: GridPreparation, raw: Array) -> Array:
    """Divide by the unit and resize; float64."""
    x = raw.astype(np.float64) / inputs.unit
    return x if inputs.resize is None else resized(x, inputs.resize)


def _grid(inputs: GridPreparation, raw: Array) -> Array:
    x = in_unit_range(inputs, raw)
    broadcast = (-1, *[1] * (x.ndim - 2))
    offset, scale = (np.array(one).reshape(broadcast) for one in (inputs.offset, inputs.scale))
    return np.asarray((x - offset) / scale)


def _table(inputs: TablePreparation, raw: Array) -> Array:
    out = np.empty((len(raw), len(inputs.input_names)))
    at = 0
    for i, column in enumerate(inputs.columns):
        values = filled(column, raw[:, i])
        if isinstance(column, CategoryColumn) and column.encoding == "one_hot":
            width = len(column.categories) + 1
            positions = values.astype(np.int64)
            out[:, at : at + width] = np.eye(width)[np.where(positions == UNKNOWN, width - 1, positions)]
            at += width
        else:
            out[:, at] = (values - column.offset) / column.scale
            at += 1
    for i, column in enumerate(inputs.columns):
        if isinstance(column, NumberColumn) and column.indicator:
            out[:, at] = np.isnan(raw[:, i])
            at += 1
    return out

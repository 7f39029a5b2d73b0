"""What preparation has learned: JSON that is stored with the model, and all that serving needs.

A prepared number is (value - offset) / scale, computed in float64. `apply.py` is the one place that does it, for training
and for predictions alike.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from data.dataset import Task


class _State(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NumberColumn(_State):
    """A column of numbers, or of words in the `order` that makes them 0, 1, 2, ... `fill` stands for a missing value (None: none is accepted); `indicator` adds an input that is 1 where one was missing."""

    kind: Literal["number"] = "number"
    name: str
    order: tuple[str, ...] | None = None
    fill: float | None
    indicator: bool
    offset: float
    scale: float


class CategoryColumn(_State):
    """A column of words. `categories` are those of the training rows, in order; whatever else comes is unknown.

    one_hot: an input for each category and a last one for unknown. ordinal: one input, (position - offset) / scale, unknown
    being position -1. `fill` is the position that stands for a missing word: None if none is accepted, -1 if it is unknown.
    """

    kind: Literal["category"] = "category"
    name: str
    categories: tuple[str, ...]
    encoding: Literal["one_hot", "ordinal"]
    fill: int | None
    offset: float
    scale: float


class TablePreparation(_State):
    """Columns in order. Inputs are those of each column in turn, then one for each indicator, in order of columns."""

    kind: Literal["table"] = "table"
    columns: tuple[Annotated[NumberColumn | CategoryColumn, Field(discriminator="kind")], ...]

    @property
    def input_names(self) -> tuple[str, ...]:
        """Name every input of the network."""
        names: list[str] = []
        for column in self.columns:
            if isinstance(column, CategoryColumn) and column.encoding == "one_hot":
                names += [*(f"{column.name}={word}" for word in column.categories), f"{column.name} unknown"]
            else:
                names.append(column.name)
        names += [f"{column.name} missing" for column in self.columns if isinstance(column, NumberColumn) and column.indicator]
        return tuple(names)


class GridPreparation(_State):
    """Signals, images or volumes of `shape` [C, *axes]: divided by `unit`, resized if asked, then scaled per channel."""

    kind: Literal["signal", "image", "volume"]
    shape: tuple[int, ...]
    unit: float
    resize: tuple[int, int] | None
    offset: tuple[float, ...]
    scale: tuple[float, ...]


class Target(_State):
    """What outputs mean: classes in the order of the outputs, or a number, output * scale + offset."""

    name: str
    task: Task
    labels: tuple[str, ...] | None
    offset: float
    scale: float
    unit: str | None


class Preparation(_State):
    """Everything between a raw row and the network, and between its output and an answer."""

    version: Literal[1] = 1
    inputs: Annotated[TablePreparation | GridPreparation, Field(discriminator="kind")]
    target: Target

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Give the shape of a prepared row."""
        if isinstance(self.inputs, TablePreparation):
            return (len(self.inputs.input_names),)
        if self.inputs.resize is None:
            return self.inputs.shape
        return (self.inputs.shape[0], *self.inputs.resize)

"""Rows that a client sends, read against what the model was trained on, and the model's answers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from api.errors import ProblemDetail, ProblemError
from api.kept import KeptModel
from data.dataset import Array
from data.preprocessing.apply import UNKNOWN, Unprepared, apply
from data.preprocessing.state import CategoryColumn, GridPreparation, NumberColumn, TablePreparation
from data.uploads.labels import number_label
from data.uploads.problems import shown

Row = Mapping[str, Any] | Sequence[Any]
_MAX_FAULTS = 20
_FAR = 100
"""Prepared numbers beyond it are no rows like those of training: a hundred deviations, or a hundred times their range."""


class _Faults:
    """Gathers what is wrong with rows, by pointer."""

    def __init__(self) -> None:
        self.found: list[ProblemDetail] = []

    def add(self, row: int, column: str | None, code: str, message: str) -> None:
        tail = "" if column is None else "/" + column.replace("~", "~0").replace("/", "~1")
        self.found.append(ProblemDetail(pointer=f"/rows/{row}{tail}", code=code, message=message))

    def check(self) -> None:
        """Raise what was found, if anything was."""
        if self.found:
            shown = self.found[:_MAX_FAULTS]
            more = f" ({len(self.found)} faults)" if len(self.found) > 1 else ""
            raise ProblemError(422, "invalid_rows", f"{shown[0].pointer}: {shown[0].message}{more}", errors=shown)


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """Outputs of rows (see `KeptModel.outputs`), and the rows that lie far from all training rows."""

    outputs: Array
    far: Array


def predicted(model: KeptModel, rows: Sequence[Row]) -> tuple[Array, list[str]]:
    """Give the model's outputs for raw rows (see `KeptModel.outputs`), and what its user should know of them.

    Raises:
        ProblemError: 422, a row is not as the training rows were.
    """
    raw, warnings = read_rows(model.preparation.inputs, rows)
    found = answer(model, raw)
    if len(found.far):
        first = found.far[0] + 1
        warnings = [
            *warnings,
            f"{len(found.far)} rows lie far from all training rows (the first is row {first}): their answers mean little",
        ]
    return found.outputs, warnings


def read_rows(inputs: TablePreparation | GridPreparation, rows: Sequence[Row]) -> tuple[Array, list[str]]:
    """Read rows as `data.preprocessing.apply.apply` takes them, and say which words are unknown.

    Raises:
        ProblemError: 422, a row is not as the training rows were.
    """
    return _table(inputs, rows) if isinstance(inputs, TablePreparation) else (_grid(inputs, rows), [])


def answer(model: KeptModel, raw: Array, first: int = 0) -> Answer:
    """Let a model answer for rows that were read, numbered from `first`.

    Raises:
        ProblemError: 422, a value is missing where none may be, or so large that the output is not finite.
    """
    try:
        prepared = apply(model.preparation, raw)
    except Unprepared as fault:
        faults = _Faults()
        message = f"{fault.column} has no value, and the model was trained to accept none missing"
        faults.add(first + fault.row, fault.column, "missing_value", message)
        faults.check()
        raise
    with np.errstate(over="ignore"):
        outputs = model.outputs(prepared)
    strange = ~np.isfinite(outputs.reshape(len(outputs), -1)).all(axis=1)
    if strange.any():
        faults = _Faults()
        for row in np.flatnonzero(strange).tolist():
            faults.add(first + row, None, "not_finite", "its values are so large that the network's output is not finite")
        faults.check()
    is_far = _is_scaled(model.preparation.inputs) & (np.abs(prepared.reshape(len(prepared), -1)) > _FAR).any(axis=1)
    return Answer(outputs=outputs, far=first + np.flatnonzero(is_far))


def _is_scaled(inputs: TablePreparation | GridPreparation) -> bool:
    """Tell whether prepared numbers are measured by those of the training rows."""
    if isinstance(inputs, GridPreparation):
        return any(scale != 1 for scale in inputs.scale)
    return any(column.scale != 1 for column in inputs.columns)


def _table(inputs: TablePreparation, rows: Sequence[Row]) -> tuple[Array, list[str]]:
    faults, unknown = _Faults(), dict[str, Counter[str]]()
    raw = np.full((len(rows), len(inputs.columns)), np.nan)
    names = {column.name: i for i, column in enumerate(inputs.columns)}
    for r, row in enumerate(rows):
        for name, value in _cells(row, r, list(names), faults):
            if value is not None and value != "":
                raw[r, names[name]] = _cell(inputs.columns[names[name]], value, r, faults, unknown)
    faults.check()
    return raw, [
        f"{words.total()} words of column {name} did not occur in the training rows and are taken as unknown: {', '.join(map(shown, list(words)[:3]))}"
        for name, words in unknown.items()
    ]


def _cells(row: Row, r: int, names: list[str], faults: _Faults) -> list[tuple[str, Any]]:
    """Give a row's values by column; a list holds them in the columns' order."""
    if isinstance(row, Mapping):
        known = set(names)
        for name in row:
            if name not in known:
                faults.add(r, name, "unknown_column", f"the model was trained without such a column; it has {', '.join(names[:20])}")
        return [(name, value) for name, value in row.items() if name in known]
    if len(row) != len(names):
        faults.add(r, None, "wrong_length", f"{len(row)} values for {len(names)} columns: {', '.join(names[:20])}")
        return []
    return list(zip(names, row, strict=True))


def _cell(column: NumberColumn | CategoryColumn, value: Any, r: int, faults: _Faults, unknown: dict[str, Counter[str]]) -> float:
    """Read a value as the model's preparation wants it; NaN where a fault was noted."""
    if isinstance(column, NumberColumn) and column.order is None:
        return _number(column.name, value, r, faults)
    words = column.categories if isinstance(column, CategoryColumn) else column.order or ()
    word = _word(value)
    if word in words:
        return float(words.index(word))
    if word is not None and isinstance(column, CategoryColumn):
        unknown.setdefault(column.name, Counter())[word] += 1
        return UNKNOWN
    faults.add(r, column.name, "not_a_word" if word is None else "unknown_word", f"{column.name} is one of {', '.join(words[:20])}")
    return np.nan


def _number(name: str, value: Any, r: int, faults: _Faults) -> float:
    try:
        if not isinstance(value, bool) and isinstance(value, int | float):
            return float(value)
    except OverflowError:
        pass
    faults.add(r, name, "not_a_number", f"{name} holds numbers of 64 bits, not {shown(str(value))}")
    return np.nan


def _word(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_label(float(value)) if abs(value) < 1e300 else None
    return value.strip() if isinstance(value, str) else None


def _grid(inputs: GridPreparation, rows: Sequence[Row]) -> Array:
    faults = _Faults()
    raw = np.empty((len(rows), *inputs.shape))
    for r, row in enumerate(rows):
        values = None if isinstance(row, Mapping) else _numbers(row)
        if values is None:
            faults.add(r, None, "not_numbers", f"a row is {list(inputs.shape)} numbers, in nested lists")
        elif values.shape != inputs.shape:
            faults.add(r, None, "wrong_shape", f"shape {list(values.shape)}, not {list(inputs.shape)}")
        else:
            raw[r] = values
    faults.check()
    return raw


def _numbers(row: Sequence[Any]) -> Array | None:
    """Read nested lists of numbers; None if they are ragged or hold anything else."""
    try:
        values = np.array(row)
    except ValueError:
        return None
    return values.astype(np.float64) if values.dtype.kind in "iuf" else None

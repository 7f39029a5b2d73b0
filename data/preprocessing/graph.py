"""Preparation as ONNX nodes: what `apply` does, in float64 as there, on rows that several preparations have in common."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

import numpy as np
from onnx import TensorProto

from data.dataset import Array
from data.preprocessing.apply import UNKNOWN
from data.preprocessing.state import CategoryColumn, GridPreparation, NumberColumn, Preparation, TablePreparation
from data.preprocessing.together import places
from models.graph import Graph


@dataclass(frozen=True, kw_only=True)
class CommonRows:
    """Nodes on raw rows that are there once, for all preparations.

    `rows` is float64: of tables [n, columns], NaN missing, words as positions among the words in common and anything else an
    unknown one; of all else [n, C, *axes] in units of [0, 1], already resized. What follows is of tables only.

    `order` lists columns as later values have them: numbers, then words. `missing` is bool [n, columns], `numbers` float64
    [n, numbers]. `words` is int64 [n, words]: every column of words has a table of its words and of unknown, all laid end
    to end, and this is a place in it.
    """

    inputs: TablePreparation | GridPreparation
    rows: str
    order: tuple[int, ...] = ()
    missing: str = ""
    numbers: str | None = None
    words: str | None = None


@dataclass(frozen=True)
class _Input:
    """One input of a network: a column's number in standard units, whether it is the word at `word`, or whether it is missing."""

    kind: Literal["scaled", "is_word", "is_missing"]
    column: int
    word: int = UNKNOWN


def common_rows(graph: Graph, inputs: TablePreparation | GridPreparation, rows: str) -> CommonRows:
    """Read `rows` as `inputs` describes them, once."""
    if isinstance(inputs, GridPreparation):
        return CommonRows(inputs=inputs, rows=rows)
    numbers = [i for i, column in enumerate(inputs.columns) if isinstance(column, NumberColumn)]
    words = [i for i, column in enumerate(inputs.columns) if isinstance(column, CategoryColumn)]
    order = (*numbers, *words)
    ordered = graph.add("Gather", [rows, graph.integers("rows.order", order)], "rows.ordered", axis=1)
    return CommonRows(
        inputs=inputs,
        rows=rows,
        order=order,
        missing=graph.add("IsNaN", [ordered], "rows.missing"),
        numbers=graph.add("Gather", [rows, graph.integers("rows.number_columns", numbers)], "rows.numbers", axis=1) if numbers else None,
        words=_word_places(graph, inputs, rows, words) if words else None,
    )


def _word_places(graph: Graph, inputs: TablePreparation, rows: str, columns: Sequence[int]) -> str:
    sizes = np.array([len(_words(inputs, i)) for i in columns])
    ends = graph.constant("words.sizes", sizes.astype(np.float64))
    found = graph.add("Gather", [rows, graph.integers("words.columns", columns)], "words.given", axis=1)
    zero = graph.constant("words.zero", np.zeros((), np.float64))
    known = [graph.add("GreaterOrEqual", [found, zero], "words.not_below"), graph.add("Less", [found, ends], "words.below")]
    place = graph.add("Where", [graph.add("And", known, "words.known"), found, ends], "words.place")  # NaN is not known
    starts = graph.integers("words.starts", (np.cumsum(sizes + 1) - sizes - 1).tolist())
    return graph.add("Add", [graph.add("Cast", [place], "words.whole", to=TensorProto.INT64), starts], "words.at")


def _words(inputs: TablePreparation, column: int) -> tuple[str, ...]:
    found = inputs.columns[column]
    assert isinstance(found, CategoryColumn)
    return found.categories


def prepared(graph: Graph, common: CommonRows, own: Preparation) -> str:
    """Write how one preparation prepares the rows in common; give the name of float32 [n, *own.input_shape].

    A missing value that it does not accept counts as 0, or as unknown: see `refused`.
    """
    match own.inputs:
        case GridPreparation():
            found = _grid(graph, common.rows, own.inputs)
        case TablePreparation():
            found = _table(graph, common, own.inputs)
        case _:
            assert_never(own.inputs)
    return graph.add("Cast", [found], "prepared", to=TensorProto.FLOAT)


def refused(graph: Graph, common: CommonRows, preparations: Sequence[Preparation]) -> str | None:
    """Write which rows lack a value that one of the preparations does not accept missing, bool [n, 1]; None if all accept all."""
    tables = [one.inputs for one in preparations if isinstance(one.inputs, TablePreparation)]
    strict = [at for at, i in enumerate(common.order) if any(table.columns[i].fill is None for table in tables)]
    if not strict:
        return None
    found = graph.add("Gather", [common.missing, graph.integers("refused.columns", strict)], "refused.missing", axis=1)
    counted = graph.add("Cast", [found], "refused.counted", to=TensorProto.INT64)
    most = graph.add("ReduceMax", [counted, graph.integers("refused.axes", [1])], "refused.any", keepdims=1)
    return graph.add("Cast", [most], "refused", to=TensorProto.BOOL)


def _grid(graph: Graph, rows: str, own: GridPreparation) -> str:
    shape = (-1, *[1] * (len(own.shape) - 1))
    offset, scale = (np.array(one, dtype=np.float64).reshape(shape) for one in (own.offset, own.scale))
    centred = graph.add("Sub", [rows, graph.constant("prepare.offset", offset)], "prepare.centred")
    return graph.add("Div", [centred, graph.constant("prepare.scale", scale)], "prepare.scaled")


def _table(graph: Graph, common: CommonRows, own: TablePreparation) -> str:
    parts = [] if common.numbers is None else [common.numbers]
    if common.words is not None:
        parts.append(graph.add("Gather", [graph.constant("prepare.words", _tables(common, own)), common.words], "prepare.positions"))
    values = parts[0] if len(parts) == 1 else graph.add("Concat", parts, "prepare.values", axis=1)
    fill = np.array([own.columns[i].fill or 0.0 for i in common.order], dtype=np.float64)
    filled = graph.add("Where", [common.missing, graph.constant("prepare.fill", fill), values], "prepare.filled")

    inputs, place = list(_inputs(own)), {column: at for at, column in enumerate(common.order)}
    written: list[str] = []
    positions: list[int] = []
    for kind in ("scaled", "is_word", "is_missing"):
        numbered = [(at, one) for at, one in enumerate(inputs) if one.kind == kind]
        if numbered:
            positions += [at for at, _ in numbered]
            source = common.missing if kind == "is_missing" else filled
            columns = graph.integers(f"prepare.{kind}_columns", [place[one.column] for _, one in numbered])
            taken = graph.add("Gather", [source, columns], f"prepare.{kind}_values", axis=1)
            written.append(_of_kind(graph, taken, own, [one for _, one in numbered]))
    joined = written[0] if len(written) == 1 else graph.add("Concat", written, "prepare.inputs", axis=1)
    if positions == sorted(positions):
        return joined
    return graph.add("Gather", [joined, graph.integers("prepare.order", np.argsort(positions).tolist())], "prepare.ordered", axis=1)


def _tables(common: CommonRows, own: TablePreparation) -> Array:
    """Give for each place in the tables of words in common the position among a preparation's own words."""
    found: list[Array] = []
    for i in common.order:
        shared, mine = common.inputs.columns[i], own.columns[i]  # type: ignore[union-attr]  # tables have columns
        if isinstance(shared, CategoryColumn) and isinstance(mine, CategoryColumn):
            found.append(np.append(places(shared, mine), UNKNOWN))
    return np.concatenate(found).astype(np.float64)


def _inputs(own: TablePreparation) -> Iterator[_Input]:
    """List a network's inputs in order, as `TablePreparation.input_names` does."""
    for i, column in enumerate(own.columns):
        if isinstance(column, CategoryColumn) and column.encoding == "one_hot":
            yield from (_Input("is_word", i, word) for word in (*range(len(column.categories)), UNKNOWN))
        else:
            yield _Input("scaled", i)
    yield from (_Input("is_missing", i) for i, column in enumerate(own.columns) if isinstance(column, NumberColumn) and column.indicator)


def _of_kind(graph: Graph, taken: str, own: TablePreparation, inputs: Sequence[_Input]) -> str:
    """Turn the values of the inputs' columns [n, inputs] into inputs of their kind, float64."""
    kind = inputs[0].kind
    match kind:
        case "scaled":
            offset, scale = (
                graph.constant(f"prepare.{name}", np.array([getattr(own.columns[one.column], name) for one in inputs], dtype=np.float64))
                for name in ("offset", "scale")
            )
            return graph.add("Div", [graph.add("Sub", [taken, offset], "prepare.centred"), scale], "prepare.scaled")
        case "is_word":
            words = graph.constant("prepare.word", np.array([one.word for one in inputs], dtype=np.float64))
            taken = graph.add("Equal", [taken, words], "prepare.matched")
        case "is_missing":
            pass
        case _:
            assert_never(kind)
    return graph.add("Cast", [taken], f"prepare.{kind}", to=TensorProto.DOUBLE)

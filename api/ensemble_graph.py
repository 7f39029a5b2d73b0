"""An ensemble as one ONNX graph: raw rows in, every member's preparation and network inside, the vote out.

Rows, preparations and votes are float64, as they are where predictions are served; the networks are float32, as they are alone.
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from api.kept import KeptModel
from data.preprocessing.graph import CommonRows, common_rows, prepared, refused
from data.preprocessing.state import GridPreparation, NumberColumn, Preparation, TablePreparation, Target
from data.preprocessing.together import in_common
from jobs.plans.results import ModelOf
from jobs.plans.votes import Vote
from models.graph import Graph, add_network, finished
from training.export import load_safetensors

_ROWS = {
    "table": "float64 [n, columns]: raw numbers, NaN where a value is missing, words as positions in `words` of their column; any other number is an unknown word",
    "signal": "float64 [n, channels, length]: raw values divided by `unit`",
    "image": "float64 [n, channels, height, width]: raw values divided by `unit`, then resized to `resize` (bilinear, antialiased) if it is not null",
    "volume": "float64 [n, channels, depth, height, width]: raw values divided by `unit`",
}


def ensemble_onnx(job_id: str, model: ModelOf, members: Sequence[KeptModel]) -> onnx.ModelProto:
    """Write members that vote, in the order of `model.fits`, as one graph.

    Input: `rows`, float64, n of 1 and more: raw, see the metadata `rows` and `columns`. Outputs, float64: `probabilities`
    [n, K], the votes, whose largest names the class (the first of equal ones), or `predictions` [n, 1] in original units.
    A row that lacks a value which the members do not accept missing is answered with NaN.

    Raises:
        Apart: the members do not read the same rows.
    """
    assert model.vote is not None
    preparations = [member.preparation for member in members]
    inputs, target = in_common(preparations), preparations[0].target
    graph = Graph()
    common = common_rows(graph, inputs, "rows")
    answers = [
        _member(graph.under(f"member_{number}.", load_safetensors(member.content)), common, member)
        for number, member in zip(model.fits, members, strict=True)
    ]
    name = "probabilities" if target.labels is not None else "predictions"
    not_accepted = refused(graph, common, preparations)
    voted = _voted(graph, answers, model.vote, model.weights, len(target.labels or ()), name if not_accepted is None else "voted")
    if not_accepted is not None:
        graph.add("Where", [not_accepted, graph.constant("refused.answer", np.full((), np.nan)), voted], name)
    width = len(target.labels or (None,))
    return finished(
        graph,
        "ensemble",
        [helper.make_tensor_value_info("rows", TensorProto.DOUBLE, ["n", *_row_shape(inputs, preparations[0])])],
        [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n", width])],
        _metadata(job_id, model, inputs, target),
    )


def _row_shape(inputs: TablePreparation | GridPreparation, first: Preparation) -> tuple[int, ...]:
    return (len(inputs.columns),) if isinstance(inputs, TablePreparation) else first.input_shape


def _member(graph: Graph, common: CommonRows, member: KeptModel) -> str:
    """Write what one member answers: float64 [n, K] or [n, 1], in original units."""
    own, target = member.preparation, member.preparation.target
    rows, width = prepared(graph, common, own), len(target.labels or (None,))
    if target.labels is not None:
        logits = add_network(graph, member.network, rows, own.input_shape, width, output="logits")
        return graph.add("Cast", [graph.add("Softmax", [logits], "softmax", axis=1)], "answer", to=TensorProto.DOUBLE)
    standardized = add_network(graph, member.network, rows, own.input_shape, width, output="standardized")
    number = graph.add("Cast", [standardized], "number", to=TensorProto.DOUBLE)
    scaled = graph.add("Mul", [number, graph.constant("target.scale", np.array(target.scale, dtype=np.float64))], "number.scaled")
    return graph.add("Add", [scaled, graph.constant("target.offset", np.array(target.offset, dtype=np.float64))], "answer")


def _voted(graph: Graph, answers: Sequence[str], vote: Vote, weights: Sequence[float] | None, num_classes: int, output: str) -> str:
    """Write `jobs.plans.votes.combined`, in its order of summation."""
    shares = np.ones(len(answers)) if weights is None else np.array(weights, dtype=np.float64)
    if vote == "median":
        return _median(graph, answers, shares, output)
    if vote == "hard":
        classes = graph.integers("vote.classes", range(num_classes))
        answers = [_named(graph, answer, classes) for answer in answers]
    if weights is not None:
        weighing = [graph.constant(f"vote.share{i}", np.array(share)) for i, share in enumerate(shares)]
        answers = [graph.add("Mul", [*pair], f"vote.weighted{i}") for i, pair in enumerate(zip(answers, weighing, strict=True))]
    return graph.add("Div", [graph.add("Sum", answers, "vote.sum"), graph.constant("vote.total", np.array(shares.sum()))], output)


def _named(graph: Graph, answer: str, classes: str) -> str:
    """Write 1 for the class that is named, the lowest of equal ones, and 0 for the others."""
    best = graph.add("ArgMax", [answer], f"{answer}.class", axis=1, keepdims=1)
    return graph.add("Cast", [graph.add("Equal", [best, classes], f"{answer}.is_class")], f"{answer}.named", to=TensorProto.DOUBLE)


def _median(graph: Graph, answers: Sequence[str], shares: np.ndarray, output: str) -> str:
    """Write the smallest answer that, with those below it, holds half of the weight."""
    answered = graph.add("Concat", answers, "vote.answers", axis=1)
    count = graph.integers("vote.count", [len(answers)])
    ascending, order = graph.add_many("TopK", [answered, count], ["vote.ascending", "vote.order"], axis=1, largest=0, sorted=1)
    ordered = graph.add("Gather", [graph.constant("vote.shares", shares), order], "vote.ordered")
    reached = graph.add("CumSum", [ordered, graph.constant("vote.axis", np.array(1, dtype=np.int64))], "vote.reached")
    total = graph.add("Gather", [reached, graph.integers("vote.last", [len(answers) - 1])], "vote.total", axis=1)
    half = graph.add("Mul", [total, graph.constant("vote.half", np.array(0.5))], "vote.needed")
    enough = graph.add("Cast", [graph.add("GreaterOrEqual", [reached, half], "vote.is_enough")], "vote.enough", to=TensorProto.INT32)
    first = graph.add("ArgMax", [enough], "vote.first", axis=1, keepdims=1)
    return graph.add("GatherElements", [ascending, first], output, axis=1)


def _metadata(job_id: str, model: ModelOf, inputs: TablePreparation | GridPreparation, target: Target) -> Mapping[str, str]:
    described: dict[str, object] = {
        "model": model.model_dump(mode="json"),
        "target": {"name": target.name, "unit": target.unit, "labels": target.labels},
    }
    if isinstance(inputs, TablePreparation):
        described["columns"] = [
            {"name": column.name, "words": column.order if isinstance(column, NumberColumn) else column.categories}
            for column in inputs.columns
        ]
    else:
        described |= {"unit": inputs.unit, "resize": inputs.resize}
    return {"job": job_id, "rows": _ROWS[inputs.kind], **{name: json.dumps(value, ensure_ascii=False) for name, value in described.items()}}

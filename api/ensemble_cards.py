"""A model card of several networks that vote: what they are, how well they do together and alone, and what is not known."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from api.cards import METRICS, data_lines, figure_text, limit_lines, one_line, recipe_lines, target_text
from api.choosing import Chosen
from data.dataset import DatasetInfo

_VOTES = {
    "soft": "the {weighted}mean of the members' class probabilities",
    "hard": "each class's {weighted}share of the members that name it",
    "mean": "the {weighted}mean of the members' numbers",
    "median": "the {weighted}median of the members' numbers",
}
_PARTS = ("train", "val", "test")


def ensemble_card(found: Chosen, info: DatasetInfo, layers: Sequence[str]) -> str:
    """Write the card of an ensemble in Markdown. `layers` are lines of the first member's layer table."""
    job, result = found.job, found.job.result or {}
    parameters = sum(fit.num_parameters for fit in found.fits)
    sections = [
        [f"# {one_line(job.name or job.id)}", "", _summary(found, info)],
        ["## Data", "", *data_lines(job, found.fits[0], info), _ROWS, *_test_rows(result)],
        ["## How well it does", "", *_figures(found, result), "", *_remarks(result)],
        ["## Members", "", *_members(found)],
        ["## What is not known", "", *_limits(found, info, result)],
        ["## Network", "", *layers, "", f"The first member's; {parameters} parameters in all {len(found.fits)}."],
        ["## How it was trained", "", *recipe_lines(job, found.fits[0])],
        ["## How to use it", "", *_use(found)],
    ]
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


_ROWS = "* rows are counted for the first member; every member prepares rows by what it learned from its own training rows"


def _test_rows(result: Mapping[str, Any]) -> Iterator[str]:
    if result.get("test"):
        yield f"* the ensemble measured {result.get('test_rows') or 'the'} test rows, which none of its members saw"


def _summary(found: Chosen, info: DatasetInfo) -> str:
    network, vote = found.job.spec["network"]["name"], found.model.vote
    answer = f"Its answer is {_VOTES[vote or 'soft'].format(weighted='' if found.model.weights is None else 'weighted ')}."
    return f"{len(found.fits)} networks of kind `{network}` that predict {target_text(info)}, by a {vote} vote. {answer} Job `{found.job.id}`, plan `{found.job.plan}`."


def _figures(found: Chosen, result: Mapping[str, Any]) -> Iterator[str]:
    """Write figures of the ensemble with their intervals beside those of its mean member."""
    parts = [part for part in _PARTS if result.get(part)]
    if not parts:
        yield "The result has no figures of the ensemble."
        return
    yield "| | " + " | ".join(f"ensemble, {part} | mean member, {part}" for part in parts) + " |"
    yield "| --- |" + " --- | --- |" * len(parts)
    for metric in METRICS:
        pairs = [(figure_text(result[part].get(metric)), figure_text(_mean_member(found, result, part, metric))) for part in parts]
        if any(cell for pair in pairs for cell in pair):
            yield f"| {metric} | " + " | ".join(cell or "-" for pair in pairs for cell in pair) + " |"
    yield ""
    yield "Intervals are 95 % bootstrap percentile intervals over rows. An ensemble's loss is that of its answer, not the mean of its members' losses."


def _mean_member(found: Chosen, result: Mapping[str, Any], part: str, metric: str) -> float | None:
    told = (result.get("mean_member") or {}).get(part)
    if told is not None:
        return told.get(metric)  # type: ignore[no-any-return]  # a stored result is JSON
    values = [((fit.evaluation or {}).get(part) or {}).get(metric) for fit in found.fits]
    known = [float(one["value"]) for one in values if isinstance(one, Mapping) and one.get("value") is not None]
    return float(np.mean(known)) if len(known) == len(found.fits) else None


def _remarks(result: Mapping[str, Any]) -> Iterator[str]:
    if result.get("sentence"):
        yield one_line(result["sentence"])
    for part, gain in (result.get("loss_gain") or {}).items():
        if gain:
            yield f"* the mean member's loss minus the ensemble's, {part}: {figure_text(gain)}"
    if result.get("disagreement") is not None:
        yield f"* disagreement of members: {figure_text(result['disagreement'])}"
    for name, words in (("out_of_bag", "out-of-bag"), ("not_drawn", "rows not drawn")):
        score = result.get(name)
        if score:
            figures = ", ".join(f"{metric} {figure_text(value)}" for metric, value in (score.get("figures") or {}).items())
            yield f"* {words} score: {figures or 'none, no row was left out'} ({score.get('rows')} rows, {score.get('coverage', 0):.1%} of the training rows)"


def _members(found: Chosen) -> Iterator[str]:
    weights = found.model.weights or [1.0] * len(found.fits)
    yield "| fit | label | seed | weight | epoch kept | parameters | train loss | val loss |"
    yield "| --- |" + " --- |" * 7
    for fit, weight in zip(found.fits, weights, strict=True):
        losses = [figure_text(((fit.evaluation or {}).get(part) or {}).get("loss")) or "-" for part in ("train", "val")]
        yield f"| {fit.number} | {one_line(fit.label)} | {fit.seed} | {weight:.4g} | {fit.kept_epoch} | {fit.num_parameters} | {' | '.join(losses)} |"


def _limits(found: Chosen, info: DatasetInfo, result: Mapping[str, Any]) -> Iterator[str]:
    if not result.get("test"):
        yield "* No test rows were measured: the validation rows also chose each member's epoch, so their figures are somewhat too good."
    if not result.get("val"):
        yield "* No validation rows were set aside: how well its members generalize was not watched while they were trained."
    if result.get("left_out"):
        yield f"* Fits {', '.join(map(str, result['left_out']))} did not finish and have no vote."
    if found.model.vote == "hard":
        yield "* Shares of votes are no probabilities: they have no loss and no calibration."
    yield "* Members come from one master seed; another gives other members. Intervals cover the choice of rows, not that of the seeds."
    yield "* How often it is right where its members agree was not measured: they share most of their training rows."
    yield from limit_lines(found.job, info)


def _use(found: Chosen) -> Iterator[str]:
    base = f"/v1/jobs/{found.job.id}"
    yield f"* `POST {base}/predictions` with raw rows; `?members=true` for what each member says"
    yield f"* `GET {base}/model?format=zip`: ONNX from raw rows to the vote, weights as safetensors, every preparation, votes.json, this card"
    yield f"* a single member: `?fit={found.fits[0].number}`, and so on"
    yield f"* curves: `GET {base}/curves`, picture: `GET {base}/report.png`"

"""A model card: what a kept model was made of, how well it does, and what is not known of it (Mitchell et al. 2019)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from data.dataset import DatasetInfo
from jobs.diagnosis import Diagnosis
from jobs.plans.maker import with_overrides
from jobs.spec import JobSpec
from store.fits import FitState
from store.jobs import JobState

METRICS = ("loss", "accuracy", "rmse", "r2", "mae", "macro_f1", "roc_auc", "calibration_error", "baseline_loss")


def model_card(job: JobState, fit: FitState, info: DatasetInfo, diagnosis: Diagnosis | None, layers: Sequence[str]) -> str:
    """Write the card of a fit's kept model in Markdown. `layers` are lines of its layer table."""
    sections = [
        [f"# {one_line(job.name or job.id)}", "", _summary(job, fit, info)],
        ["## Data", "", *data_lines(job, fit, info)],
        ["## How well it does", "", *_figures(fit), "", *_gap(fit, diagnosis)],
        ["## What is not known", "", *_limits(job, fit, info)],
        ["## Network", "", *layers, "", f"{fit.num_parameters} parameters; weights of epoch {fit.kept_epoch} are kept."],
        ["## How it was trained", "", *_training(job, fit)],
        ["## How to use it", "", *_use(job, fit)],
    ]
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _summary(job: JobState, fit: FitState, info: DatasetInfo) -> str:
    network = spec_of(job, fit)["network"]["name"]
    return f"A network of kind `{network}` that predicts {target_text(info)}. Job `{job.id}`, fit {fit.number}, seed {fit.seed}."


def spec_of(job: JobState, fit: FitState) -> dict[str, Any]:
    """Give the spec that a fit was trained with: the job's, with what its plan set for it."""
    return with_overrides(JobSpec.model_validate(job.spec), fit.overrides).model_dump(mode="json")


def target_text(info: DatasetInfo) -> str:
    """Write what is predicted."""
    what = f"one of {info.num_classes} classes" if info.task == "classification" else "a number"
    unit = f" ({one_line(info.target_unit)})" if info.target_unit else ""
    return f"{one_line(info.target_name)}{unit}, {what}"


def data_lines(job: JobState, fit: FitState, info: DatasetInfo) -> Iterator[str]:
    """Write what a fit's rows are, and how they are prepared."""
    yield f"* {one_line(info.title)} (`{info.id}`): {info.num_rows} rows of kind {info.kind}, {list(info.input_shape)}"
    yield f"* SHA-256 `{info.content_hash}`"
    if info.source:
        yield f"* source: {one_line(info.source)}"
    if info.licence:
        yield f"* licence: {one_line(info.licence)}"
    split = job.spec["split"]
    rows = ", ".join(f"{count} {part}" for part, count in fit.num_rows.items() if count)
    yield f"* split `{split['name']}` by {split.get('by') or 'rows'}: {rows}"
    if info.class_labels is not None:
        counts = ", ".join(
            f"{one_line(label)} {count}" for label, count in list(zip(info.class_labels, info.class_counts or (), strict=False))[:30]
        )
        yield f"* classes: {counts}{' ...' if len(info.class_labels) > 30 else ''}"
    yield f"* preparation, learned from the training rows: `{compact(spec_of(job, fit)['preprocessing'])}`"


def _figures(fit: FitState) -> Iterator[str]:
    """Write a table of figures with their intervals."""
    evaluation = fit.evaluation
    if evaluation is None:
        yield "This fit has no final evaluation."
        return
    parts = [part for part in ("train", "val", "test") if evaluation.get(part)]
    yield "| | " + " | ".join(f"{part} ({evaluation[part]['rows']} rows)" for part in parts) + " |"
    yield "| --- |" + " --- |" * len(parts)
    for metric in METRICS:
        cells = [figure_text(evaluation[part].get(metric)) for part in parts]
        if any(cells):
            yield f"| {metric} | " + " | ".join(cell or "-" for cell in cells) + " |"
    yield ""
    yield f"Intervals are 95 % bootstrap percentile intervals over rows ({evaluation.get('resamples', 'no')} resamples)."


def _gap(fit: FitState, diagnosis: Diagnosis | None) -> Iterator[str]:
    gap = (fit.evaluation or {}).get("generalization_gap")
    if gap:
        yield f"Generalization gap (validation loss - training loss): {figure_text(gap)}."
    if diagnosis is not None:
        yield f"Diagnosis: **{diagnosis.verdict.replace('_', ' ')}**. {diagnosis.why} {diagnosis.advice}"


def _limits(job: JobState, fit: FitState, info: DatasetInfo) -> Iterator[str]:
    evaluation = fit.evaluation or {}
    if not evaluation.get("test"):
        yield "* No test rows were set aside: the validation rows also chose the epoch, so their figures are somewhat too good."
    if not evaluation.get("val"):
        yield "* No validation rows were set aside: how well it generalizes was not watched while it was trained."
    yield "* It was trained once, from one seed; another seed gives other figures. Intervals cover the choice of rows, not that of the seed."
    yield from limit_lines(job, info)


def limit_lines(job: JobState, info: DatasetInfo) -> Iterator[str]:
    """Write what no figure of a job says, whatever answers."""
    if job.spec["split"].get("by") == "rows":
        yield "* Rows were held out singly: the figures say nothing of rows from other groups, places or times than those it was trained on."
    if info.class_counts is not None and min(info.class_counts) < 50:
        rare = (info.class_labels or ())[info.class_counts.index(min(info.class_counts))]
        yield f"* The rarest class, {one_line(rare)}, has {min(info.class_counts)} rows: its own scores are uncertain."
    yield "* What it does on rows unlike these was not measured, nor whether it treats groups of people alike."
    for warning in job.warnings:
        yield f"* {one_line(warning)}"


def _training(job: JobState, fit: FitState) -> Iterator[str]:
    yield f"* ended at epoch {fit.last_epoch} ({(fit.stop_reason or '').replace('_', ' ')}), {fit.steps_done} updates"
    if fit.overrides:
        yield f"* set for this fit: `{compact(json.dumps(fit.overrides, ensure_ascii=False))}`"
    yield from recipe_lines(job, fit)


def recipe_lines(job: JobState, fit: FitState) -> Iterator[str]:
    """Write how a fit was trained, with what, and when."""
    spec = spec_of(job, fit)
    for field in ("optimizer", "schedule", "training", "regularization", "early_stopping", "loss"):
        yield f"* {field}: `{compact(spec.get(field))}`"
    versions = job.environment or {}
    yield f"* versions: {', '.join(f'{name} {one_line(str(value))}' for name, value in versions.items())}"
    yield f"* created {job.created_at:%Y-%m-%d %H:%M} UTC, finished {'' if job.finished_at is None else f'{job.finished_at:%Y-%m-%d %H:%M} UTC'}"


def _use(job: JobState, fit: FitState) -> Iterator[str]:
    base = f"/v1/jobs/{job.id}"
    yield f"* `POST {base}/predictions?fit={fit.number}` with raw rows"
    yield f"* `GET {base}/model?fit={fit.number}&format=zip`: weights as safetensors and ONNX, preparation.json, this card"
    yield f"* curves: `GET {base}/curves`, picture: `GET {base}/report.png`"


def figure_text(value: Any) -> str:
    """Write a figure, with its interval if it has one."""
    if isinstance(value, Mapping) and value.get("value") is not None:
        if value.get("low") is None:
            return f"{value['value']:.4g}"
        return f"{value['value']:.4g} [{value['low']:.4g}, {value['high']:.4g}]"
    return f"{value:.4g}" if isinstance(value, int | float) else ""


def compact(value: Any) -> str:
    """Write a part of a spec without what is neutral."""
    if isinstance(value, Mapping):
        kept = {key: one for key, one in value.items() if one not in (None, 0, False, [], {})}
        return ", ".join(f"{key} {compact(one)}" for key, one in kept.items()) or "none"
    return "none" if value is None else " ".join(str(value).split()).replace("`", "'")


def one_line(text: str) -> str:
    """Make text that stays one line of Markdown and no markup."""
    plain = " ".join(text.split())
    for mark in "\\`*_[]<>|#":
        plain = plain.replace(mark, f"\\{mark}")
    return plain

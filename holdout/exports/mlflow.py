"""MLflow runs, by mlflow-skinny: a job is a run; where it has several fits, each of them is a run below it."""

import hashlib
import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag

from holdout.exports.told import Json, as_text, began_at, flattened, moment, moments, points, settings_of, slices

FIGURES = (
    "train_loss", "val_loss", "generalization_gap", "train_accuracy", "val_accuracy", "accuracy_gap",
    "train_rmse", "val_rmse", "train_r2", "val_r2", "objective", "learning_rate", "seconds",
)  # fmt: skip
_STATUSES = {
    "queued": "SCHEDULED", "paused": "SCHEDULED", "pending": "SCHEDULED", "running": "RUNNING", "succeeded": "FINISHED",
    "finished": "FINISHED", "failed": "FAILED", "diverged": "FAILED", "cancelled": "KILLED", "pruned": "KILLED",
}  # fmt: skip
_ENDED = frozenset({"FINISHED", "FAILED", "KILLED"})
_BOUNDS = frozenset({"low", "high", "std", "count"})
_JOB, _FIT, _VERSION = "holdout.job", "holdout.fit", "holdout.version"
# What MLflow takes at once, and of what length (mlflow.utils.validation).
_METRICS_AT_ONCE, _OTHERS_AT_ONCE = 1000, 100
_NAME_LENGTH, _PARAM_LENGTH, _TAG_LENGTH, _DIGEST_LENGTH = 250, 6000, 8000, 36


@dataclass(frozen=True, kw_only=True)
class Told:
    """All that the API tells of a job that MLflow has a place for. `files` are further artifacts by name, `url` is the service's."""

    job: Json
    fits: Json
    curves: Json
    dataset: Json | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class _Part:
    """What one run is to hold: a job, a fit, or both where a job has one fit."""

    name: str
    tags: Mapping[str, str]
    settings: Json
    status: str
    ended_at: float | None
    fit: Json | None = None
    curve: Json | None = None


def log_to_mlflow(told: Told, client: MlflowClient, experiment: str) -> str:
    """Log a job to an experiment, which is made if there is none; give the id of the job's run.

    A job that was logged there before keeps its runs: they get what they lack, and nothing twice.

    Raises:
        MlflowException: the tracking server is away, or refuses.
    """
    found = client.get_experiment_by_name(experiment)
    experiment_id = client.create_experiment(experiment) if found is None else found.experiment_id
    known = {run.data.tags.get(_FIT, ""): run for run in _runs_of(client, experiment_id, told.job["id"])}
    fits = {fit["number"]: fit for fit in told.fits["items"]}
    several = told.job["num_fits"] > 1
    curves = [curve for curve in told.curves["fits"] if curve["number"] in fits]
    first = None if several or not curves else curves[0]
    run = _log(told, client, experiment_id, known.get(""), _part_of_job(told, None if first is None else fits[first["number"]], first))
    if several:
        for curve in curves:
            number = str(curve["number"])
            _log(told, client, experiment_id, known.get(number), _part_of_fit(told, fits[curve["number"]], curve, run))
    return run


def _runs_of(client: MlflowClient, experiment_id: str, job_id: str) -> Iterator[Run]:
    token = None
    while True:
        page = client.search_runs([experiment_id], f"tags.`{_JOB}` = '{job_id}'", page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _part_of_job(told: Told, fit: Json | None, curve: Json | None) -> _Part:
    job = told.job
    verdicts = Counter(one["diagnosis"]["verdict"] for one in told.fits["items"] if one["diagnosis"])
    counted = ", ".join(f"{verdict} {count}" for verdict, count in sorted(verdicts.items()))
    failure = job["failure"]
    tags = {
        **_tags(told),
        "holdout.plan": job["plan"],
        "holdout.diagnosis": counted if fit is None else _verdict(fit),
        "mlflow.note.content": job["result"]["sentence"] if job["result"] else failure["detail"] if failure else "",
    }
    ended_at = None if job["finished_at"] is None else moment(job["finished_at"])
    return _Part(
        name=job["name"] or job["id"], tags=tags, settings=settings_of(job), status=job["status"], ended_at=ended_at, fit=fit, curve=curve
    )


def _part_of_fit(told: Told, fit: Json, curve: Json, parent: str) -> _Part:
    tags = {
        **_tags(told),
        _FIT: str(fit["number"]),
        "holdout.diagnosis": _verdict(fit),
        "mlflow.parentRunId": parent,
        "mlflow.note.content": fit["diagnosis"]["advice"] if fit["diagnosis"] else "",
    }
    ended_at = (moments(told.job, curve) or [began_at(told.job)])[-1]
    settings = settings_of(told.job, fit)
    return _Part(name=fit["label"], tags=tags, settings=settings, status=fit["status"], ended_at=ended_at, fit=fit, curve=curve)


def _tags(told: Told) -> dict[str, str]:
    """Give what holds of a job and of all its fits."""
    dataset_hash = (told.dataset or {}).get("content_hash") or ""
    address = f"{told.url}/v1/jobs/{told.job['id']}" if told.url else ""
    return {
        _JOB: told.job["id"],
        "holdout.dataset": told.job["dataset"],
        "holdout.dataset_hash": dataset_hash,
        "mlflow.source.type": "JOB",
        "mlflow.source.name": address or "holdout",
    }


def _verdict(fit: Json) -> str:
    return str(fit["diagnosis"]["verdict"]) if fit["diagnosis"] else ""


def _log(told: Told, client: MlflowClient, experiment_id: str, run: Run | None, part: _Part) -> str:
    """Fill a run, unless it has all that this version of the job has; give its id. What tells so is written last."""
    version = str(told.job["version"])
    if run is None:
        start = round(began_at(told.job) * 1000)
        keys = {key: part.tags[key] for key in (_JOB, _FIT, "mlflow.parentRunId") if key in part.tags}
        run = client.create_run(experiment_id, start_time=start, tags=keys, run_name=part.name)
    elif run.data.tags.get(_VERSION) == version:
        return str(run.info.run_id)
    run_id = str(run.info.run_id)
    _log_texts(client, run_id, part)
    for metrics in slices(_missing(client, run, _metrics(told.job, part)), _METRICS_AT_ONCE):
        client.log_batch(run_id, metrics=metrics)
    if told.dataset is not None and not run.inputs.dataset_inputs:
        client.log_inputs(run_id, datasets=[_input(told, told.dataset)])
    if _FIT not in part.tags:
        _log_files(client, run_id, told)
    status = _STATUSES[part.status]
    if status in _ENDED and part.ended_at is not None:
        client.set_terminated(run_id, status, end_time=round(part.ended_at * 1000))
    else:
        client.update_run(run_id, status=status)
    client.set_tag(run_id, _VERSION, version)
    return run_id


def _log_texts(client: MlflowClient, run_id: str, part: _Part) -> None:
    params = [Param(_named(name), as_text(value)[:_PARAM_LENGTH]) for name, value in flattened(part.settings)]
    for some in slices(params, _OTHERS_AT_ONCE):
        client.log_batch(run_id, params=some)
    client.log_batch(run_id, tags=[RunTag(key, value[:_TAG_LENGTH]) for key, value in part.tags.items() if value])


def _metrics(job: Json, part: _Part) -> list[Metric]:
    """Give a curve's figures by epoch, those of the best epoch as `best_...`, and of a job what it concluded as `result....`."""
    concluded = [] if _FIT in part.tags or part.ended_at is None else _concluded(job["result"] or {}, round(part.ended_at * 1000))
    return _of_curve(job, part) + concluded


def _concluded(result: Json, at: int) -> list[Metric]:
    """Give a result's figures without their intervals, and those of the fit whose model is left, where it is one."""
    left = (result.get("model") or {}).get("fits") or ()
    found = {name: value for name, value in flattened(result) if name.rpartition(".")[2] not in _BOUNDS}
    for fit in result.get("fits") or ():
        if [fit["number"]] == list(left):
            found |= dict(flattened({split: fit[split] for split in ("train", "val", "test")}))
    numbers = {name: value for name, value in found.items() if isinstance(value, int | float) and not isinstance(value, bool)}
    return [Metric(_named(f"result.{name.removesuffix('.value').removesuffix('.mean')}"), value, at, 0) for name, value in numbers.items()]


def _of_curve(job: Json, part: _Part) -> list[Metric]:
    if part.curve is None or part.fit is None:
        return []
    epochs, times = part.curve["epoch"], [round(time * 1000) for time in moments(job, part.curve)]
    found = [Metric(name, value, times[i], epochs[i]) for name in FIGURES for i, value in points(part.curve, name)]
    best = part.fit["best_epoch"]
    if best in epochs:
        at = times[epochs.index(best)]
        found += [Metric(f"best_{name}", value, at, best) for name, value in (part.fit["best"] or {}).items()]
    return found


def _missing(client: MlflowClient, run: Run, metrics: Sequence[Metric]) -> list[Metric]:
    """Leave out what a run has: an epoch is logged once, whatever the tracking store makes of equal points."""
    known = {name: {one.step for one in client.get_metric_history(run.info.run_id, name)} for name in run.data.metrics}
    return [one for one in metrics if one.step not in known.get(one.key, ())]


def _input(told: Told, dataset: Json) -> DatasetInput:
    source = {"url": f"{told.url}/v1/datasets/{dataset['id']}"}
    profile = {"num_rows": dataset["num_rows"], "num_classes": dataset["num_classes"]}
    digest = (dataset["content_hash"] or dataset["id"])[:_DIGEST_LENGTH]
    entity = Dataset(name=dataset["id"], digest=digest, source_type="http", source=json.dumps(source), profile=json.dumps(profile))
    return DatasetInput(dataset=entity, tags=[InputTag("mlflow.data.context", "training")])


def _log_files(client: MlflowClient, run_id: str, told: Told) -> None:
    parts: dict[str, Any] = {"spec.json": told.job["spec"], "result.json": told.job["result"], "fits.json": told.fits["items"]}
    written = {name: json.dumps(value, indent=1).encode() for name, value in parts.items() if value is not None}
    with tempfile.TemporaryDirectory(prefix="holdout-export-") as folder:
        for name, content in chain(written.items(), told.files.items()):
            (Path(folder) / name).write_bytes(content)
        client.log_artifacts(run_id, folder)


def _named(name: str) -> str:
    """Give a name that MLflow takes, and another one for each name: it is a path of words, spaces, dots and dashes."""
    parts = [part if part.strip(".") else "_" for part in re.sub(r"[^\w.\- /]", "_", name).split("/")]
    cleaned = "/".join(parts)
    if cleaned == name and len(name) <= _NAME_LENGTH:
        return name
    ending = "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
    return cleaned[: _NAME_LENGTH - len(ending)] + ending

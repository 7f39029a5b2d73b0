"""TensorBoard event files, by tensorboardX; TensorFlow is not needed.

A job is a folder, each of its fits a run with two runs below it, `train` and `val`, whose tags are alike, so that TensorBoard
draws them in one chart. TensorBoard keeps values as float32.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.summary import hparams

from holdout.exports.told import Json, as_text, began_at, flattened, moments, points, settings_of

_SUFFIX = ".holdout"
_LABEL_BYTES = 200  # a file system takes 255 for a name
_SPLITS = {"train": "train_", "val": "val_"}
_SCORES = ("loss", "accuracy", "rmse", "r2")
_OF_FITS = {"gap": "generalization_gap", "accuracy_gap": "accuracy_gap", "objective": "objective", "learning_rate": "learning_rate"}


def write_tensorboard(job: Json, fits: Json, curves: Json, folder: Path) -> list[Path]:
    """Write a job below `folder`; give the folders of its runs. What an earlier export of the job left there is replaced.

    The step is the epoch. Each fit has its settings and the figures of its best epoch, for the page of hyperparameters.
    """
    found = folder / job["id"]
    for earlier in found.glob(f"**/events.out.tfevents.*{_SUFFIX}"):
        earlier.unlink()
    by_number = {fit["number"]: fit for fit in fits["items"]}
    runs: list[Path] = []
    for curve in curves["fits"]:
        if curve["epoch"]:
            runs += _write_fit(job, by_number[curve["number"]], curve, found / _name_of(curve))
    return runs


def _write_fit(job: Json, fit: Json, curve: Json, folder: Path) -> list[Path]:
    times = moments(job, curve)
    runs = []
    for split, prefix in _SPLITS.items():
        events = _events(curve, {tag: prefix + tag for tag in _SCORES}, times)
        if events:
            runs.append(_write(folder / split, events))
    best = {f"best/{name}": value for name, value in (fit["best"] or {}).items()}
    settings = {name: _plain(value) for name, value in flattened(settings_of(job, fit))}
    events = [Event(wall_time=began_at(job), summary=summary) for summary in hparams(settings, best)]
    if best:
        at = curve["epoch"].index(fit["best_epoch"]) if fit["best_epoch"] in curve["epoch"] else -1
        events.append(Event(wall_time=times[at], step=fit["best_epoch"], summary=_summary(best)))
    return [_write(folder, events + _events(curve, _OF_FITS, times)), *runs]


def _events(curve: Json, tags: Mapping[str, str], times: list[float]) -> list[Event]:
    """Give an event for each epoch that has any of these figures."""
    values: list[dict[str, float]] = [{} for _ in curve["epoch"]]
    for tag, figure in tags.items():
        for i, value in points(curve, figure):
            values[i][tag] = value
    return [
        Event(wall_time=time, step=epoch, summary=_summary(found))
        for epoch, time, found in zip(curve["epoch"], times, values, strict=True)
        if found
    ]


def _summary(values: Mapping[str, float]) -> Summary:
    return Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])


def _write(folder: Path, events: list[Event]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    writer = EventsWriter(str(folder / "events"), _SUFFIX)
    try:
        for event in events:
            writer.write_event(event)
    finally:
        writer.close()
    return folder


def _plain(value: Any) -> str | float | bool:
    """Give what TensorBoard compares: numbers and truths as they are, all else as text."""
    return value if isinstance(value, bool | int | float) else as_text(value)


def _name_of(curve: Json) -> str:
    """Name a fit's folder by its number and label."""
    label = re.sub(r"[^\w.=+-]+", "-", curve["label"]).strip("-.").encode()[:_LABEL_BYTES].decode(errors="ignore")
    return f"fit-{curve['number']}-{label}".rstrip("-")

"""Small valid objects for tests: datasets, and what the store and the API hold."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from data.builtin import part_sizes
from data.dataset import Column, Dataset, DatasetInfo, Kind, Task, content_hash
from jobs.resolve import Resolved, resolve
from jobs.spec import JobSpec
from jobs.states import FitStatus, JobStatus
from store.commits import Finish, FitEnd, commit
from store.datasets import Upload
from store.engine import Database
from store.jobs import Created, create_job
from store.shards import Claim, claim
from training.records import EpochRecord

LEASE = 30.0
_KINDS: dict[int, Kind] = {2: "table", 3: "signal", 4: "image", 5: "volume"}


def a_dataset(
    x: ArrayLike,
    y: ArrayLike,
    *,
    task: Task | None = None,
    columns: Sequence[Column] | None = None,
    groups: ArrayLike | None = None,
    times: ArrayLike | None = None,
    parts: ArrayLike | None = None,
    x_unit: float = 1.0,
    name: str = "small",
) -> Dataset:
    """Make a dataset of arrays: whole numbers are classes, what `columns` lack is counted, rows of 2 and more axes are no table."""
    features, target = np.asarray(x), np.asarray(y)
    kind = _KINDS[features.ndim]
    if task is None:
        task = "classification" if target.dtype.kind in "iu" else "regression"
    target = target.astype(np.int64 if task == "classification" else np.float64)
    num_classes = int(target.max()) + 1 if task == "classification" else None
    if kind == "table":
        columns = columns or [Column(name=f"x{i + 1}") for i in range(features.shape[1])]
        gaps = [np.flatnonzero(np.isnan(features[:, i])) for i in range(features.shape[1])]
        columns = [
            replace(column, num_missing=len(rows), first_missing_row=int(rows[0]) + 1 if len(rows) else None)
            for column, rows in zip(columns, gaps, strict=True)
        ]
    owned = {role: None if found is None else np.asarray(found) for role, found in (("groups", groups), ("times", times), ("parts", parts))}
    info = DatasetInfo(
        id=name,
        title=name,
        kind=kind,
        task=task,
        input_shape=features.shape[1:],
        num_rows=len(features),
        num_classes=num_classes,
        class_labels=None if num_classes is None else tuple(f"class {i}" for i in range(num_classes)),
        class_counts=None if num_classes is None else tuple(np.bincount(target, minlength=num_classes).tolist()),
        feature_names=None if columns is None else tuple(column.name for column in columns),
        target_name="y",
        target_unit=None,
        licence="none",
        source="a test",
        description="",
        columns=None if columns is None else tuple(columns),
        group_name=None if groups is None else "group",
        num_groups=None if groups is None else len(np.unique(np.asarray(groups))),
        time_name=None if times is None else "time",
        predefined_rows=part_sizes(owned["parts"]),
        content_hash=content_hash(features, target, *(found for found in owned.values() if found is not None)),
    )
    return Dataset(info=info, y=target, read=lambda: features, x_unit=x_unit, **owned)


class Source:
    """Datasets of a test as a source."""

    def __init__(self, *datasets: Dataset) -> None:
        """Hold them by id."""
        self._known = {dataset.info.id: dataset for dataset in datasets}

    def info(self, dataset_id: str) -> DatasetInfo:
        """Describe one."""
        return self._known[dataset_id].info

    def load(self, dataset_id: str) -> Dataset:
        """Open one."""
        return self._known[dataset_id]

    def suggestions(self) -> Sequence[str]:
        """Name all."""
        return list(self._known)


def an_upload(folder: Path, dataset: Dataset | None = None, **schema: Any) -> Upload:
    """Write a small dataset, or another one, to files below a folder, ready to be stored."""
    if dataset is None:
        x = np.arange(80, dtype=np.float64).reshape(40, 2) % 7
        dataset = a_dataset(x, np.arange(40) % 2, groups=np.arange(40) // 4, name="upload")
    arrays = {"x": dataset.x, "y": dataset.y, "groups": dataset.groups, "times": dataset.times, "parts": dataset.parts}
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for role, values in arrays.items():
        if values is not None:
            files[role] = folder / f"{role}.npy"
            np.save(files[role], values)
    return Upload(
        info=dataset.info,
        schema={"target": "y", **schema},
        profile={"rows": 40},
        files=files,
        x_unit=dataset.x_unit,
        file_name="a.csv",
        num_bytes=99,
    )


def a_resolved(**fields: Any) -> Resolved:
    """Resolve a small spec."""
    return resolve(JobSpec.model_validate({"dataset": "iris", "seed": 0, "training": {"max_epochs": 4}, **fields}))


def a_job(db: Database, **fields: Any) -> Created:
    """Create a queued job."""
    return create_job(db, a_resolved(**fields))


def a_claim(db: Database, created: Created, worker: str = "worker/1", lease: float = LEASE) -> Claim:
    """Claim a job's shard."""
    held = claim(db, created.shard_ids[0], worker, lease)
    assert held is not None
    return held


def a_record(epoch: int, *, train_loss: float | None = None, val_loss: float | None = None) -> EpochRecord:
    """Make an epoch of a classification fit: losses fall as 1 / (epoch + 1)."""
    train = 1 / (epoch + 1) if train_loss is None else train_loss
    return EpochRecord(
        fit=1,
        epoch=epoch,
        train_loss=train,
        val_loss=train + 0.1 * epoch if val_loss is None else val_loss,
        train_metrics={"accuracy": 0.5},
        val_metrics={"accuracy": 0.4},
        objective=None if epoch == 0 else train + 0.05,
        learning_rate=None if epoch == 0 else 0.001,
        seconds=0.01,
        steps=0 if epoch == 0 else 4,
    )


def an_end(status: FitStatus = FitStatus.FINISHED, *, best_epoch: int = 1, last_epoch: int = 4, weights_url: str | None = None) -> FitEnd:
    """End the one fit of a job."""
    figure = {"value": 0.5, "low": 0.4, "high": 0.6}
    evaluation = {
        "kept_epoch": best_epoch,
        "train": {"loss": figure, "accuracy": figure, "rows": 105},
        "val": {"loss": figure, "accuracy": figure, "rows": 45},
        "test": None,
        "generalization_gap": {"value": 0.0, "low": -0.1, "high": 0.1},
    }
    return FitEnd(
        number=1,
        status=status,
        stop_reason="diverged" if status is FitStatus.DIVERGED else "max_epochs",
        best_epoch=best_epoch,
        last_epoch=last_epoch,
        kept_epoch=best_epoch,
        evaluation=None if status is FitStatus.DIVERGED else evaluation,
        weights_url=weights_url,
    )


def a_succeeded_job(db: Database, *, epochs: int = 4, weights_url: str | None = None, **fields: Any) -> str:
    """Create a job and write it to its end as a worker would."""
    created = a_job(db, **{"training": {"max_epochs": epochs}, **fields})
    held = a_claim(db, created)
    commit(db, held, lease_seconds=LEASE, epochs=[a_record(epoch) for epoch in range(epochs)])
    end = an_end(best_epoch=min(1, epochs), last_epoch=epochs, weights_url=weights_url)
    finish = Finish(status=JobStatus.SUCCEEDED, result={"plan": "fit", "fit": 1, **(end.evaluation or {})})
    commit(db, held, lease_seconds=LEASE, epochs=[a_record(epochs)], outcomes=[end], finish=finish, environment={"torch": "2"})
    return created.job.id


def a_diverged_job(db: Database) -> str:
    """Create a job whose fit diverged after epoch 0."""
    created = a_job(db)
    held = a_claim(db, created)
    failure = {"kind": "diverged", "detail": "the objective was no longer finite in epoch 1", "retryable": False}
    end = an_end(FitStatus.DIVERGED, best_epoch=0, last_epoch=0)
    commit(db, held, lease_seconds=LEASE, epochs=[a_record(0)], outcomes=[end], finish=Finish(status=JobStatus.FAILED, failure=failure))
    return created.job.id


def no_constant(name: str) -> float:
    """Refuse what strict JSON has not: for json.loads(parse_constant=...)."""
    raise AssertionError(f"{name} is not JSON")


def is_finite(value: Any) -> bool:
    """Tell whether no number inside is NaN or infinite."""
    if isinstance(value, dict):
        return all(is_finite(one) for one in value.values())
    if isinstance(value, list | tuple):
        return all(is_finite(one) for one in value)
    return not isinstance(value, float) or math.isfinite(value)

"""Curves as a typed table."""

import io
import json
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from store.epochs import Curves, FitCurve
from store.jobs import JobState

_CLASSES = ("train_accuracy", "val_accuracy", "accuracy_gap")
_NUMBERS = ("train_rmse", "val_rmse", "train_r2", "val_r2")


def as_parquet(found: Curves, job: JobState) -> bytes:
    """Write a row for each fit and epoch: fit and epoch int32, label text, figures float64, null where there is no value.

    The columns are those of the job's task, whatever rows there are. The file's metadata has `holdout.job`, `holdout.version`
    and, as JSON, `holdout.spec`.
    """
    scores = _CLASSES if job.spec["loss"]["name"] == "cross_entropy" else _NUMBERS
    figures = ("train_loss", "val_loss", "generalization_gap", *scores, "objective", "learning_rate", "seconds")
    columns = {
        "fit": pa.array([curve.number for curve in found.fits for _ in curve.epoch], pa.int32()),
        "label": pa.array([curve.label for curve in found.fits for _ in curve.epoch], pa.string()),
        "epoch": pa.array([epoch for curve in found.fits for epoch in curve.epoch], pa.int32()),
        **{name: pa.array([value for curve in found.fits for value in _column(curve, name)], pa.float64()) for name in figures},
    }
    facts = {"holdout.job": job.id, "holdout.version": str(found.version), "holdout.spec": json.dumps(job.spec)}
    file = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata(facts), file, compression="zstd")
    return file.getvalue()


def _column(curve: FitCurve, name: str) -> Sequence[float | None]:
    return curve.columns.get(name) or [None] * len(curve.epoch)

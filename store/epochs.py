"""Curves, column by column."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import String, bindparam, select

from store.engine import Database
from store.errors import NotFound
from store.tables import EpochRow, FitRow, JobRow, table

_EPOCHS = table(EpochRow)
FIGURES = (
    "train_loss",
    "val_loss",
    "train_accuracy",
    "val_accuracy",
    "train_rmse",
    "val_rmse",
    "train_r2",
    "val_r2",
    "objective",
    "learning_rate",
    "seconds",
)
# Statements that are built once: what is new in each read is their values.
_JOB = bindparam("job_id", type_=String)
_VERSION = select(JobRow.version).where(JobRow.id == _JOB)
_FITS = select(FitRow.number, FitRow.label, FitRow.best_epoch, FitRow.last_epoch).where(FitRow.job_id == _JOB).order_by(FitRow.number)
_ROWS = (
    select(_EPOCHS.c.fit_number, _EPOCHS.c.epoch, *(_EPOCHS.c[name] for name in FIGURES))
    .where(_EPOCHS.c.job_id == _JOB)
    .order_by(_EPOCHS.c.fit_number, _EPOCHS.c.epoch)
)
_OF_FITS = _EPOCHS.c.fit_number.in_(bindparam("numbers", expanding=True))
_LATER = _EPOCHS.c.version > bindparam("after_version")


@dataclass(frozen=True, kw_only=True)
class FitCurve:
    """One fit's curve. `columns` holds equally long columns by figure name; a figure that does not apply is absent."""

    number: int
    label: str
    best_epoch: int | None
    last_epoch: int | None
    epoch: list[int]
    columns: dict[str, list[float | None]]


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Curves of a job as of `version`."""

    version: int
    fits: list[FitCurve]


def curves(db: Database, job_id: str, *, fits: Sequence[int] | None = None, after_version: int | None = None) -> Curves:
    """Read the curves of a job's fits: all, or those numbered in `fits`; all rows, or those written after a version.

    The generalization gap is derived here, val_loss - train_loss, to the last bit.

    Raises:
        NotFound: no such job, or no fit of a number asked for.
    """
    with db.read() as connection:
        version = connection.scalar(_VERSION, {"job_id": job_id})
        if version is None:
            raise NotFound(job_id)
        known = connection.execute(_FITS, {"job_id": job_id}).all()
        asked = None if fits is None else set(fits)
        wanted = [fit for fit in known if asked is None or fit.number in asked]
        missing = (asked or set()) - {fit.number for fit in wanted}
        if missing:
            raise NotFound(f"{job_id} fit {min(missing)}")
        query, values = _ROWS, dict[str, Any](job_id=job_id)
        if fits is not None:
            query, values["numbers"] = query.where(_OF_FITS), list(fits)
        if after_version is not None:
            query, values["after_version"] = query.where(_LATER), after_version
        rows = connection.execute(query, values).all()
    parts = {number: [list(column) for column in zip(*points, strict=True)] for number, points in groupby(rows, key=itemgetter(0))}
    return Curves(version=version, fits=[_curve(fit, parts.get(fit.number, ())) for fit in wanted])


def _curve(fit: Any, part: Sequence[list[Any]]) -> FitCurve:
    """Make a curve of its columns: fit number, epoch and figures; none where there are no rows."""
    epoch, *figures = part[1:] if part else [[] for _ in range(1 + len(FIGURES))]
    columns: dict[str, list[float | None]] = {
        name: values
        for name, values in zip(FIGURES, figures, strict=True)
        if name in {"train_loss", "seconds"} or values.count(None) < len(values)
    }
    if "val_loss" in columns:
        columns["generalization_gap"] = _differences(columns["val_loss"], columns["train_loss"])
    if "val_accuracy" in columns:
        columns["accuracy_gap"] = _differences(columns["train_accuracy"], columns["val_accuracy"])
    return FitCurve(number=fit.number, label=fit.label, best_epoch=fit.best_epoch, last_epoch=fit.last_epoch, epoch=epoch, columns=columns)


def _differences(these: Sequence[float | None], those: Sequence[float | None]) -> list[float | None]:
    return [None if one is None or other is None else one - other for one, other in zip(these, those, strict=True)]

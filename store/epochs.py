"""Curves, column by column."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

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


@dataclass(frozen=True, kw_only=True)
class FitCurve:
    """One fit's curve. `columns` holds equally long lists by figure name; a figure that does not apply is absent."""

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
        version = connection.scalar(select(JobRow.version).where(JobRow.id == job_id))
        if version is None:
            raise NotFound(job_id)
        known = connection.execute(
            select(FitRow.number, FitRow.label, FitRow.best_epoch, FitRow.last_epoch).where(FitRow.job_id == job_id).order_by(FitRow.number)
        ).all()
        wanted = {fit.number for fit in known} if fits is None else set(fits)
        missing = wanted - {fit.number for fit in known}
        if missing:
            raise NotFound(f"{job_id} fit {min(missing)}")
        query = select(_EPOCHS.c.fit_number, _EPOCHS.c.epoch, *(_EPOCHS.c[name] for name in FIGURES)).where(
            _EPOCHS.c.job_id == job_id, _EPOCHS.c.fit_number.in_(wanted)
        )
        if after_version is not None:
            query = query.where(_EPOCHS.c.version > after_version)
        rows = connection.execute(query.order_by(_EPOCHS.c.fit_number, _EPOCHS.c.epoch)).all()
    by_fit: dict[int, list[tuple[float | None, ...]]] = {number: [] for number in wanted}
    for row in rows:
        by_fit[row[0]].append(tuple(row[1:]))
    chosen = [fit for fit in known if fit.number in wanted]
    return Curves(
        version=version, fits=[_curve(fit.number, fit.label, fit.best_epoch, fit.last_epoch, by_fit[fit.number]) for fit in chosen]
    )


def _curve(number: int, label: str, best: int | None, last: int | None, points: Sequence[tuple[float | None, ...]]) -> FitCurve:
    columns: dict[str, list[float | None]] = {}
    for index, name in enumerate(FIGURES, start=1):
        values = [point[index] for point in points]
        if name in {"train_loss", "seconds"} or any(value is not None for value in values):
            columns[name] = values
    if "val_loss" in columns:
        pairs = zip(columns["val_loss"], columns["train_loss"], strict=True)
        columns["generalization_gap"] = [None if val is None or train is None else val - train for val, train in pairs]
    if "val_accuracy" in columns:
        pairs = zip(columns["train_accuracy"], columns["val_accuracy"], strict=True)
        columns["accuracy_gap"] = [None if val is None or train is None else train - val for train, val in pairs]
    return FitCurve(
        number=number, label=label, best_epoch=best, last_epoch=last, epoch=[int(point[0] or 0) for point in points], columns=columns
    )

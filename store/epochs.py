"""Curves, column by column."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Integer, String, bindparam, case, or_, select

from store.engine import Database
from store.errors import FitNotFound, NotFound
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
_MOST = bindparam("max_points", type_=Integer)
_STEP = case((FitRow.last_epoch + 1 >= _MOST, (FitRow.last_epoch + 1) // _MOST), else_=1)
_THINNED = _ROWS.join(FitRow, (FitRow.job_id == _EPOCHS.c.job_id) & (FitRow.number == _EPOCHS.c.fit_number)).where(
    or_(
        FitRow.best_epoch.is_(None),
        _EPOCHS.c.epoch % _STEP == 0,
        _EPOCHS.c.epoch == FitRow.best_epoch,
        _EPOCHS.c.epoch == FitRow.last_epoch,
    )
)
"""Of a fit whose best epoch is known, every so many epochs, the best and the last: the database leaves out what nobody will draw."""


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
    is_thinned: bool = False


def curves(
    db: Database, job_id: str, *, fits: Sequence[int] | None = None, after_version: int | None = None, max_points: int | None = None
) -> Curves:
    """Read the curves of a job's fits: all, or those numbered in `fits`; all rows, or those written after a version.

    With `max_points`, and if all rows are asked for, at least so many of each ended fit that has them, evenly, with the first, the last and the best; fewer than twice as
    many and three.

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
            raise FitNotFound(job_id, min(missing))
        query, values = _ROWS, dict[str, Any](job_id=job_id)
        is_thinned = after_version is None and max_points is not None and any(_is_longer(fit, 2 * max_points) for fit in wanted)
        if is_thinned:
            query, values["max_points"] = _THINNED, max_points
        if fits is not None:
            query, values["numbers"] = query.where(_OF_FITS), list(fits)
        if after_version is not None:
            query, values["after_version"] = query.where(_LATER), after_version
        rows = connection.execute(query, values).all()
    parts = {number: [list(column) for column in zip(*points, strict=True)] for number, points in groupby(rows, key=itemgetter(0))}
    return Curves(version=version, fits=[_curve(fit, parts.get(fit.number, ())) for fit in wanted], is_thinned=is_thinned)


def _is_longer(fit: Any, epochs: int) -> bool:
    """Tell whether rows of a fit can be left out unread."""
    return fit.best_epoch is not None and fit.last_epoch is not None and fit.last_epoch + 1 >= epochs


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

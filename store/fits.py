"""Fits of a job as they stand."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, case, select, union

from jobs.diagnosis import window
from jobs.states import FitStatus
from store.engine import Database
from store.errors import FitNotFound, NotFound
from store.tables import EpochRow, FitRow, JobRow, table

_FITS = table(FitRow)
_EPOCHS = table(EpochRow)


@dataclass(frozen=True, kw_only=True)
class FitState:
    """A fit: what it is, how it went.

    `best` and `last` are its curve's figures at those epochs, by name; `earlier` those a tenth of the epochs before the last.
    """

    number: int
    label: str
    overrides: dict[str, Any]
    place: dict[str, int | float | str]
    seed: int
    num_rows: dict[str, int]
    num_parameters: int
    status: FitStatus
    stop_reason: str | None
    message: str | None
    failure: dict[str, Any] | None
    steps_planned: int
    steps_done: int
    best_epoch: int | None
    last_epoch: int | None
    kept_epoch: int | None
    best: dict[str, float] | None
    last: dict[str, float] | None
    earlier: dict[str, float] | None
    evaluation: dict[str, Any] | None
    weights_url: str | None


def list_fits(db: Database, job_id: str) -> list[FitState]:
    """List a job's fits by number.

    Raises:
        NotFound: no job has this id.
    """
    with db.read() as connection:
        rows = connection.execute(select(_FITS).where(_FITS.c.job_id == job_id).order_by(_FITS.c.number)).all()
        if not rows and connection.execute(select(JobRow.id).where(JobRow.id == job_id)).first() is None:
            raise NotFound(job_id)
        figures = _figures(connection, job_id)
    return [_state(row, figures) for row in rows]


def get_fit(db: Database, job_id: str, number: int) -> FitState:
    """Read one fit.

    Raises:
        NotFound: no such job, or the job has no fit of this number.
    """
    found = [fit for fit in list_fits(db, job_id) if fit.number == number]
    if not found:
        raise FitNotFound(job_id, number)
    return found[0]


def _figures(connection: Connection, job_id: str) -> dict[tuple[int, int], dict[str, float]]:
    """Read the curve points that best and last epochs name, and those a tenth of the epochs before the last."""
    tenth = case((_FITS.c.last_epoch >= 10, _FITS.c.last_epoch // 10), else_=1)  # as jobs.diagnosis.window
    of_job = [
        select(_FITS.c.number, epoch.label("epoch")).where(_FITS.c.job_id == job_id)
        for epoch in (_FITS.c.best_epoch, _FITS.c.last_epoch, _FITS.c.last_epoch - tenth)
    ]
    # Three rows of each fit by their keys: the curves they stand in may be a thousand times as long.
    named = union(*of_job).subquery()
    same = and_(_EPOCHS.c.job_id == job_id, _EPOCHS.c.fit_number == named.c.number, _EPOCHS.c.epoch == named.c.epoch)
    rows = connection.execute(select(_EPOCHS).select_from(named).join(_EPOCHS, same)).all()
    return {(row.fit_number, row.epoch): _values(row) for row in rows}


def _values(row: Any) -> dict[str, float]:
    names = ("train_loss", "val_loss", "train_accuracy", "val_accuracy", "train_rmse", "val_rmse", "train_r2", "val_r2")
    values = {name: float(getattr(row, name)) for name in names if getattr(row, name) is not None}
    if row.val_loss is not None:
        values["generalization_gap"] = row.val_loss - row.train_loss
    return values


def _state(row: Any, figures: dict[tuple[int, int], dict[str, float]]) -> FitState:
    return FitState(
        number=row.number,
        label=row.label,
        overrides=row.overrides,
        place=row.place,
        seed=row.seed,
        num_rows=row.num_rows,
        num_parameters=row.num_parameters,
        status=row.status,
        stop_reason=row.stop_reason,
        message=row.message,
        failure=row.failure,
        steps_planned=row.steps_planned,
        steps_done=row.steps_done,
        best_epoch=row.best_epoch,
        last_epoch=row.last_epoch,
        kept_epoch=row.kept_epoch,
        best=figures.get((row.number, row.best_epoch)),
        last=figures.get((row.number, row.last_epoch)),
        earlier=None if row.last_epoch is None else figures.get((row.number, row.last_epoch - window(row.last_epoch))),
        evaluation=row.evaluation,
        weights_url=row.weights_url,
    )

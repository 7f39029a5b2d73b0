"""Curves: JSON, CSV or Parquet, whole or only what is new."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool

from api.accept import preferred
from api.curves import COLUMNS, as_csv, chosen_points, only, picked, smoothed
from api.dependencies import Everything, IfNoneMatch, JobId, Resources
from api.errors import ProblemError, responses
from api.etags import UNCHANGED, headers, is_current, unchanged
from api.examples import offered
from api.strict import StrictRoute
from api.views.fits import CurvesView
from store.engine import Database
from store.epochs import FitCurve, curves
from store.jobs import get_job

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"], route_class=StrictRoute)

Fits = Annotated[
    str | None,
    Query(
        pattern=r"^[1-9][0-9]{0,6}(,[1-9][0-9]{0,6})*$",
        description="Numbers of fits, from 1, separated by commas.",
        openapi_examples=offered("1"),
    ),
]
AfterVersion = Annotated[
    int | None,
    Query(
        ge=0,
        le=2**62,
        description="Only rows written after this version of the job. A figure that has no value in the rows given is left out, so a fit without rows has none of them.",
        openapi_examples=offered(1),
    ),
]
MaxPoints = Annotated[
    int | None,
    Query(
        ge=3,
        le=100_000,
        description="Most points of one fit; the first, the last and the best are always kept (of a fit in training, the lowest validation loss so far). Default 1000, and of more than 100 fits so many that all have 100 000 together.",
        openapi_examples=offered(200),
    ),
]
Smoothing = Annotated[
    float,
    Query(
        ge=0, lt=1, description="beta of a bias-corrected exponential average; raw values are returned too.", openapi_examples=offered(0.6)
    ),
]
Columns = Annotated[
    str | None,
    Query(
        pattern=rf"^({'|'.join(COLUMNS)})(,({'|'.join(COLUMNS)}))*$",
        description="Only these columns, separated by commas; `epoch` is always there. One that does not apply is absent, as ever.",
        openapi_examples=offered("train_loss,val_loss"),
    ),
]
_POINTS, _POINTS_OF_ALL = 1000, 100_000
_JSON, _CSV, _PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
_FILES = {_CSV: "csv", _PARQUET: "parquet"}
"""Endings of what is downloaded; they tell ETags apart too."""


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What a client wants of a job's curves: with the version, all that the answer depends on."""

    job_id: str
    kind: str
    fits: tuple[int, ...] | None
    after_version: int | None
    max_points: int | None = None
    smoothing: float = 0.0
    columns: frozenset[str] | None = None

    @property
    def variant(self) -> str:
        """Tell files from JSON in an ETag."""
        return f"-{_FILES[self.kind]}" if self.kind in _FILES else ""


@router.get(
    "/curves",
    summary="Read curves",
    response_model=CurvesView,
    responses={
        **responses(404, 406, 422),
        **UNCHANGED,
        200: {
            "content": {_CSV: {"schema": {"type": "string"}}, _PARQUET: {"schema": {"type": "string", "format": "binary"}}},
            "description": f"Columns, or with `Accept: {_CSV}` or `{_PARQUET}` rows.",
        },
    },
)
async def read(
    job_id: JobId,
    resources: Everything,
    request: Request,
    fits: Fits = None,
    after_version: AfterVersion = None,
    max_points: MaxPoints = None,
    smoothing: Smoothing = 0.0,
    columns: Columns = None,
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Read each epoch's figures, column by column; epoch 0 is the network before any update. `Accept` may ask for CSV or Parquet.

    CSV and Parquet are never thinned or smoothed, and have all columns.
    """
    kind = preferred(accept, (_JSON, *_FILES))
    if kind is None:
        raise ProblemError(406, "not_acceptable", f"curves come as {_JSON}, {_CSV} or {_PARQUET}")
    asked = _Asked(job_id=job_id, kind=kind, fits=_numbers(fits), after_version=after_version)
    if kind == _JSON:
        wanted = None if columns is None else frozenset(columns.split(","))
        asked = replace(asked, max_points=max_points, smoothing=smoothing, columns=wanted)
    return await _read(asked, resources, request, if_none_match)


@router.get(
    "/curves.csv",
    summary="Download curves as CSV",
    response_class=Response,
    responses={**responses(404, 422), **UNCHANGED, 200: {"content": {_CSV: {}}, "description": "A row for each fit and epoch."}},
)
async def read_csv(
    job_id: JobId,
    resources: Everything,
    request: Request,
    fits: Fits = None,
    after_version: AfterVersion = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Download every epoch's figures as CSV."""
    asked = _Asked(job_id=job_id, kind=_CSV, fits=_numbers(fits), after_version=after_version)
    return await _read(asked, resources, request, if_none_match)


@router.get(
    "/curves.parquet",
    summary="Download curves as Parquet",
    response_class=Response,
    responses={**responses(404, 422), **UNCHANGED, 200: {"content": {_PARQUET: {}}, "description": "A row for each fit and epoch."}},
)
async def read_parquet(
    job_id: JobId,
    resources: Everything,
    request: Request,
    fits: Fits = None,
    after_version: AfterVersion = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Download every epoch's figures as Parquet: typed columns, and the job's id, version and spec as metadata.

    All figures of the job's task are columns, whether or not there are rows yet; those of other tasks are not.
    """
    asked = _Asked(job_id=job_id, kind=_PARQUET, fits=_numbers(fits), after_version=after_version)
    return await _read(asked, resources, request, if_none_match)


async def _read(asked: _Asked, resources: Resources, request: Request, if_none_match: str | None) -> Response:
    """Answer, and answer so again."""
    answer = partial(_answer, asked, resources)
    response = await answer(if_none_match)
    resources.shortcuts.remember(request.scope, answer)
    return response


async def _answer(asked: _Asked, resources: Resources, if_none_match: str | None) -> Response:
    """Answer 304, or with bytes made before, or anew."""
    version, _ = await resources.version_of(asked.job_id)
    if if_none_match is not None and is_current(if_none_match, version, asked.variant):
        return unchanged(version, asked.variant)
    body = resources.bodies.get(asked, version)
    if body is None:
        version, made = await run_in_threadpool(_made, asked, resources.db)
        if asked.after_version is None:  # what is new is asked for once
            resources.bodies.put(asked, version, made)
        body = made
    told = headers(version, asked.variant)
    if asked.kind in _FILES:
        told["Content-Disposition"] = f'attachment; filename="{asked.job_id}.{_FILES[asked.kind]}"'
    return Response(body, media_type=f"{_CSV}; charset=utf-8" if asked.kind == _CSV else asked.kind, headers=told)


def _made(asked: _Asked, db: Database) -> tuple[int, bytes]:
    # An average is over all epochs, and files have all of them.
    most_read = asked.max_points or _POINTS if asked.kind == _JSON and asked.smoothing == 0 else None
    found = curves(db, asked.job_id, fits=asked.fits, after_version=asked.after_version, max_points=most_read)
    if asked.kind == _CSV:
        return found.version, as_csv(found).encode()
    if asked.kind == _PARQUET:
        from api.curve_tables import as_parquet  # noqa: PLC0415  Arrow takes 30 MB, and most processes never write a file

        return found.version, as_parquet(found, get_job(db, asked.job_id))
    # An average over the new rows alone would start anew.
    is_tail = asked.after_version is not None and asked.smoothing > 0
    whole = curves(db, asked.job_id, fits=asked.fits).fits if is_tail else found.fits
    most = asked.max_points or max(3, min(_POINTS, _POINTS_OF_ALL // max(1, len(found.fits))))
    shown = [_shown(curve, full, most, asked) for curve, full in zip(found.fits, whole, strict=True)]
    is_sampled = found.is_thinned or any(len(one["epoch"]) < len(curve.epoch) for one, curve in zip(shown, found.fits, strict=True))
    # Straight to bytes: the columns come from a typed table, and a thousand numbers are not looked at one by one.
    return found.version, to_json({"fits": shown, "version": found.version, "sampled": is_sampled}, inf_nan_mode="null")


def _numbers(fits: str | None) -> tuple[int, ...] | None:
    if fits is None:
        return None
    return tuple(sorted({int(number) for number in fits.split(",")}))


def _shown(curve: FitCurve, whole: FitCurve, max_points: int, asked: _Asked) -> dict[str, Any]:
    """Smooth over all epochs, then thin out; give what `CurveView` describes of it."""
    chosen = chosen_points(curve, max_points)  # of all columns: the best epoch is kept whatever is asked for
    if asked.columns is not None:
        curve, whole = only(curve, asked.columns), only(whole, asked.columns)
    averages = None
    if asked.smoothing > 0:
        # The two were read one after the other: an epoch of the first may be gone from the second.
        at = {epoch: i for i, epoch in enumerate(whole.epoch)}
        averages = {
            name: [values[at[epoch]] if epoch in at else None for epoch in curve.epoch]
            for name, values in smoothed(whole, asked.smoothing).items()
            if name in curve.columns
        }
    if len(chosen) < len(curve.epoch):
        columns = {name: picked(values, chosen) for name, values in curve.columns.items()}
        curve = replace(curve, epoch=[curve.epoch[i] for i in chosen], columns=columns)
        averages = None if averages is None else {name: picked(values, chosen) for name, values in averages.items()}
    rest = {} if averages is None else {"smoothed": averages}
    ends = {"best_epoch": curve.best_epoch, "last_epoch": curve.last_epoch}
    return {"number": curve.number, "label": curve.label, "epoch": curve.epoch, **curve.columns, **rest, **ends}

"""Curves: JSON or CSV, whole or only what is new."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from api.curves import as_csv, chosen_points, picked, smoothed
from api.dependencies import Db, JobId
from api.errors import ProblemDetail, ProblemError, responses
from api.etags import etag, is_current, unchanged
from api.strict import StrictRoute
from api.views import CurvesView, CurveView
from store.engine import Database
from store.epochs import Curves, FitCurve, curves
from store.jobs import job_version

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"], route_class=StrictRoute)

Fits = Annotated[str | None, Query(pattern=r"^\d{1,7}(,\d{1,7})*$", description="Numbers of fits, separated by commas.", examples=["1,3"])]
AfterVersion = Annotated[int | None, Query(ge=0, le=2**62, description="Only rows written after this version of the job.")]
MaxPoints = Annotated[int, Query(ge=3, le=100_000, description="Most points of one fit; the first, the last and the best are always kept.")]
Smoothing = Annotated[float, Query(ge=0, lt=1, description="beta of a bias-corrected exponential average; raw values are returned too.")]
IfNoneMatch = Annotated[str | None, Header()]


@router.get(
    "/curves",
    summary="Read curves",
    response_model=CurvesView,
    response_model_exclude_unset=True,
    responses={**responses(404, 406, 422), 304: {"description": "Unchanged since the ETag sent."}},
)
def read(
    job_id: JobId,
    db: Db,
    response: Response,
    fits: Fits = None,
    after_version: AfterVersion = None,
    max_points: MaxPoints = 1000,
    smoothing: Smoothing = 0.0,
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
    if_none_match: IfNoneMatch = None,
) -> CurvesView | Response:
    """Read each epoch's figures, column by column; epoch 0 is the network before any update. `Accept: text/csv` gives CSV."""
    if _is_unchanged(db, job_id, if_none_match):
        return unchanged(job_version(db, job_id)[0])
    if accept is not None and "text/csv" in accept:
        return _csv(db, job_id, fits, after_version)
    found = _found(db, job_id, fits, after_version)
    whole = found if after_version is None or smoothing == 0 else _found(db, job_id, fits, None)
    views = [_view(curve, full, max_points, smoothing) for curve, full in zip(found.fits, whole.fits, strict=True)]
    is_sampled = any(len(view.epoch) < len(curve.epoch) for view, curve in zip(views, found.fits, strict=True))
    response.headers.update({"ETag": etag(found.version), "Cache-Control": "no-cache", "Vary": "Accept"})
    return CurvesView.of(found, views, sampled=is_sampled)


@router.get(
    "/curves.csv",
    summary="Download curves as CSV",
    response_class=Response,
    responses={**responses(404, 422), 200: {"content": {"text/csv": {}}, "description": "A row for each fit and epoch."}},
)
def read_csv(job_id: JobId, db: Db, fits: Fits = None, after_version: AfterVersion = None) -> Response:
    """Download every epoch's figures as CSV."""
    return _csv(db, job_id, fits, after_version)


def _is_unchanged(db: Database, job_id: str, if_none_match: str | None) -> bool:
    return if_none_match is not None and is_current(if_none_match, job_version(db, job_id)[0])


def _found(db: Database, job_id: str, fits: str | None, after_version: int | None) -> Curves:
    numbers = None if fits is None else [int(number) for number in fits.split(",")]
    if numbers is not None and 0 in numbers:
        detail = ProblemDetail(pointer="fits", code="bad_parameter", message="fits are numbered from 1")
        raise ProblemError(422, "invalid_request", "fits: fits are numbered from 1", errors=[detail])
    return curves(db, job_id, fits=numbers, after_version=after_version)


def _view(curve: FitCurve, whole: FitCurve, max_points: int, smoothing: float) -> CurveView:
    """Smooth over all epochs, then thin out."""
    averages = None
    if smoothing > 0:
        kept = set(curve.epoch)
        positions = [i for i, epoch in enumerate(whole.epoch) if epoch in kept]
        averages = {name: picked(values, positions) for name, values in smoothed(whole, smoothing).items() if name in curve.columns}
    chosen = chosen_points(curve, max_points)
    if len(chosen) < len(curve.epoch):
        columns = {name: picked(values, chosen) for name, values in curve.columns.items()}
        curve = replace(curve, epoch=[curve.epoch[i] for i in chosen], columns=columns)
        averages = None if averages is None else {name: picked(values, chosen) for name, values in averages.items()}
    return CurveView.of(curve, averages)


def _csv(db: Database, job_id: str, fits: str | None, after_version: int | None) -> Response:
    found = _found(db, job_id, fits, after_version)
    headers = {"ETag": etag(found.version), "Cache-Control": "no-cache", "Content-Disposition": f'attachment; filename="{job_id}.csv"'}
    return Response(as_csv(found), media_type="text/csv; charset=utf-8", headers=headers)

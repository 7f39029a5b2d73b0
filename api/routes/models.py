"""Models that leave: weights, ONNX, preparation, a card; and predictions."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Response

from api.choosing import Chosen, chosen
from api.dependencies import Everything, JobId, Resources
from api.ensembles import voted
from api.errors import ProblemDetail, ProblemError, responses
from api.examples import PREDICTIONS, YES, offered
from api.model_files import Format, card, model_file
from api.predicting import Row, predicted
from api.strict import StrictRoute
from api.views.predictions import AnsweredBy, MemberPredictions, PredictionRequest, PredictionView
from data.dataset import Array
from data.preprocessing.state import Preparation, Target

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["models"], route_class=StrictRoute)

Fit = Annotated[
    int | None,
    Query(
        ge=1,
        le=1_000_000,
        description="Number of a fit. Without it, what the job concluded with (`model` of its result): one fit, or an ensemble of fits that vote; a job without a result has a model if it has one fit. 409 `no_single_model` where several fits were compared and none was chosen.",
        openapi_examples=offered(1),
    ),
]
_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/octet-stream": {}, "application/zip": {}},
        "description": "A safetensors, ONNX or ZIP file.",
    }
}


@router.get("/model", summary="Download the kept model", response_class=Response, responses={**responses(404, 409, 422), **_FILES})
def read_model(
    job_id: JobId,
    resources: Everything,
    fit: Fit = None,
    kind: Annotated[
        Format,
        Query(
            alias="format",
            description="safetensors: weights and running statistics by name. onnx: the network, from prepared rows (float32) to probabilities or a standardised number. Both carry the preparation as metadata. zip: both, with preparation.json, labels.json and the model card. Of an ensemble, safetensors: the weights of fit 7 as `member_7.…`, with each member's network and preparation as metadata; onnx: one graph from raw rows (float64; the metadata `rows` and `columns` say how) through every member's own preparation and network to the vote: `probabilities`, or `predictions` in original units, NaN for a row that lacks a value it must have; zip: both, with every member's preparation, votes.json, labels.json and the model card.",
            openapi_examples=offered("onnx", "zip"),
        ),
    ] = "safetensors",
) -> Response:
    """Download kept weights: as they are, as a graph that ONNX Runtime runs, or all that belongs to them. Of a fit, or of the ensemble that a job concluded with."""
    found = chosen(resources.db, job_id, fit)
    name = "ensemble" if found.is_ensemble else f"fit-{found.fits[0].number}"
    return Response(
        model_file(found, kind, resources),
        media_type="application/zip" if kind == "zip" else "application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{job_id}-{name}.{kind}"'},
    )


@router.get("/preparation", summary="Read what preparation learned", responses=responses(404, 409, 422))
def read_preparation(job_id: JobId, resources: Everything, fit: Fit = None) -> Preparation:
    """Read how raw rows become the network's inputs and its outputs answers: what was learned from the training rows.

    Every member of an ensemble has its own: 409 `several_preparations` asks for `?fit=n`.
    """
    found = chosen(resources.db, job_id, fit)
    if found.is_ensemble:
        numbers = f"{found.fits[0].number} ... {found.fits[-1].number}"
        detail = f"each of the {len(found.fits)} members has its own preparation; name one by ?fit=n ({numbers}), or download all by /model?format=zip"
        raise ProblemError(409, "several_preparations", detail)
    return resources.models.open(job_id, found.fits[0]).preparation


@router.get(
    "/model-card",
    summary="Read the model card",
    response_class=Response,
    responses={**responses(404, 409, 422), 200: {"content": {"text/markdown": {}}, "description": "A model card in Markdown."}},
)
def read_card(job_id: JobId, resources: Everything, fit: Fit = None) -> Response:
    """Read what a kept model was made of, how well it does with intervals, its gap, and what is not known of it.

    Of an ensemble: its members, how they vote, its figures beside those of the mean member, its out-of-bag score.
    """
    return Response(card(chosen(resources.db, job_id, fit), resources), media_type="text/markdown; charset=utf-8")


@router.post("/predictions", summary="Predict", responses=responses(404, 409, 413, 415, 422))
def predict(
    job_id: JobId,
    body: Annotated[PredictionRequest, Body(openapi_examples=PREDICTIONS)],
    resources: Everything,
    fit: Fit = None,
    *,
    members: Annotated[
        bool,
        Query(description="Whether to say what each member of an ensemble predicts; one fit has none.", openapi_examples=offered(*YES)),
    ] = False,
) -> PredictionView:
    """Let a kept model answer for raw rows: they are prepared as its training rows were.

    In an ensemble every member prepares them by its own preparation and answers, then they vote.
    """
    most = resources.settings.max_prediction_rows
    if len(body.rows) > most:
        detail = ProblemDetail(pointer="/rows", code="too_many_rows", message=f"{len(body.rows)} rows are more than the {most} allowed")
        raise ProblemError(422, "invalid_rows", f"/rows: {detail.message}", errors=[detail])
    found = chosen(resources.db, job_id, fit)
    return _by_vote(found, body.rows, resources, lists_members=members) if found.is_ensemble else _by_one(found, body.rows, resources)


def _by_one(found: Chosen, rows: Sequence[Row], resources: Resources) -> PredictionView:
    model = resources.models.open(found.job.id, found.fits[0])
    outputs, warnings = predicted(model, rows)
    return _view(found, model.preparation.target, outputs, fit=found.fits[0].number, epoch=model.epoch, warnings=warnings)


def _by_vote(found: Chosen, rows: Sequence[Row], resources: Resources, *, lists_members: bool) -> PredictionView:
    votes = voted(resources.models, found.job.id, found.fits, found.model, rows)
    of_members = [
        MemberPredictions(fit=fit.number, epoch=epoch, predictions=_named(votes.target, named))
        for fit, epoch, named in zip(found.fits, votes.epochs, votes.named, strict=True)
    ]
    outputs = votes.outputs if votes.target.labels is not None else votes.outputs[:, 0]
    return _view(
        found,
        votes.target,
        outputs,
        agreement=None if votes.agreement is None else votes.agreement.tolist(),
        spread=None if votes.spread is None else votes.spread.tolist(),
        members=of_members if lists_members else None,
        warnings=votes.warnings,
    )


def _view(found: Chosen, target: Target, outputs: Array, **fields: Any) -> PredictionView:
    labels = None if target.labels is None else list(target.labels)
    return PredictionView(
        model=AnsweredBy(fits=found.model.fits, vote=found.model.vote if found.is_ensemble else None),
        target=target.name,
        unit=target.unit,
        predictions=_named(target, outputs if labels is None else outputs.argmax(axis=1)),
        labels=labels,
        probabilities=None if labels is None else outputs.tolist(),
        **fields,
    )


def _named(target: Target, answers: Array) -> list[str] | list[float]:
    """Give labels of positions, or numbers as they are."""
    return answers.tolist() if target.labels is None else [target.labels[k] for k in answers]

"""Models that leave: weights, ONNX, preparation, a card; and predictions."""

import io
import json
import zipfile
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from api.cards import model_card
from api.dependencies import Everything, JobId, Resources
from api.errors import ProblemDetail, ProblemError, responses
from api.predicting import predicted
from api.strict import StrictRoute
from api.views.fits import diagnosis_of, guess_accuracy
from api.views.predictions import PredictionRequest, PredictionView
from data.preprocessing.state import Preparation
from models.shapes import layers
from store.fits import FitState, get_fit
from store.jobs import get_job

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["models"], route_class=StrictRoute)

Fit = Annotated[int, Query(ge=1, le=1_000_000, description="Number of the fit.")]
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
    fit: Fit = 1,
    kind: Annotated[
        Literal["safetensors", "onnx", "zip"],
        Query(
            alias="format",
            description="safetensors: weights and running statistics by name. onnx: the network, from prepared rows to probabilities or a standardised number. Both carry the preparation as metadata. zip: both, with preparation.json and the model card.",
        ),
    ] = "safetensors",
) -> Response:
    """Download a fit's kept weights: as they are, as a network that ONNX Runtime runs, or all that belongs to them."""
    found = get_fit(resources.db, job_id, fit)
    match kind:
        case "safetensors":
            content, media_type = resources.models.content(found), "application/octet-stream"
        case "onnx":
            content, media_type = resources.models.open(job_id, found).onnx, "application/octet-stream"
        case _:
            content, media_type = _bundle(job_id, found, resources), "application/zip"
    headers = {"Content-Disposition": f'attachment; filename="{job_id}-fit-{fit}.{kind}"'}
    return Response(content, media_type=media_type, headers=headers)


@router.get("/preparation", summary="Read what preparation learned", responses=responses(404, 409, 422))
def read_preparation(job_id: JobId, resources: Everything, fit: Fit = 1) -> Preparation:
    """Read how raw rows become the network's inputs and its outputs answers: what was learned from the training rows."""
    return resources.models.open(job_id, get_fit(resources.db, job_id, fit)).preparation


@router.get(
    "/model-card",
    summary="Read the model card",
    response_class=Response,
    responses={**responses(404, 409, 422), 200: {"content": {"text/markdown": {}}, "description": "A model card in Markdown."}},
)
def read_card(job_id: JobId, resources: Everything, fit: Fit = 1) -> Response:
    """Read what a kept model was made of, how well it does with intervals, its gap, and what is not known of it."""
    return Response(_card(job_id, get_fit(resources.db, job_id, fit), resources), media_type="text/markdown; charset=utf-8")


@router.post("/predictions", summary="Predict", responses=responses(404, 409, 413, 415, 422))
def predict(job_id: JobId, body: PredictionRequest, resources: Everything, fit: Fit = 1) -> PredictionView:
    """Let a kept model answer for raw rows: they are prepared as its training rows were."""
    most = resources.settings.max_prediction_rows
    if len(body.rows) > most:
        detail = ProblemDetail(pointer="/rows", code="too_many_rows", message=f"{len(body.rows)} rows are more than the {most} allowed")
        raise ProblemError(422, "invalid_rows", f"/rows: {detail.message}", errors=[detail])
    model = resources.models.open(job_id, get_fit(resources.db, job_id, fit))
    outputs, warnings = predicted(model, body.rows)
    target = model.preparation.target
    labels = None if target.labels is None else list(target.labels)
    return PredictionView(
        fit=fit,
        epoch=model.epoch,
        target=target.name,
        unit=target.unit,
        predictions=outputs.tolist() if labels is None else [labels[k] for k in outputs.argmax(axis=1)],
        labels=labels,
        probabilities=None if labels is None else outputs.tolist(),
        warnings=warnings,
    )


def _bundle(job_id: str, fit: FitState, resources: Resources) -> bytes:
    model = resources.models.open(job_id, fit)
    files = {
        "model.safetensors": model.content,
        "model.onnx": model.onnx,
        "preparation.json": model.preparation.model_dump_json(indent=2).encode(),
        "labels.json": json.dumps(model.preparation.target.labels, ensure_ascii=False).encode(),
        "MODEL_CARD.md": _card(job_id, fit, resources).encode(),
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def _card(job_id: str, fit: FitState, resources: Resources) -> str:
    model = resources.models.open(job_id, fit)
    job = get_job(resources.db, job_id)
    info = resources.datasets.info(job.dataset)
    table = ["| layer | kind | output | parameters |", "| --- | --- | --- | --- |"]
    table += [
        f"| {layer.name} | {layer.kind} | {list(layer.output_shape)} | {layer.num_parameters} |"
        for layer in layers(model.network, model.preparation.input_shape, len(model.preparation.target.labels or (None,)))
    ]
    return model_card(job, fit, info, diagnosis_of(fit, guess_accuracy(info)), table)

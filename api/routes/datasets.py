"""Datasets that jobs may name: built in, or uploaded."""

from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Query, Response, UploadFile

from api.dependencies import DatasetId, Everything, Me, UploadId
from api.errors import ProblemError, responses
from api.examples import UPLOADS, offered
from api.strict import StrictRoute
from api.uploading import schema_of, store_upload
from api.views.datasets import DatasetList, DatasetView
from data.builtin import catalog
from store.datasets import PREFIX, delete_dataset, get_dataset, list_datasets
from store.errors import ArtifactsUnavailable

router = APIRouter(prefix="/v1/datasets", tags=["datasets"], route_class=StrictRoute)

Schema = Annotated[
    str,
    Form(
        alias="schema",
        description="JSON: `target` (tables need it), `task`, `features`, `group`, `time`, `split`, `columns`, `csv`, `images`, `name`, ...; see the schema `UploadSpec`. What is left out is found out and echoed.",
        examples=['{"target": "species"}'],
    ),
]
_CREATED: dict[int | str, dict[str, Any]] = {
    201: {"headers": {"Location": {"schema": {"type": "string"}}}},
    200: {"model": DatasetView, "description": "It was there."},
}


@router.post(
    "",
    status_code=201,
    summary="Upload a dataset",
    responses={**responses(400, 413, 415, 422, 429), **_CREATED},
    openapi_extra={"requestBody": {"content": {"multipart/form-data": {"examples": UPLOADS}}}},
)
def upload(
    file: Annotated[UploadFile, File(description="CSV, TSV, Parquet, NPZ, or a ZIP or tar of PNG and JPEG images in class folders.")],
    response: Response,
    resources: Everything,
    me: Me,
    described: Schema = "{}",
) -> DatasetView:
    """Upload a file and learn what is in it: types, missing values, ranges, classes, and what looks wrong.

    Equal content under an equal schema is one dataset: then the answer is 200 with the one that was there.
    """
    stored, is_new = store_upload(file, schema_of(described), resources, me.owner)
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"/v1/datasets/{stored.info.id}"
    return DatasetView.of_upload(stored)


@router.get("", summary="List datasets", responses=responses(422))
def read_all(
    resources: Everything,
    me: Me,
    cursor: Annotated[
        str | None,
        Query(
            max_length=64,
            pattern=r"^ds_[0-9a-z]+$",
            description="`next_cursor` of the page before.",
            openapi_examples=offered("ds_01m8bapj9ws3f81vyq0jypxj98"),
        ),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Most uploads of a page.", openapi_examples=offered(20))] = 50,
) -> DatasetList:
    """List the datasets that can be used here, those that cannot, with the reason, and uploads, newest first."""
    found = [DatasetView.of(one) for one in catalog()] if cursor is None else []
    uploads = list_datasets(resources.db, owner=me.sees, before=cursor, limit=limit + 1)
    page = [DatasetView.of_upload(state) for state in uploads[:limit]]
    has_more = len(uploads) > limit
    return DatasetList(
        items=[*(one for one in found if one.available), *page],
        unavailable=[one for one in found if not one.available],
        next_cursor=page[-1].id if has_more else None,
        has_more=has_more,
    )


@router.get("/{dataset_id}", summary="Read a dataset", responses=responses(404, 422))
def read(dataset_id: DatasetId, resources: Everything) -> DatasetView:
    """Read one dataset's shape, columns, class counts, source and licence; of an upload its profile and the first rows too."""
    if dataset_id.startswith(PREFIX):
        return DatasetView.of_upload(get_dataset(resources.db, dataset_id))
    try:
        return DatasetView.of(resources.datasets.info(dataset_id))
    except KeyError:
        raise ProblemError(404, "not_found", "no dataset has this id") from None


@router.delete(
    "/{dataset_id}", status_code=204, response_class=Response, summary="Delete an uploaded dataset", responses=responses(404, 409, 422)
)
def delete(dataset_id: UploadId, resources: Everything) -> None:
    """Delete an upload that no job uses, with its files. Built-in datasets stay."""
    if not dataset_id.startswith(PREFIX):
        read(dataset_id, resources)
        raise ProblemError(409, "built_in", f"{dataset_id} is built in and cannot be deleted")
    delete_dataset(resources.db, resources.artifacts, dataset_id)
    resources.datasets.forget(dataset_id)


@router.get(
    "/{dataset_id}/preview.png",
    summary="Look at a dataset",
    response_class=Response,
    responses={**responses(404, 409, 422), 200: {"content": {"image/png": {}}, "description": "A picture."}},
)
def picture(dataset_id: DatasetId, resources: Everything) -> Response:
    """Draw some rows: images and slices of volumes as pictures, signals as lines, columns of tables as histograms, by class."""
    try:
        dataset = resources.datasets.load(dataset_id)
    except KeyError:
        raise ProblemError(404, "not_found", "no dataset has this id") from None
    except ArtifactsUnavailable:
        raise
    except OSError:
        raise ProblemError(409, "unavailable", "the dataset's files are not here") from None
    from api.samples import sample_picture  # noqa: PLC0415  matplotlib takes 30 MB, and most processes never draw

    return Response(
        sample_picture(dataset), media_type="image/png", headers={"Cache-Control": "private, max-age=3600", "Vary": "Authorization"}
    )

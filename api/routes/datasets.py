"""Datasets that jobs may name."""

from typing import Annotated

from fastapi import APIRouter, Path

from api.errors import ProblemError, responses
from api.strict import StrictRoute
from api.views.catalog import DatasetList, DatasetView
from data.builtin import catalog, info

router = APIRouter(prefix="/v1/datasets", tags=["catalog"], route_class=StrictRoute)


@router.get("", summary="List datasets", responses=responses(422))
def read_all() -> DatasetList:
    """List the datasets that can be used here, and those that cannot, with the reason."""
    found = [DatasetView.of(one) for one in catalog()]
    return DatasetList(items=[one for one in found if one.available], unavailable=[one for one in found if not one.available])


@router.get("/{dataset_id}", summary="Read a dataset", responses=responses(404, 422))
def read(dataset_id: Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]) -> DatasetView:
    """Read one dataset's shape, class counts, source and licence."""
    try:
        return DatasetView.of(info(dataset_id))
    except KeyError:
        raise ProblemError(404, "not_found", "no dataset has this id") from None

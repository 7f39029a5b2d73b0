"""From a form to a stored dataset."""

import dataclasses
import math
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, cast

from fastapi import UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from api.dependencies import Resources
from api.errors import ProblemError
from api.memory import hand_back
from api.strict import strict_json
from data.uploads.ingested import Ingested
from data.uploads.limits import UploadLimits
from data.uploads.spec import UploadSpec
from store.datasets import DatasetState, Upload, store_dataset

_SCRATCH = "holdout-upload-"
_WAIT_SECONDS = 60
LARGE_BYTES = 8_000_000
"""Files beyond it are read in a process of their own, which takes half a second to start."""


def schema_of(text: str) -> UploadSpec:
    """Read the form's schema as strictly as any body.

    Raises:
        ProblemError: 422, it is not JSON.
        RequestValidationError: it is no schema.
    """
    body = strict_json(text.encode("utf-8", "surrogatepass"), "schema")
    try:
        return UploadSpec.model_validate(body)
    except ValidationError as error:
        found = [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_url=False) if not _is_beside(one["loc"], body)]
        raise RequestValidationError(found, body=body) from error


def _is_beside(location: tuple[int | str, ...], body: Any) -> bool:
    """Tell a fault of the form of a column's kind that was not sent: a word is no order, and an order no word."""
    if len(location) < 3 or location[0] != "columns":
        return False
    kind, form = body["columns"].get(location[1]), str(location[2])
    return (isinstance(kind, dict) and form.startswith("literal[")) or (isinstance(kind, str) and form == "OrdinalSpec")


def store_upload(file: UploadFile, spec: UploadSpec, resources: Resources, owner: str) -> tuple[DatasetState, bool]:
    """Understand an uploaded file and store it for its owner; give the dataset and whether it is new. Nothing is left of one that fails.

    Raises:
        UploadProblem: it cannot become a dataset.
        ProblemError: 429, too many uploads are being read.
    """
    if not resources.uploading.acquire(timeout=_WAIT_SECONDS):
        raise ProblemError(429, "busy", "too many uploads are being read at once; try again later", headers={"Retry-After": "30"})
    name = _display_name(file.filename)
    try:
        with tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{os.getpid()}-") as folder:
            ingested = _ingested(file, spec, Path(folder), resources.settings.upload_limits)
            title = spec.name or name
            upload = Upload(
                info=dataclasses.replace(ingested.info, title=title),
                schema=ingested.spec.model_dump(mode="json"),
                profile=_finite(dataclasses.asdict(ingested.profile)),
                files=ingested.files,
                x_unit=ingested.x_unit,
                file_name=name,
                num_bytes=file.size or 0,
            )
            return store_dataset(resources.db, resources.artifacts, upload, owner=owner)
    finally:
        hand_back()
        resources.uploading.release()


def _ingested(file: UploadFile, spec: UploadSpec, folder: Path, limits: UploadLimits) -> Ingested:
    """Read small files here, and large ones where their memory is nobody else's."""
    if (file.size or 0) <= LARGE_BYTES:
        from data.uploads.ingest import ingest  # noqa: PLC0415  Arrow takes 30 MB, and most processes never read a file

        return ingest(file.file, spec, folder, limits)
    spooled = cast("tempfile.SpooledTemporaryFile[bytes]", file.file)
    spooled.rollover()
    spooled.flush()
    from data.uploads.apart import ingest_apart  # noqa: PLC0415  as above

    with os.fdopen(os.dup(spooled.fileno()), "rb") as shared:
        return ingest_apart(shared, spec, folder, limits)


def sweep_scratch() -> None:
    """Remove what processes that died in the middle of an upload left."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
        owner = folder.name.removeprefix(_SCRATCH).partition("-")[0]
        # This process has just begun, so one of its number died: in a container all have the same.
        if owner.isdigit() and (int(owner) == os.getpid() or not _is_alive(int(owner))):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def _display_name(name: str | None) -> str:
    """Keep a file's name as text to show: its last part, printable."""
    last = (name or "").replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(c for c in last if c.isprintable()).encode("utf-8", "replace").decode()[:200].strip() or "unnamed"


def _finite(value: Any) -> Any:
    """Put null for what is not finite: a range that overflows is not known."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

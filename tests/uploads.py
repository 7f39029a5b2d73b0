"""Files to upload, made on the spot, and a short way to read them."""

import io
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from data.dataset import Array
from data.uploads.ingest import ingest
from data.uploads.ingested import Ingested
from data.uploads.limits import UploadLimits
from data.uploads.problems import UploadProblem
from data.uploads.spec import UploadSpec

LIMITS = UploadLimits()


@dataclass(frozen=True)
class Taken:
    """An upload that was understood, with its arrays read back."""

    ingested: Ingested
    arrays: dict[str, Array]

    @property
    def x(self) -> Array:
        return self.arrays["x"]

    @property
    def y(self) -> Array:
        return self.arrays["y"]

    @property
    def labels(self) -> tuple[str, ...] | None:
        return self.ingested.info.class_labels

    @property
    def features(self) -> tuple[str, ...] | None:
        return self.ingested.info.feature_names

    @property
    def warnings(self) -> str:
        return "\n".join(self.ingested.profile.warnings)

    def notes(self, name: str) -> str:
        return "; ".join(next(column.notes for column in self.ingested.profile.columns if column.name == name))


def take(content: bytes | str, limits: UploadLimits = LIMITS, **schema: Any) -> Taken:
    """Read an upload in a folder of its own."""
    content = content.encode() if isinstance(content, str) else content
    with tempfile.TemporaryDirectory() as folder:
        found = ingest(io.BytesIO(content), UploadSpec.model_validate(schema), Path(folder), limits)
        assert {path.name for path in Path(folder).iterdir()} == {path.name for path in found.files.values()}
        return Taken(found, {role: np.load(path, allow_pickle=False) for role, path in found.files.items()})


def refused(content: bytes | str, limits: UploadLimits = LIMITS, **schema: Any) -> UploadProblem:
    """Read an upload that cannot become a dataset, and give what is wrong."""
    with pytest.raises(UploadProblem) as caught:
        take(content, limits, **schema)
    return caught.value


def npz(**arrays: Any) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def parquet_of(columns: Mapping[str, pa.Array]) -> bytes:
    content = io.BytesIO()
    parquet.write_table(pa.table(dict(columns)), content)
    return content.getvalue()


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, file in files.items():
            archive.writestr(name, file)
    return content.getvalue()


def tarred(files: Mapping[str, bytes], mode: Any = "w:gz") -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:
        for name, file in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(file)
            archive.addfile(member, io.BytesIO(file))
    return content.getvalue()


def picture(pixels: Any, kind: str = "PNG", mode: str | None = None, **options: Any) -> bytes:
    """Encode pixels [H, W] or [H, W, C], or an image."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.asarray(pixels))
    content = io.BytesIO()
    (image if mode is None else image.convert(mode)).save(content, kind, **options)
    return content.getvalue()


def gray(value: int = 7, height: int = 4, width: int = 3) -> bytes:
    """Encode a gray image of different values, the first of which is given."""
    return picture((np.arange(height * width) + value).astype(np.uint8).reshape(height, width))


def folders(count: int = 2) -> dict[str, bytes]:
    """Give small images of two classes."""
    return {f"{label}/{i}.png": gray(i) for label in ("cat", "dog") for i in range(count)}

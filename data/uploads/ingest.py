"""From a file that came in to a dataset, or to what is wrong with it. What a file is shows in its first bytes, not in its name."""

import hashlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from data.uploads.archives import COMPRESSED_TARS, open_zip
from data.uploads.arrays import ingest_npz
from data.uploads.images import IMAGE_SUFFIXES, ingest_images
from data.uploads.ingested import Ingested
from data.uploads.limits import UploadLimits
from data.uploads.problems import UploadProblem, column_pointer, shown
from data.uploads.source import CsvSource, ParquetSource
from data.uploads.spec import OrdinalSpec, UploadSpec
from data.uploads.table import ingest_table
from data.uploads.text import dialect_of

_CHUNK = 1_048_576
_ARRAYS = "pickles, .npy and HDF5 files are not read: save arrays with numpy.savez, tables as CSV or Parquet"
_ONE_IMAGE = "one image is no dataset: send a ZIP or tar archive of images in class folders"
_REFUSED = {
    **dict.fromkeys((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"\x93NUMPY", b"\x89HDF"), _ARRAYS),
    **dict.fromkeys((b"\x89PNG", b"\xff\xd8\xff", b"GIF8"), _ONE_IMAGE),
    b"%PDF": "a PDF holds no table that can be read: send CSV, Parquet, NPZ, or an archive of images",
    b"\xd0\xcf\x11\xe0": "old spreadsheets are not read: save the sheet as CSV",
    b"{": "JSON is not read: send CSV or Parquet",
}


def ingest(file: BinaryIO, spec: UploadSpec, folder: Path, limits: UploadLimits) -> Ingested:
    """Read an uploaded file twice and write arrays to `folder`, which is the caller's to keep or delete.

    Raises:
        UploadProblem: it cannot become a dataset.
    """
    with np.errstate(all="ignore"):  # numbers near the ends of their range are no fault of the file's
        return _ingest(file, spec, folder, limits, _hash(file))


def _ingest(file: BinaryIO, spec: UploadSpec, folder: Path, limits: UploadLimits, content_hash: str) -> Ingested:
    file.seek(0)
    start = file.read(512)
    warnings: list[str] = []
    if not start:
        raise UploadProblem("the file is empty", code="empty_file")
    if start.startswith(b"PK"):
        if _holds_arrays(file, limits):
            return ingest_npz(file, spec, folder, limits, warnings, content_hash)
        return ingest_images(file, spec, folder, limits, warnings, content_hash)
    if start.startswith(tuple(COMPRESSED_TARS)) or start[257:262] == b"ustar":
        return ingest_images(file, spec, folder, limits, warnings, content_hash)
    for mark, message in _REFUSED.items():
        if start.startswith(mark):
            raise UploadProblem(message, code="unsupported_file")
    _check_table_fields(spec)
    if start.startswith(b"PAR1"):
        if spec.csv != UploadSpec().csv:
            raise UploadProblem("csv says nothing of a Parquet file: leave it out", code="does_not_apply", pointer="/csv")
        return ingest_table(ParquetSource.of(file, limits), spec, ".", folder, limits, warnings, content_hash)
    dialect = dialect_of(file, spec.csv)
    warnings.extend(dialect.warnings)
    found = {"delimiter": dialect.delimiter, "decimal": dialect.decimal, "encoding": dialect.encoding}
    resolved = spec.model_copy(update={"csv": spec.csv.model_copy(update=found)})
    _check_orders(spec)
    source = CsvSource(file, dialect, spec.csv.missing_values)
    return ingest_table(source, resolved, dialect.decimal, folder, limits, warnings, content_hash)


def _check_table_fields(spec: UploadSpec) -> None:
    if spec.images != UploadSpec().images:
        raise UploadProblem("images says nothing of a table: leave it out", code="does_not_apply", pointer="/images")


def _check_orders(spec: UploadSpec) -> None:
    """Refuse an order with a word that is read as missing: its rows would have no value, and nobody would know."""
    for name, kind in spec.columns.items():
        for i, word in enumerate(kind.order if isinstance(kind, OrdinalSpec) else ()):
            if word.strip() in spec.csv.missing_values:
                message = f"{shown(word)} stands for a missing value: take it out of csv.missing_values, or out of the order"
                raise UploadProblem(message, code="word_is_missing", pointer=f"{column_pointer(name)}/order/{i}")


def _hash(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _holds_arrays(file: BinaryIO, limits: UploadLimits) -> bool:
    with open_zip(file, limits) as archive:
        names = [info.filename.lower() for info in archive.infolist()]
    if any(name.startswith(("xl/", "content.xml")) for name in names):
        raise UploadProblem("spreadsheets are not read: save the sheet as CSV", code="unsupported_file")
    if any(name.endswith((".pkl", ".pickle", ".pt", ".pth")) for name in names):
        raise UploadProblem("the archive holds pickles, which are never read", code="unsupported_file")
    return any(name.endswith(".npy") for name in names) and not any(name.endswith(IMAGE_SUFFIXES) for name in names)

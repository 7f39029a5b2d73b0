"""From a file that came in to a dataset, or to what is wrong with it. What a file is shows in its first bytes, not in its name."""

import hashlib
import zipfile
from pathlib import Path
from typing import BinaryIO

from data.uploads.archives import open_zip
from data.uploads.arrays import ingest_npz
from data.uploads.images import ingest_images
from data.uploads.ingested import Ingested
from data.uploads.limits import UploadLimits
from data.uploads.problems import UploadProblem
from data.uploads.source import CsvSource, ParquetSource
from data.uploads.spec import UploadSpec
from data.uploads.table import ingest_table
from data.uploads.text import dialect_of

_CHUNK = 1_048_576
_COMPRESSED_TARS = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"\x93NUMPY", b"\x89HDF")


def ingest(file: BinaryIO, spec: UploadSpec, folder: Path, limits: UploadLimits) -> Ingested:
    """Read an uploaded file twice and write arrays to `folder`, which is the caller's to keep or delete.

    Raises:
        UploadProblem: it cannot become a dataset.
    """
    content_hash = _hash(file)
    file.seek(0)
    start = file.read(512)
    warnings: list[str] = []
    if not start:
        raise UploadProblem("the file is empty", code="empty_file")
    if start.startswith(b"PK"):
        if _holds_arrays(file):
            return ingest_npz(file, spec, folder, limits, warnings, content_hash)
        return ingest_images(file, spec, folder, limits, warnings, content_hash)
    if start.startswith(_COMPRESSED_TARS) or start[257:262] == b"ustar":
        return ingest_images(file, spec, folder, limits, warnings, content_hash)
    _check_table_fields(spec)
    if start.startswith(b"PAR1"):
        if spec.csv != UploadSpec().csv:
            raise UploadProblem("csv says nothing of a Parquet file: leave it out", code="does_not_apply", pointer="/csv")
        return ingest_table(ParquetSource.of(file, limits), spec, ".", folder, limits, warnings, content_hash)
    if start.startswith(_PICKLES):
        message = "the file is none of CSV, TSV, Parquet, NPZ, ZIP or tar: pickles, .npy and HDF5 files are not read; save arrays with numpy.savez"
        raise UploadProblem(message, code="unsupported_file")
    dialect = dialect_of(file, spec.csv)
    warnings.extend(dialect.warnings)
    found = {"delimiter": dialect.delimiter, "decimal": dialect.decimal, "encoding": dialect.encoding}
    resolved = spec.model_copy(update={"csv": spec.csv.model_copy(update=found)})
    source = CsvSource(file, dialect, spec.csv.missing_values)
    return ingest_table(source, resolved, dialect.decimal, folder, limits, warnings, content_hash)


def _check_table_fields(spec: UploadSpec) -> None:
    if spec.images != UploadSpec().images:
        raise UploadProblem("images says nothing of a table: leave it out", code="does_not_apply", pointer="/images")


def _hash(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _holds_arrays(file: BinaryIO) -> bool:
    with open_zip(file) as archive:
        names = _names(archive)
    if any(name.lower().endswith((".pkl", ".pickle", ".pt", ".pth")) for name in names[:1000]):
        raise UploadProblem("the archive holds pickles, which are never read", code="unsupported_file")
    return bool(names) and all(name.endswith(".npy") for name in names)


def _names(archive: zipfile.ZipFile) -> list[str]:
    return [info.filename for info in archive.infolist()]

"""The arrays of an NPZ file: headers read first, rows a piece at a time, nothing ever unpickled."""

import tokenize
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from data.dataset import Array
from data.quiet import QUIET
from data.uploads.archives import DAMAGED
from data.uploads.problems import UploadProblem, shown

_CHUNK_BYTES = 4_194_304
_MOST_AT_ONCE = 2_000_000_000
"""Bytes of an array of one value a row, which is read as a whole."""
_BAD_HEADER = (*DAMAGED, SyntaxError, TypeError, AttributeError, tokenize.TokenError)


@dataclass(frozen=True)
class Entry:
    """An array in the archive, of which only the header was read."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def chunks(self) -> Iterator[Array]:
        """Read some rows at a time.

        Raises:
            UploadProblem: the array is damaged, or shorter or longer than its header says.
        """
        row = int(np.prod([int(size) for size in self.shape[1:]], dtype=object)) * self.dtype.itemsize
        at_once = max(1, _CHUNK_BYTES // max(1, row))
        with _opened(self.archive, self.info, self.name) as file:
            _header(file, self.name)
            for start in range(0, self.shape[0], at_once):
                rows = min(at_once, self.shape[0] - start)
                content = _exactly(file, rows * row, self.name)
                yield np.frombuffer(content, self.dtype).reshape(rows, *self.shape[1:])
            if _read(file, 1, self.name):
                raise UploadProblem(f"array {shown(self.name)} is longer than its header says", code="damaged_array")

    def whole(self) -> Array:
        """Read all of it: for arrays of one value a row.

        Raises:
            UploadProblem: it is damaged, or takes too much memory.
        """
        if self.shape[0] * self.dtype.itemsize > _MOST_AT_ONCE:
            message = f"array {shown(self.name)} takes more than {_MOST_AT_ONCE} bytes: use numbers, or shorter words"
            raise UploadProblem(message, code="too_large")
        return np.concatenate(list(self.chunks()))


def entries_of(archive: zipfile.ZipFile) -> dict[str, Entry]:
    """Read the headers of all arrays, by name.

    Raises:
        UploadProblem: an entry is no array of numbers or words in row order, is damaged, or repeats a name.
    """
    found: dict[str, Entry] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name == info.filename:
            raise UploadProblem(f"{shown(info.filename)} is no array: an NPZ file holds .npy entries only", code="not_an_array")
        if name in found:
            raise UploadProblem(f"the file has two arrays called {shown(name)}", code="repeated_array")
        with _opened(archive, info, name) as file:
            shape, is_fortran, dtype = _header(file, name)
        if dtype.hasobject:
            message = f"array {shown(name)} holds Python objects, which are never unpickled: save numbers, or words of a fixed length"
            raise UploadProblem(message, code="holds_objects")
        if is_fortran and len(shape) > 1:
            message = f"array {shown(name)} is in column order: save it through numpy.ascontiguousarray"
            raise UploadProblem(message, code="column_order")
        found[name] = Entry(archive, info, name, shape, dtype)
    return found


def _opened(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> IO[bytes]:
    try:
        return archive.open(info)
    except DAMAGED as error:
        raise UploadProblem(f"array {shown(name)} is damaged: it cannot be unpacked", code="damaged_array") from error


def _header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        with QUIET:
            version = npy.read_magic(file)
            read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0, (3, 0): npy.read_array_header_2_0}[version]
            shape, is_fortran, dtype = read(file)
    except _BAD_HEADER as error:
        raise UploadProblem(f"array {shown(name)} is damaged: its header cannot be read", code="damaged_array") from error
    if any(isinstance(size, bool) or not 0 <= size < 2**63 for size in shape) or len(shape) > 32:
        raise UploadProblem(f"array {shown(name)} is damaged: its shape is impossible", code="damaged_array")
    return shape, is_fortran, dtype


def _exactly(file: IO[bytes], size: int, name: str) -> bytes:
    content = _read(file, size, name)
    if len(content) != size:
        raise UploadProblem(f"array {shown(name)} is shorter than its header says", code="damaged_array")
    return content


def _read(file: IO[bytes], size: int, name: str) -> bytes:
    try:
        return file.read(size)
    except DAMAGED as error:
        raise UploadProblem(f"array {shown(name)} is damaged: it cannot be unpacked", code="damaged_array") from error

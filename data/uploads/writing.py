"""Array files written as rows come, never whole in memory."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.lib import format as npy

from data.dataset import Array


class ColumnFile:
    """A .npy file of float64 [rows, columns], column after column, so that one column is read without the others."""

    def __init__(self, path: Path, rows: int, columns: int) -> None:
        """Know the size in advance."""
        self._path, self._rows, self._columns = path, rows, columns
        self._row = 0

    def __enter__(self) -> Self:
        """Write the header."""
        self._file = self._path.open("wb")
        header: dict[str, Any] = {"descr": "<f8", "fortran_order": True, "shape": (self._rows, self._columns)}
        npy.write_array_header_2_0(self._file, header)
        self._start = self._file.tell()
        return self

    def append(self, block: Array) -> None:
        """Write the next rows [n, columns]."""
        for i in range(self._columns):
            self._file.seek(self._start + (i * self._rows + self._row) * 8)
            self._file.write(np.ascontiguousarray(block[:, i]).data)
        self._row += len(block)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close; a file that lacks rows is an error."""
        self._file.close()
        if kind is None and self._row != self._rows:
            raise ValueError(f"{self._row} rows were written of {self._rows}")


class RowFile:
    """A .npy file of rows of one shape and type."""

    def __init__(self, path: Path, rows: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Know the size in advance."""
        self._path, self._rows, self._shape, self._dtype = path, rows, shape, dtype
        self._row = 0

    def __enter__(self) -> Self:
        """Write the header."""
        self._file = self._path.open("wb")
        header = {"descr": npy.dtype_to_descr(self._dtype), "fortran_order": False, "shape": (self._rows, *self._shape)}
        npy.write_array_header_2_0(self._file, header)
        return self

    def append(self, rows: Array) -> None:
        """Write the next rows [n, *shape]."""
        self._file.write(np.ascontiguousarray(rows, dtype=self._dtype).data)
        self._row += len(rows)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close; a file that lacks rows is an error."""
        self._file.close()
        if kind is None and self._row != self._rows:
            raise ValueError(f"{self._row} rows were written of {self._rows}")

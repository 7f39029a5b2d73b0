"""Tables as they come in: batches of rows, each column words or numbers. Read twice: once to understand, once to write."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

import numpy as np
import pyarrow as pa
from pyarrow import compute as pc
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from data.uploads.limits import UploadLimits
from data.uploads.problems import UploadProblem, shown
from data.uploads.text import Dialect, check_names

_BLOCK = 524_288
"""Bytes of text parsed at once, so the most of a row. Arrow reads up to 32 blocks ahead, which is most of what reading holds."""
_BUFFER = 65_536
"""Bytes of each column of a Parquet file read ahead; without it a row group is read whole, and a file may have one only."""
_BATCH_VALUES = 250_000
"""Cells handed on at once: few enough for the processor's cache, many enough that Python's part does not count."""
_LARGEST_BLOCK = 8_388_608
_COLUMN_BYTES = 8192
"""Bytes of a block for each column, so that wide tables are not read a few rows at a time."""
_MOST_TEXT = 1_000_000_000
"""Bytes that the words of one column may take at once."""
_DAMAGED = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError)
"""What Arrow raises on files that are damaged."""


class TableSource(Protocol):
    """A table that can be read again. Columns come as strings, float64 or timestamps; null is missing."""

    @property
    def names(self) -> tuple[str, ...]:
        """Name the columns."""

    def batches(self) -> Iterator[list[pa.Array]]:
        """Read from the first row on, a list of columns for each batch."""


@dataclass(frozen=True)
class CsvSource:
    """A text file."""

    file: BinaryIO
    dialect: Dialect
    missing: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Name the columns."""
        return self.dialect.names

    def batches(self) -> Iterator[list[pa.Array]]:
        """Read all cells as text, trimmed, missing ones as null.

        Raises:
            UploadProblem: a row has another number of cells than the first, or text is not of the encoding.
        """
        for batch in self._raw():
            yield [_cells(column, self.missing) for column in batch.columns]

    def _raw(self) -> Iterator[pa.RecordBatch]:
        self.file.seek(0)
        odd: list[tuple[int, int, int | None, str]] = []

        def note(row: Any) -> str:
            if not row.text.strip(" \t"):
                return "skip"  # a line of spaces
            odd.append((row.expected_columns, row.actual_columns, row.number, row.text))
            return "error"

        columns = [f"c{i}" for i in range(len(self.names))]
        try:
            reader = arrow_csv.open_csv(
                pa.PythonFile(self.file, mode="r"),
                arrow_csv.ReadOptions(
                    use_threads=False,
                    block_size=min(_LARGEST_BLOCK, max(_BLOCK, _COLUMN_BYTES * len(self.names))),
                    column_names=columns,
                    skip_rows=self.dialect.skip,
                    encoding="utf8" if self.dialect.encoding in {"utf-8", "utf-8-sig"} else self.dialect.encoding,
                ),
                arrow_csv.ParseOptions(delimiter=self.dialect.delimiter, newlines_in_values=True, invalid_row_handler=note),
                arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False, check_utf8=True, null_values=[]
                ),
            )
            yield from _joined(reader, len(columns))
        except (pa.ArrowException, UnicodeError) as error:
            raise self._problem(error, odd) from error

    def _problem(self, error: Exception, odd: list[tuple[int, int, int | None, str]]) -> UploadProblem:
        if odd:
            expected, actual, line, text = odd[0]
            where = "a row" if line is None else f"row {line - self.dialect.skip}"
            message = f"{where} has {actual} cell{'' if actual == 1 else 's'}, not {expected} as the first: {shown(text)} (delimiter {self.dialect.delimiter!r})"
            return UploadProblem(message, code="ragged_row")
        text = str(error)
        if "Could not skip" in text or "Empty CSV" in text:
            return UploadProblem("the file has 0 rows; at least 2 are needed", code="too_few_rows")
        if isinstance(error, UnicodeError) or "UTF8" in text:
            return UploadProblem(
                f"some text is not {self.dialect.encoding}: set csv.encoding", code="wrong_encoding", pointer="/csv/encoding"
            )
        if "straddling" in text:
            return UploadProblem("a row is longer than what is read at once: is a quotation mark left open?", code="row_too_long")
        return UploadProblem(f"the file cannot be read as CSV: {shown(text)}", code="unreadable_csv")


@dataclass(frozen=True)
class ParquetSource:
    """A Parquet file of flat columns."""

    file: BinaryIO
    names: tuple[str, ...]

    @classmethod
    def of(cls, file: BinaryIO, limits: UploadLimits) -> "ParquetSource":
        """Check what the file says of itself before anything is unpacked.

        Raises:
            UploadProblem: it is no Parquet file, or too large.
        """
        file.seek(0)
        try:
            opened = parquet.ParquetFile(pa.PythonFile(file, mode="r"))
            found, names = opened.metadata, tuple(opened.schema_arrow.names)
            unpacked = sum(max(0, found.row_group(i).total_byte_size) for i in range(found.num_row_groups))
        except _DAMAGED as error:
            raise UploadProblem("the file cannot be read as Parquet: it is damaged or cut short", code="unreadable_parquet") from error
        if unpacked > limits.max_unpacked_bytes or found.num_rows > limits.max_rows:
            message = f"{found.num_rows} rows of {unpacked} bytes are more than {limits.max_rows} rows or {limits.max_unpacked_bytes} bytes"
            raise UploadProblem(message, code="too_large")
        if not names:
            raise UploadProblem("the file has no columns", code="empty_file")
        check_names(names)
        return cls(file, names)

    def batches(self) -> Iterator[list[pa.Array]]:
        """Read numbers as float64, words as strings, instants as timestamps.

        Raises:
            UploadProblem: a column is of a kind that no network takes, or damaged.
        """
        self.file.seek(0)
        try:
            schema = parquet.ParquetFile(pa.PythonFile(self.file, mode="r")).schema_arrow
            words = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
            opened = parquet.ParquetFile(pa.PythonFile(self.file, mode="r"), read_dictionary=words, buffer_size=_BUFFER, pre_buffer=False)
            for batch in opened.iter_batches(batch_size=max(1000, _BATCH_VALUES // len(self.names)), use_threads=False):
                batch.validate(full=True)
                yield [_flat(name, column) for name, column in zip(self.names, batch.columns, strict=True)]
        except _DAMAGED as error:
            if isinstance(error, UploadProblem):
                raise
            raise UploadProblem("the file cannot be read as Parquet: it is damaged or cut short", code="unreadable_parquet") from error


def _joined(batches: Iterable[pa.RecordBatch], columns: int) -> Iterator[pa.RecordBatch]:
    """Put small batches together."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        if rows * columns >= _BATCH_VALUES:
            yield pa.concat_batches(waiting)
            waiting, rows = [], 0
    if waiting:
        yield pa.concat_batches(waiting)


def _cells(column: pa.Array, missing: Sequence[str]) -> pa.Array:
    """Trim cells and put null for missing ones, each only where the column's bytes show that there may be something to do."""
    if len(column) == 0:
        return column
    _, offsets, content = column.buffers()
    starts = np.frombuffer(offsets, dtype=np.int32)[column.offset : column.offset + len(column) + 1]
    written = np.frombuffer(content, dtype=np.uint8)[starts[0] : starts[-1]] if content is not None else np.empty(0, dtype=np.uint8)
    low, high = (int(written.min()), int(written.max())) if len(written) else (255, 0)
    if low <= ord(" ") or high >= 0x7F:  # white space may be there, beyond ASCII too
        column, low, high, has_empty = pc.utf8_trim_whitespace(column), 0, 255, True
    else:
        has_empty = bool((starts[1:] == starts[:-1]).any())
    possible = [text for text in missing if (has_empty if text == "" else low <= min(text.encode()) and max(text.encode()) <= high)]
    if not possible:
        return column
    is_missing = pc.is_in(column, value_set=pa.array(possible, pa.string()))
    return pc.if_else(is_missing, pa.scalar(None, pa.string()), column) if pc.any(is_missing).as_py() else column


def _check_unpacked(name: str, column: pa.DictionaryArray) -> None:
    """Refuse long words that a file holds once and its rows many times: a bomb."""
    words = column.dictionary
    is_text = pa.types.is_string(words.type) or pa.types.is_large_string(words.type)
    longest = pc.max(pc.binary_length(words)).as_py() if is_text else 0
    if (longest or 0) * len(column) > _MOST_TEXT:
        message = f"column {shown(name)} holds words of {longest} bytes in many rows: shorten them, or leave the column out of the file"
        raise UploadProblem(message, code="too_large")


def _numbers(column: pa.Array) -> pa.Array:
    if not pa.types.is_integer(column.type):
        return column.cast(pa.float64(), safe=False)
    try:
        return column.cast(pa.float64())
    except pa.ArrowInvalid:  # beyond 2^53: as text, names and groups stay apart
        return column.cast(pa.string())


def _flat(name: str, column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        _check_unpacked(name, column)
        return _flat(name, column.dictionary_decode())
    if pa.types.is_boolean(kind):
        return pc.if_else(column, "true", "false")
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _numbers(column)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        try:
            return column.cast(options=pc.CastOptions(pa.timestamp("us"), allow_time_truncate=True))
        except pa.ArrowInvalid as error:
            message = (
                f"column {shown(name)} holds an instant that is too far away for microseconds: mend it, or leave the column out of the file"
            )
            raise UploadProblem(message, code="unsupported_column") from error
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return column.cast(pa.string())
    if pa.types.is_null(kind):
        return column.cast(pa.float64())
    raise UploadProblem(
        f"column {shown(name)} holds {kind}: only numbers, words and instants can be used; leave it out of the file",
        code="unsupported_column",
    )

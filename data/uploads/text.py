"""What a text file looks like: its encoding, delimiter, decimal mark and header, given or found out."""

import codecs
import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from charset_normalizer import from_bytes

from data.uploads.problems import UploadProblem, shown
from data.uploads.spec import CsvSpec, Decimal, Delimiter

_SAMPLE = 262_144
_CHUNK = 1_048_576
_DELIMITERS: tuple[Delimiter, ...] = (",", ";", "\t", "|")
_COMMA_NUMBER = re.compile(r"[+-]?\d+,\d+")
_POINT_NUMBER = re.compile(r"[+-]?\d+\.\d+")


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a text file is read. `names` are those of its columns."""

    encoding: str
    delimiter: Delimiter
    decimal: Decimal
    names: tuple[str, ...]
    header: bool
    warnings: tuple[str, ...]


def dialect_of(file: BinaryIO, spec: CsvSpec) -> Dialect:
    """Look at the whole file's bytes and at the first lines' cells.

    Raises:
        UploadProblem: it is no text, or not a table in any way that is known.
    """
    warnings: list[str] = []
    encoding = spec.encoding or _encoding_of(file, warnings)
    lines = _first_lines(file, encoding)
    delimiter = spec.delimiter or _delimiter_of(lines)
    rows = _parsed(lines, delimiter)
    if not rows:
        raise UploadProblem("the file is empty", code="empty_file")
    names = _names(rows[0], spec)
    decimal = spec.decimal or _decimal_of(rows[1:] if spec.header else rows, delimiter)
    return Dialect(encoding=encoding, delimiter=delimiter, decimal=decimal, names=names, header=spec.header, warnings=tuple(warnings))


def _encoding_of(file: BinaryIO, warnings: list[str]) -> str:
    """Find the encoding: by its mark, else UTF-8 if the whole file is, else the likeliest of its beginning."""
    file.seek(0)
    start = file.read(_SAMPLE)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    position = 0
    try:
        while chunk := file.read(_CHUNK):
            if b"\x00" in chunk:
                raise UploadProblem(f"byte {position + chunk.index(0) + 1} is NUL: this is no text file", code="not_text")
            decoder.decode(chunk)
            position += len(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        file.seek(max(0, position - _SAMPLE // 2))
        best = from_bytes(file.read(_SAMPLE)).best()
        encoding = "cp1252" if best is None else best.encoding
        warnings.append(f"the file is not UTF-8; read as {encoding}: if letters look wrong, set csv.encoding")
        return encoding
    return "utf-8"


def _first_lines(file: BinaryIO, encoding: str) -> list[str]:
    file.seek(0)
    sample = file.read(_SAMPLE)
    try:
        decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding.lower().replace("_", "-") in {"utf-8", "utf8"} else encoding)()
        text = decoder.decode(sample, final=len(sample) < _SAMPLE)
    except (LookupError, ValueError) as error:  # ValueError covers UnicodeDecodeError, and names with a NUL
        raise UploadProblem(f"the file cannot be read as {shown(encoding)}", code="wrong_encoding", pointer="/csv/encoding") from error
    if not isinstance(text, str):  # Python's codecs hold some that give bytes
        raise UploadProblem(f"{shown(encoding)} is no text encoding", code="wrong_encoding", pointer="/csv/encoding")
    lines = text.splitlines(keepends=True)
    return lines[:-1] if len(sample) == _SAMPLE and len(lines) > 1 else lines


def _parsed(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    try:
        return [row for row in csv.reader(lines[:200], delimiter=delimiter) if row]
    except csv.Error as error:
        raise UploadProblem(f"the first lines cannot be read as CSV: {error}", code="unreadable_csv") from error


def _delimiter_of(lines: Sequence[str]) -> Delimiter:
    """Choose the delimiter that cuts most of the first lines into the same number of cells, more than one."""

    def merit(delimiter: Delimiter) -> tuple[float, int]:
        widths = [len(row) for row in _parsed(lines, delimiter)[:50]]
        if not widths or widths[0] < 2:
            return 0.0, 0
        return widths.count(widths[0]) / len(widths), widths[0]

    best = max(_DELIMITERS, key=merit)
    return best if merit(best)[1] else ","


def _decimal_of(rows: Sequence[Sequence[str]], delimiter: Delimiter) -> Decimal:
    if delimiter == ",":
        return "."
    cells = [cell.strip() for row in rows for cell in row]
    commas = sum(_COMMA_NUMBER.fullmatch(cell) is not None for cell in cells)
    points = sum(_POINT_NUMBER.fullmatch(cell) is not None for cell in cells)
    return "," if commas > points else "."


def _names(first: Sequence[str], spec: CsvSpec) -> tuple[str, ...]:
    if not spec.header:
        return tuple(f"column_{number}" for number in range(1, len(first) + 1))
    names = tuple(name.strip() or f"column_{number}" for number, name in enumerate(first, start=1))
    check_names(names)
    if any(mark in name for name in names for mark in "\r\n"):
        raise UploadProblem("a column's name goes over several lines", code="bad_header")
    if all(_is_number(name) for name in names):
        message = "the first line holds numbers, not the names of columns: add names, or set csv.header to false"
        raise UploadProblem(message, code="no_header", pointer="/csv/header")
    return names


def check_names(names: Sequence[str]) -> None:
    """Refuse names that could not be referred to.

    Raises:
        UploadProblem: two columns of one name, or one that is too long or not printable.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UploadProblem(f"two columns are called {shown(name)}", code="duplicate_column")
        if len(name) > 200 or "\x00" in name:
            raise UploadProblem(f"a column's name is longer than 200 characters or holds NUL: {shown(name)}", code="bad_header")
        seen.add(name)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?", text) is not None

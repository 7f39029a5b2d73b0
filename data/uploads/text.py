"""What a text file looks like: its encoding, delimiter, decimal mark and header, given or found out."""

import codecs
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from charset_normalizer import from_bytes

from data.uploads.problems import UploadProblem, shown
from data.uploads.spec import CsvSpec, Decimal, Delimiter

_SAMPLE = 262_144
_LONGEST_LINE = 4_194_304
_CHUNK = 1_048_576
_SAMPLE_ROWS = 200
_WESTERN_MARKS = frozenset(
    "\N{EURO SIGN}\N{DEGREE SIGN}\N{MICRO SIGN}\N{SECTION SIGN}\N{POUND SIGN}\N{SUPERSCRIPT TWO}\N{SUPERSCRIPT THREE}\N{PLUS-MINUS SIGN}\N{EN DASH}\N{NO-BREAK SPACE}"
)
_DELIMITERS: tuple[Delimiter, ...] = (",", ";", "\t", "|")
_COMMA_NUMBER = re.compile(r"[+-]?\d+,\d+")
_NO_TEXT = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"})
"""Codecs of Python's that are for names and source code, not for files."""
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_POINT_NUMBER = re.compile(r"[+-]?\d+\.\d+")


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a text file is read. `names` are those of its columns; `skip` lines come before the first row."""

    encoding: str
    delimiter: Delimiter
    decimal: Decimal
    names: tuple[str, ...]
    skip: int
    warnings: tuple[str, ...]


def dialect_of(file: BinaryIO, spec: CsvSpec) -> Dialect:
    """Look at the whole file's bytes and at the first lines' cells.

    Raises:
        UploadProblem: it is no text, or not a table in any way that is known.
    """
    warnings: list[str] = []
    encoding = _codec(spec.encoding) if spec.encoding is not None else _encoding_of(file, warnings)
    text = _beginning(file, encoding)
    delimiter = spec.delimiter or _delimiter_of(text, spec.decimal)
    rows, skip = _parsed(text, delimiter)
    if not rows:
        raise UploadProblem("the file is empty", code="empty_file")
    names = _names(rows[0], spec)
    decimal = spec.decimal or _decimal_of(rows[1:] if spec.header else rows, delimiter)
    skip = skip if spec.header else 0
    return Dialect(encoding=encoding, delimiter=delimiter, decimal=decimal, names=names, skip=skip, warnings=tuple(warnings))


def _codec(name: str) -> str:
    """Give a text encoding the one name that it has here.

    Raises:
        UploadProblem: there is none of this name.
    """
    try:
        found = codecs.lookup(name).name
        b"a".decode(found, "ignore")  # refuses codecs that give no text
    except (LookupError, ValueError) as error:  # ValueError covers UnicodeError, and names with a NUL
        raise UploadProblem(f"{shown(name)} is no text encoding that is known", code="wrong_encoding", pointer="/csv/encoding") from error
    if found.replace("-", "_") in _NO_TEXT:
        raise UploadProblem(f"{shown(name)} is no encoding of files", code="wrong_encoding", pointer="/csv/encoding")
    return found


def _encoding_of(file: BinaryIO, warnings: list[str]) -> str:
    """Find the encoding: by its mark, else UTF-8 if the whole file is, else the likeliest of its beginning."""
    file.seek(0)
    start = file.read(_SAMPLE)
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    position = 0
    try:
        while chunk := file.read(_CHUNK):
            if b"\x00" in chunk:
                message = (
                    f"byte {position + chunk.index(0) + 1} is NUL: this is no text file, or UTF-16 without its mark (then set csv.encoding)"
                )
                raise UploadProblem(message, code="not_text")
            decoder.decode(chunk)
            position += len(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        file.seek(max(0, position - _SAMPLE // 2))
        encoding = _likeliest(file.read(_SAMPLE))
        warnings.append(f"the file is not UTF-8; read as {encoding}: if letters look wrong, set csv.encoding")
        return encoding
    return "utf-8"


def _likeliest(sample: bytes) -> str:
    """Guess an encoding: cp1252, as most files that are not UTF-8, if it makes its other bytes letters, else what statistics say."""
    try:
        strange = [c for c in sample.decode("cp1252") if ord(c) > 127]
    except UnicodeDecodeError:
        strange = []
    if strange and sum(c.isalpha() or c in _WESTERN_MARKS for c in strange) == len(strange) and _are_apart(sample):
        return "cp1252"
    best = from_bytes(sample).best()
    return "cp1252" if best is None else codecs.lookup(best.encoding).name


def _are_apart(sample: bytes) -> bool:
    """Tell whether letters beyond ASCII stand mostly between others, as they do in western languages."""
    runs = re.findall(rb"[\x80-\xff]+", sample)
    return sum(map(len, runs)) <= 1.2 * len(runs)


def _beginning(file: BinaryIO, encoding: str) -> str:
    """Decode the first lines: whole ones, at least one if it is not endless."""
    size = _SAMPLE
    while True:
        file.seek(0)
        sample = file.read(size)
        is_whole = len(sample) < size
        try:
            decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)()
            text = decoder.decode(sample, final=is_whole).removeprefix("\ufeff")
        except (LookupError, ValueError) as error:  # ValueError covers UnicodeError
            message = f"the file cannot be read as {shown(encoding)}: name another csv.encoding"
            raise UploadProblem(message, code="wrong_encoding", pointer="/csv/encoding") from error
        cut = max(text.rfind("\n"), text.rfind("\r")) + 1
        if is_whole:
            return text
        if cut > 1 or size >= _LONGEST_LINE:
            return text[:cut] or text
        size *= 4


def _parsed(text: str, delimiter: str) -> tuple[list[list[str]], int]:
    """Cut the first lines into cells, without those that are blank; and count the lines up to the end of the first that is not."""
    rows: list[list[str]] = []
    first = 0
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            if len(row) > 1 or any(cell.strip() for cell in row):
                rows.append(row)
                first = first or reader.line_num
            if len(rows) >= _SAMPLE_ROWS:
                break
    except csv.Error as error:
        raise UploadProblem(f"the first lines cannot be read as CSV: {error}", code="unreadable_csv") from error
    return rows, first


def _delimiter_of(text: str, decimal: Decimal | None) -> Delimiter:
    """Choose the delimiter that cuts most of the first lines into the same number of cells, more than one.

    Among equals the comma comes last, for it may be a decimal mark.
    """

    def merit(delimiter: Delimiter) -> tuple[float, bool, int]:
        try:
            widths = [len(row) for row in _parsed(text, delimiter)[0][:50]]
        except UploadProblem:  # another one may cut cells that are not too long
            widths = []
        if not widths or widths[0] < 2 or (delimiter == decimal):
            return 0.0, False, 0
        return widths.count(widths[0]) / len(widths), delimiter != ",", widths[0]

    best = max(_DELIMITERS, key=merit)
    return best if merit(best)[2] else ","


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

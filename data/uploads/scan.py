"""What a column of a table turns out to hold, batch by batch: numbers, words or instants, how many are missing, which values."""

import contextlib
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from pyarrow import compute as pc

from data.dataset import Array
from data.uploads.labels import number_label
from data.uploads.problems import UploadProblem, shown
from data.uploads.spec import Decimal

_TOO_MANY = 10_001
"""Distinct values from which on a column's values are not counted any more."""
_AT_ONCE = 50_000
"""Values counted by batch that are kept until they are counted together."""
_SURE_OF_WORDS = 1000
"""Values that are no numbers, after which no value of a column is read as one."""
_NUMBER = r"^[+-]?((\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|(?i:nan|inf|infinity))$"
_LOOK = 1000
"""Rows that are looked at closely before all are taken for numbers or instants."""
_DATED = r"^\d{4}-\d\d-\d\d([T ]|$)"
_ZONED = r"[T ].*(Z|[+-]\d\d(:?\d\d)?)$"
LONGEST_WORD = 200
"""Characters of a word beyond which a column's words are free text, and are not counted."""


def numbers(column: pa.Array, decimal: Decimal) -> tuple[Array, Array]:
    """Read a column as float64 [n], NaN where missing or no number; and whether each value is a word that is no number [n].

    What is infinite counts as missing. Where the decimal mark is a comma, a point makes no number: it may separate thousands.
    """
    if pa.types.is_timestamp(column.type):
        return np.full(len(column), np.nan), column.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_string(column.type):
        text = pc.replace_substring(pc.replace_substring(column, ".", "!"), ",", ".") if decimal == "," else column
        found = None
        if pc.all(pc.match_substring_regex(text.slice(0, _LOOK), _NUMBER)).as_py() is not False:  # casts that fail are slow
            with contextlib.suppress(pa.ArrowInvalid):
                found = text.cast(pa.float64())
        if found is None or pc.any(pc.is_nan(found)).as_py():  # Arrow takes nan(word) for NaN
            is_number = pc.match_substring_regex(text, _NUMBER)
            found = pc.if_else(is_number, text, pa.scalar(None, pa.string())).cast(pa.float64())
    else:
        found = column
    values: Array = found.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    is_finite = np.isfinite(values)
    if not is_finite.all():
        values = np.where(is_finite, values, np.nan)
    if found.null_count == column.null_count:
        return values, np.zeros(len(column), dtype=bool)
    return values, column.is_valid().to_numpy(zero_copy_only=False) & ~found.is_valid().to_numpy(zero_copy_only=False)


def instants(column: pa.Array) -> Array | None:
    """Read a column of ISO 8601 instants or dates as microseconds, int64 [n]; None if some value is none."""
    if not pa.types.is_timestamp(column.type):
        if not pa.types.is_string(column.type):
            return None
        if pc.all(pc.match_substring_regex(column.slice(0, _LOOK), _DATED)).as_py() is False:  # casts that fail are slow
            return None
        zoned = pc.any(pc.match_substring_regex(column, _ZONED)).as_py()
        kind = pa.timestamp("us", tz="UTC" if zoned else None)
        try:
            column = pc.replace_substring_regex(column, r"(\.\d{6})\d+", r"\1").cast(kind)
        except pa.ArrowInvalid:
            return None
    found: Array = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return found


@dataclass
class Scan:
    """One column as far as it was read. Rows are counted from 1, the header apart."""

    name: str
    decimal: Decimal
    rows: int = 0
    nulls: int = 0
    first_null: int | None = None
    not_finite: int = 0
    first_not_finite: int | None = None
    words: int = 0
    words_looked_at: int = 0
    first_word: tuple[int, str] | None = None
    all_whole: bool = True
    all_instants: bool = True
    is_increasing: bool = True
    low: float = math.inf
    high: float = -math.inf
    mean: float = 0.0
    squares: float = 0.0
    counted: int = 0
    values: Counter[str] | None = field(default_factory=Counter)
    longest: int = 0
    has_zone: bool | None = None
    first_other_zone: int | None = None
    _last: float = -math.inf
    _waiting: list[pa.StructArray] = field(default_factory=list)
    _num_waiting: int = 0
    _counts: list[tuple[str, int]] | None = None

    def see(self, column: pa.Array) -> None:
        """Take the column's next rows.

        Raises:
            UploadProblem: a word holds NUL, which no database stores.
        """
        valid = column.is_valid().to_numpy(zero_copy_only=False)
        self.nulls, self.first_null = self._counted(~valid, self.nulls, self.first_null)
        if self.words > _SURE_OF_WORDS:
            self.words += int(valid.sum())
        else:
            found, is_word = numbers(column, self.decimal)
            strange = np.isnan(found) & valid & ~is_word
            self.not_finite, self.first_not_finite = self._counted(strange, self.not_finite, self.first_not_finite)
            if is_word.any():
                self._see_words(column, is_word)
            self._see_numbers(found[~np.isnan(found)])
        if self.words and pa.types.is_string(column.type):
            self._see_text(column)
        if self.all_instants:
            self._see_instants(column)
        self._count_values(column)
        self._counts = None
        self.rows += len(column)

    @property
    def infinite(self) -> int:
        """Count the numbers that are infinite or undefined; in a column of words they are words."""
        return 0 if self.words else self.not_finite

    @property
    def missing(self) -> int:
        """Count the values that are not there."""
        return self.nulls + self.infinite

    @property
    def first_missing(self) -> int | None:
        """Give the first row without a value."""
        found = [row for row in (self.first_null, self.first_not_finite if self.infinite else None) if row is not None]
        return min(found, default=None)

    @property
    def present(self) -> int:
        """Count the values that are there."""
        return self.rows - self.missing

    @property
    def is_numeric(self) -> bool:
        """Tell whether every value that is there is a number."""
        return self.words == 0 and self.present > 0

    @property
    def share_of_numbers(self) -> float:
        """Give the share of numbers among the values that were tried as such; a column of very many words is not tried to its end."""
        tried = self.counted + self.words_looked_at
        return self.counted / tried if tried else 0.0

    @property
    def is_beyond_exact(self) -> bool:
        """Tell whether it holds whole numbers so large that 64-bit floats do not tell neighbours apart."""
        return self.is_numeric and self.all_whole and max(abs(self.low), abs(self.high)) >= 2**53

    @property
    def distinct(self) -> int | None:
        """Count the different values; None if they are too many to count."""
        self._settle()
        return None if self.values is None else len(self.counts())

    @property
    def deviation(self) -> float:
        """Give the population standard deviation of the numbers."""
        return math.sqrt(self.squares / self.counted) if self.counted else 0.0

    def counts(self) -> list[tuple[str, int]]:
        """Count the different values: numbers in order of size, words in that of the alphabet."""
        self._settle()
        if self.values is None:
            raise ValueError("too many values to list")
        if self._counts is None:
            self._counts = sorted(self.values.items()) if self.words else self._merged(self.values)
        return self._counts

    def _merged(self, values: Counter[str]) -> list[tuple[str, int]]:
        """Put together numbers that are written in several ways."""
        merged: Counter[float] = Counter()
        for written, count in values.items():
            value = float(written.replace(",", ".") if self.decimal == "," else written)
            if math.isfinite(value):
                merged[value] += count
        return [(number_label(value), count) for value, count in sorted(merged.items())]

    def _counted(self, strange: Array, count: int, first: int | None) -> tuple[int, int | None]:
        if first is None and strange.any():
            first = self.rows + int(np.argmax(strange)) + 1
        return count + int(strange.sum()), first

    def _see_text(self, column: pa.Array) -> None:
        self.longest = max(self.longest, pc.max(pc.utf8_length(column)).as_py() or 0)
        nul = pc.fill_null(pc.match_substring(column, "\x00"), fill_value=False).to_numpy(zero_copy_only=False)
        if nul.any():
            message = f"row {self.rows + int(np.argmax(nul)) + 1} of column {shown(self.name)} holds the NUL character: remove it"
            raise UploadProblem(message, code="holds_nul")

    def _see_instants(self, column: pa.Array) -> None:
        if self.words == 0 and self.counted:
            self.all_instants = False
            return
        if pa.types.is_string(column.type):
            zoned = pc.match_substring_regex(column, _ZONED)
            known = zoned.drop_null()
            if len(known) and self.has_zone is None:
                self.has_zone = known[0].as_py()
            other = pc.fill_null(pc.not_equal(zoned, pa.scalar(self.has_zone, pa.bool_())), fill_value=False).to_numpy(zero_copy_only=False)
            if other.any():
                self.first_other_zone = self.rows + int(np.argmax(other)) + 1
        self.all_instants = self.first_other_zone is None and instants(column) is not None

    def _see_words(self, column: pa.Array, is_word: Array) -> None:
        self.words += int(is_word.sum())
        self.words_looked_at += int(is_word.sum())
        if self.first_word is None:
            at = int(np.argmax(is_word))
            self.first_word = (self.rows + at + 1, column.slice(at, 1).cast(pa.string())[0].as_py())

    def _see_numbers(self, found: Array) -> None:
        if len(found) == 0:
            return
        self.low, self.high = min(self.low, float(found.min())), max(self.high, float(found.max()))
        self.all_whole = self.all_whole and bool((found == np.floor(found)).all())
        if self.is_increasing:
            self.is_increasing = found[0] > self._last and bool((np.diff(found) > 0).all())
            self._last = float(found[-1])
        mean, count = float(found.mean()), len(found)
        both, apart = self.counted + count, mean - self.mean  # Chan, Golub & LeVeque 1983
        self.squares += float(((found - mean) ** 2).sum()) + apart * apart * self.counted * count / both
        self.mean += apart * count / both
        self.counted = both

    def _count_values(self, column: pa.Array) -> None:
        """Count values as they are written, for a word may yet come and make labels of them all."""
        if self.values is None:
            return
        if self.longest > LONGEST_WORD:
            self.values = None
            return
        if pa.types.is_string(column.type):
            found = pc.value_counts(column)
            self._waiting.append(found)
            self._num_waiting += len(found)
            if len(found) > _TOO_MANY:
                self._waiting, self._num_waiting, self.values = [], 0, None
            elif self._num_waiting >= _AT_ONCE:
                self._settle()
            return
        if pa.types.is_timestamp(column.type):
            self.values = None
            return
        numbers_, counts = np.unique(column.drop_null().to_numpy(zero_copy_only=False), return_counts=True)
        self._add(zip((number_label(one) for one in numbers_[:_TOO_MANY].tolist()), counts[:_TOO_MANY].tolist(), strict=True))

    def _settle(self) -> None:
        """Count what waits: Arrow puts the batches' values together first, so that Python sees each of them once."""
        if not self._waiting or self.values is None:
            return
        found = pa.concat_arrays(self._waiting)
        self._waiting, self._num_waiting = [], 0
        encoded = found.field("values").dictionary_encode("encode")
        codes, counts = (one.to_numpy(zero_copy_only=False) for one in (encoded.indices, found.field("counts")))
        sums = np.bincount(codes, weights=counts).astype(np.int64)  # doubles hold every whole number of rows
        self._add(zip(encoded.dictionary.to_pylist(), sums.tolist(), strict=True))

    def _add(self, pairs: Iterable[tuple[str | None, int]]) -> None:
        assert self.values is not None
        for value, count in pairs:
            if value is not None:
                self.values[value] += count
        if len(self.values) >= _TOO_MANY:
            self.values = None


def as_label(word: str, scan: Scan) -> str:
    """Write a word as the labels of a column are written: in one of numbers 1.0 is 1."""
    if not scan.is_numeric:
        return word
    try:
        return number_label(float(word.replace(",", ".") if scan.decimal == "," else word))
    except ValueError:
        return word


def positions(column: pa.Array, scan: Scan, words: tuple[str, ...]) -> Array:
    """Give each value's place among `words`, float64 [n]; NaN where it is missing.

    Raises:
        UploadProblem: a value is not among them.
    """
    if scan.is_numeric:
        found, _ = numbers(column, scan.decimal)
        different, inverse = np.unique(found, return_inverse=True)
        place = {as_label(word, scan): float(i) for i, word in enumerate(words)}
        places = np.array([math.nan if math.isnan(value) else place.get(number_label(value), -1.0) for value in different.tolist()])
        at: Array = places[inverse]
        strange = at < 0
    else:
        at = pc.index_in(column, value_set=pa.array(words, pa.string())).to_numpy(zero_copy_only=False).astype(np.float64)
        strange = np.isnan(at) & column.is_valid().to_numpy(zero_copy_only=False)
    if strange.any():
        value = str(column[int(np.argmax(strange))].as_py())
        raise UploadProblem(f"{shown(value)} is not among the words of column {shown(scan.name)}", code="unknown_word")
    return at

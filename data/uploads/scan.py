"""What a column of a table turns out to hold, batch by batch: numbers, words or instants, how many are missing, which values."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from pyarrow import compute as pc

from data.dataset import Array
from data.uploads.problems import UploadProblem, shown
from data.uploads.spec import Decimal

_TOO_MANY = 10_001
"""Distinct values from which on a column's values are not counted any more."""
_AT_ONCE = 50_000
"""Values counted by batch that are kept until they are counted together."""
_SURE_OF_WORDS = 1000
"""Values that are no numbers, after which no value of a column is read as one."""
_NUMBER = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"


def numbers(column: pa.Array, decimal: Decimal) -> tuple[Array, Array]:
    """Read a column as float64 [n], NaN where missing or no number; and whether each value is a word that is no number [n].

    What is infinite counts as missing.
    """
    if pa.types.is_timestamp(column.type):
        return np.full(len(column), np.nan), column.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_string(column.type):
        text = pc.replace_substring(column, ",", ".") if decimal == "," else column
        try:
            found = text.cast(pa.float64())
        except pa.ArrowInvalid:
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
        try:
            zoned = pc.any(pc.match_substring_regex(column, r"(Z|[+-]\d\d:?\d\d)$")).as_py()
            column = column.cast(pa.timestamp("us", tz="UTC" if zoned else None))
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
    missing: int = 0
    first_missing: int | None = None
    infinite: int = 0
    words: int = 0
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
    _last: float = -math.inf
    _waiting: list[pa.StructArray] = field(default_factory=list)
    _num_waiting: int = 0

    def see(self, column: pa.Array) -> None:
        """Take the column's next rows."""
        valid = column.is_valid().to_numpy(zero_copy_only=False)
        if self.words > _SURE_OF_WORDS:
            self._count_missing(~valid, valid)
            self.words += int(valid.sum())
        else:
            found, is_word = numbers(column, self.decimal)
            self._count_missing(~valid | (np.isnan(found) & ~is_word), valid)
            if is_word.any():
                self._see_words(column, is_word)
            self._see_numbers(found[~np.isnan(found)])
        if self.all_instants and instants(column) is None:
            self.all_instants = False
        self._count_values(column)
        self.rows += len(column)

    @property
    def present(self) -> int:
        """Count the values that are there."""
        return self.rows - self.missing

    @property
    def is_numeric(self) -> bool:
        """Tell whether every value that is there is a number."""
        return self.words == 0 and self.present > 0

    @property
    def distinct(self) -> int | None:
        """Count the different values; None if they are too many to count."""
        self._settle()
        return None if self.values is None else len(self.values)

    @property
    def deviation(self) -> float:
        """Give the population standard deviation of the numbers."""
        return math.sqrt(self.squares / self.counted) if self.counted else 0.0

    def counts(self) -> list[tuple[str, int]]:
        """Count the different values: numbers in order of size, words in that of the alphabet."""
        self._settle()
        if self.values is None:
            raise ValueError("too many values to list")
        if not self.is_numeric:
            return sorted(self.values.items())
        merged: Counter[float] = Counter()
        for written, count in self.values.items():
            merged[float(written.replace(",", ".") if self.decimal == "," else written)] += count
        return [(number_label(value), count) for value, count in sorted(merged.items()) if math.isfinite(value)]

    def _count_missing(self, absent: Array, valid: Array) -> None:
        count = int(absent.sum())
        if count and self.first_missing is None:
            self.first_missing = self.rows + int(np.argmax(absent)) + 1
        self.missing += count
        self.infinite += int((absent & valid).sum())

    def _see_words(self, column: pa.Array, is_word: Array) -> None:
        self.words += int(is_word.sum())
        if pa.types.is_string(column.type):
            self.longest = max(self.longest, pc.max(pc.utf8_length(column)).as_py() or 0)
        if self.first_word is None:
            at = int(np.argmax(is_word))
            self.first_word = (self.rows + at + 1, str(column[at].as_py()))

    def _see_numbers(self, found: Array) -> None:
        if len(found) == 0:
            return
        self.low, self.high = min(self.low, float(found.min())), max(self.high, float(found.max()))
        self.all_whole = self.all_whole and bool((found == np.floor(found)).all())
        if self.is_increasing:
            self.is_increasing = found[0] > self._last and bool((np.diff(found) > 0).all())
            self._last = float(found[-1])
        mean, count = float(found.mean()), len(found)
        both = self.counted + count  # Chan, Golub & LeVeque 1983
        self.squares += float(((found - mean) ** 2).sum()) + (mean - self.mean) ** 2 * self.counted * count / both
        self.mean += (mean - self.mean) * count / both
        self.counted = both

    def _count_values(self, column: pa.Array) -> None:
        """Count values as they are written, for a word may yet come and make labels of them all."""
        if self.values is None:
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


def number_label(value: float) -> str:
    """Write a number as a label: whole numbers without a point."""
    if not math.isfinite(value):
        return repr(value)
    return str(int(value)) if value == math.floor(value) and abs(value) < 1e15 else repr(value)


def positions(column: pa.Array, scan: Scan, words: tuple[str, ...]) -> Array:
    """Give each value's place among `words`, float64 [n]; NaN where it is missing.

    Raises:
        UploadProblem: a value is not among them.
    """
    if scan.is_numeric:
        found, _ = numbers(column, scan.decimal)
        different, inverse = np.unique(found, return_inverse=True)
        place = {word: float(i) for i, word in enumerate(words)}
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

"""What only shows when columns are looked at together: copies, features that give the target away, rows that repeat."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from data.dataset import Array, Column

_COUNTED_ROWS = 2_000_000
_PAIRS = 1_000_000
_EXACT = 0.999999
_LOST = 1e-9
"""A spread that is a smaller part of its sums than this is nothing but rounding."""


class Findings:
    """Gathers while rows are written. `notes` are sentences by column, complete once all rows were seen."""

    def __init__(self, columns: Sequence[Column], num_classes: int, num_rows: int) -> None:
        """Start with nothing seen."""
        self._columns = columns
        self._num_classes = num_classes
        self._num_rows = num_rows
        self._digests = [hashlib.blake2b(repr(column.categories).encode(), digest_size=16) for column in columns]
        self._rows: Array | None = np.empty(num_rows, dtype=np.uint64) if num_rows <= _COUNTED_ROWS else None
        self._seen = 0
        self._pairs = {
            i: np.zeros((len(column.categories) + 1, num_classes), dtype=bool)
            for i, column in enumerate(columns)
            if column.kind == "category" and 0 < (len(column.categories) + 1) * num_classes <= _PAIRS
        }
        self._sums = np.zeros((6, len(columns)))
        self._origin: Array | None = None
        self.notes: dict[str, list[str]] = {}
        self.num_duplicate_rows: int | None = None

    def see(self, block: Array, y: Array) -> None:
        """Take the next rows [n, columns] and targets [n]."""
        for i, digest in enumerate(self._digests):
            digest.update(np.ascontiguousarray(block[:, i]).data)
        for i, pairs in self._pairs.items():
            values = np.where(np.isnan(block[:, i]), len(pairs) - 1, block[:, i]).astype(np.int64)
            pairs[values, y] = True
        self._correlate(block, y.astype(np.float64))
        if self._rows is not None:
            self._rows[self._seen : self._seen + len(block)] = _row_hashes(block)
        self._seen += len(block)

    def warnings(self) -> Iterator[str]:
        """Conclude: note what was found by column, and say what matters for the whole."""
        yield from self._copies()
        yield from self._giveaways()
        if self._rows is None:
            return
        self._rows.sort()  # in place: np.unique takes several times their room
        self.num_duplicate_rows = int((self._rows[1:] == self._rows[:-1]).sum())
        if self.num_duplicate_rows:
            yield (
                f"rows with the same features as an earlier one: {self.num_duplicate_rows}; "
                "copies on both sides of a split make validation look better than it is"
            )

    def _copies(self) -> Iterator[str]:
        first: dict[bytes, str] = {}
        for column, digest in zip(self._columns, self._digests, strict=True):
            other = first.setdefault(digest.digest(), column.name)
            if other != column.name and column.num_missing < self._num_rows:
                self._note(column.name, f"a copy of {other}")
                yield f"column {column.name} is a copy of {other}"

    def _giveaways(self) -> Iterator[str]:
        for i, pairs in self._pairs.items():
            met = pairs.any(axis=1)
            if self._num_classes > 1 and met.sum() >= 2 and (pairs.sum(axis=1)[met] == 1).all() and met.sum() * 4 <= self._num_rows:
                yield self._giveaway(i, "each of its words comes with one class only")
        for i in np.flatnonzero(np.abs(self._correlations()) > _EXACT).tolist():
            if self._columns[i].kind != "category":
                yield self._giveaway(i, "the target is a linear function of it")

    def _giveaway(self, i: int, why: str) -> str:
        name = self._columns[i].name
        self._note(name, f"gives the target away: {why}")
        return f"column {name} gives the target away: {why}; was it known before the target was?"

    def _correlate(self, block: Array, y: Array) -> None:
        """Sum what Pearson's correlation needs, over rows where the column has a value, about the first row's values."""
        if self._origin is None:
            self._origin = np.nan_to_num(np.append(block[0], y[0]))
        with np.errstate(over="ignore", invalid="ignore"):
            target = y - self._origin[-1]
            for i in range(block.shape[1]):  # one column at a time: its copies stay in the processor's cache
                x, t = block[:, i] - self._origin[i], target
                absent = np.isnan(x)
                if absent.any():
                    x, t = x[~absent], t[~absent]
                self._sums[:, i] += (len(x), x.sum(), t.sum(), x @ x, t @ t, x @ t)

    def _correlations(self) -> Array:
        n, x, t, xx, tt, xt = self._sums
        with np.errstate(all="ignore"):
            spread_x, spread_t = n * xx - x * x, n * tt - t * t
            found = (n * xt - x * t) / np.sqrt(spread_x * spread_t)
            is_sure = (n > 2) & (spread_x > _LOST * n * xx) & (spread_t > _LOST * n * tt)
        return np.nan_to_num(np.where(is_sure, found, 0.0), nan=0.0, posinf=0.0, neginf=0.0)

    def _note(self, name: str, text: str) -> None:
        self.notes.setdefault(name, []).append(text)


def _row_hashes(block: Array) -> Array:
    """Mix every row into 64 bits (multiply and rotate; equal rows give equal bits)."""
    mixed = np.full(len(block), 0x9E3779B97F4A7C15, dtype=np.uint64)
    for i in range(block.shape[1]):
        bits = (block[:, i] + 0.0).view(np.uint64)  # + 0.0 makes -0.0 of no account
        mixed = (mixed ^ bits) * np.uint64(0xFF51AFD7ED558CCD)
        mixed = (mixed << np.uint64(31)) | (mixed >> np.uint64(33))
    return mixed

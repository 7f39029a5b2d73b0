"""What a split gives: row numbers in three parts. Or what it says when it cannot be made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from data.dataset import Array

_MOST_ROW_NUMBERS = 50_000_000
"""Row numbers in all divisions of one split: 400 MB."""


class SplitProblem(ValueError):
    """A split that cannot be made on these rows. `pointer` is a JSON pointer into the job spec."""

    def __init__(self, message: str, *, pointer: str, code: str) -> None:
        """Say what is wrong and where."""
        super().__init__(message)
        self.pointer = pointer
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Division:
    """Row indices of the three parts, disjoint. A part that was not asked for is empty.

    One hold-out has every row in one of them. Of several divisions (folds) each has a `place`: fold and repeat, from 1, and all
    have the same test rows.
    """

    train: Array
    val: Array
    test: Array
    label: str = "holdout"
    place: Mapping[str, int] = field(default_factory=dict)


Features = Callable[[Array], Array]
"""Reads prepared features [n, F] of the rows given, for what divides by them."""


def check_room(divisions: int, rows: int, pointer: str) -> None:
    """Refuse divisions that would not fit in memory.

    Raises:
        SplitProblem: all divisions together would hold too many row numbers.
    """
    if divisions * rows > _MOST_ROW_NUMBERS:
        message = f"{divisions} divisions of {rows} rows are {divisions * rows} row numbers, more than the {_MOST_ROW_NUMBERS} allowed"
        raise SplitProblem(f"{message}: ask for fewer folds or repeats", pointer=pointer, code="too_many_folds")

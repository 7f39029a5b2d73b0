"""A setting of a search, or of another axis of complexity, as an axis of a picture."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from api.pictures.figures import said
from api.pictures.style import categories, is_wide, logarithmic, plain
from jobs.plans.search.spec import AxisSpec, RangeSpec
from jobs.pointers import words_of

_MAX_LABEL = 14
_MAX_UPRIGHT = 24
"""Letters of all labels that have room beside one another."""
_MAX_TICKS = 6
_LOG_SPREAD = 7.9
"""Listed numbers that differ by more than this factor are most often powers of something."""


@dataclass(frozen=True)
class Setting:
    """An axis: of numbers from `low` to `high`, or of words at 0, 1, 2, ..."""

    pointer: str
    label: str
    low: float
    high: float
    is_log: bool = False
    words: tuple[str, ...] | None = None
    """JSON of the values, in order."""
    ticks: tuple[float, ...] = ()
    """Numbers that were listed, where they are few."""

    def place(self, value: Any) -> float:
        """Say where a value stands on the axis."""
        if self.words is not None:
            word = written(value)
            return float(self.words.index(word)) if word in self.words else math.nan
        return float(value)

    def height(self, value: Any) -> float:
        """Say where a value stands between 0 and 1."""
        at, low, high = self.place(value), self.low, self.high
        if low == high:
            return 0.5
        if self.is_log:
            at, low, high = math.log(at), math.log(low), math.log(high)
        return (at - low) / (high - low)

    def marks(self, most: int) -> list[tuple[float, str]]:
        """Give heights and texts, of `most` letters, to be read along the axis."""
        if self.words is not None:
            step = -(-len(self.words) // 8)
            count = max(1, len(self.words) - 1)
            return [
                (i / count if len(self.words) > 1 else 0.5, shown(word, most, self.words))
                for i, word in enumerate(self.words)
                if i % step == 0
            ]
        return [(self.height(value), said(value, 6)) for value in self.ticks or dict.fromkeys((self.low, self.high))]

    def dress(self, axes: Axes) -> None:
        """Set up the x axis of a panel."""
        if self.words is not None:
            labels = [shown(word, _MAX_LABEL, self.words) for word in self.words]
            is_tight = sum(map(len, labels)) > _MAX_UPRIGHT
            categories(axes, "x", labels, most=8 if is_tight else 12, rotate=is_tight)
            axes.set_xlim(-0.5, len(self.words) - 0.5)
            return
        if self.is_log:
            logarithmic_from(axes, self.low, self.high)
        if self.ticks:
            axes.set_xticks(self.ticks, [said(value, 6) for value in self.ticks])
            axes.minorticks_off()


def logarithmic_from(axes: Axes, low: float, high: float) -> None:
    """Make the x axis logarithmic, from below `low` to above `high`."""
    room = (high / low) ** 0.05
    axes.set_xlim(low / room, high * room)
    logarithmic(axes, "x")


def setting_of(pointer: str, axis: AxisSpec, values: Sequence[Any]) -> Setting:
    """Make the axis of a setting from what was asked for and the values that were tried."""
    label = plain(words_of(pointer), 24)
    if isinstance(axis, RangeSpec):
        return Setting(pointer, label, axis.low, axis.high, axis.log)
    return listed(pointer, label, [*axis.values, *values])


def listed(pointer: str, label: str, values: Sequence[Any]) -> Setting:
    """Make an axis of listed values: of numbers where all are."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        found = sorted({float(value) for value in values})
        return Setting(
            pointer, label, found[0], found[-1], is_wide(found, _LOG_SPREAD), ticks=tuple(found) if len(found) <= _MAX_TICKS else ()
        )
    words = tuple(dict.fromkeys(written(value) for value in values))
    return Setting(pointer, label, 0.0, len(words) - 1.0, words=words)


def shown(word: str, most: int, among: Sequence[str] = ()) -> str:
    """Shorten the JSON of a value for people: a technique to its name, where that tells it from the others."""
    value = json.loads(word)
    if isinstance(value, dict) and "name" in value:
        alike = [other for other in map(json.loads, among) if isinstance(other, dict) and other.get("name") == value["name"]]
        rest = ", ".join(f"{key}={written(one)}" for key, one in value.items() if key != "name") if len(alike) > 1 else ""
        return plain(f"{value['name']} {rest}".strip(), most)
    return plain(value if isinstance(value, str) else word, most)


def written(value: Any) -> str:
    """Write a value as JSON; equal ones alike."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)

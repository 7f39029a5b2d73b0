"""Settings of a search space: JSON pointers with the values that are set there."""

import itertools
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jobs.plans.search.spec import DEFAULT_CANDIDATES, AxisSpec, ListedSpec, RangeSpec, SearchSpec
from jobs.pointers import parts_of

Settings = dict[str, Any]
"""JSON pointer to value, outer pointers before those that lead into them."""

_MOST_TEXT = 60
_MOST_LABEL = 150
_DRAWS = 1000
"""Draws for each candidate that is wanted, before a space counts as exhausted."""
_MOST_CORNERS = 256


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One setting that is tried; `number` from 1."""

    number: int
    label: str
    settings: Settings


def candidates_of(asked: SearchSpec, seed: int) -> list[Candidate]:
    """Give the candidates that are known before any is trained, each once: those of a grid or of a random search."""
    found = grid(asked.space) if asked.method == "grid" else drawn(asked.space, asked.candidates or DEFAULT_CANDIDATES, seed)
    return [Candidate(number=i, label=label_of(asked.space, settings), settings=settings) for i, settings in enumerate(found, start=1)]


def grid(space: Mapping[str, AxisSpec]) -> Iterator[Settings]:
    """Give every combination of listed values; the last pointer's change fastest."""
    listed = [axis.values for axis in space.values() if isinstance(axis, ListedSpec)]
    for values in itertools.product(*listed):
        yield in_order(dict(zip(space, values, strict=True)))


def drawn(space: Mapping[str, AxisSpec], wanted: int, seed: int) -> list[Settings]:
    """Draw different combinations; fewer than `wanted` only if a thousand times as many draws give no more."""
    generator = np.random.default_rng(seed)
    found: dict[str, Settings] = {}
    for _ in range(_DRAWS * wanted):
        if len(found) == wanted:
            break
        settings = in_order({pointer: _draw(axis, generator) for pointer, axis in space.items()})
        found.setdefault(key_of(settings), settings)
    return list(found.values())


def _draw(axis: AxisSpec, generator: np.random.Generator) -> Any:
    if isinstance(axis, ListedSpec):
        return axis.values[int(generator.integers(len(axis.values)))]
    margin = 0.5 if axis.integer else 0.0
    low, high = axis.low - margin, axis.high + margin
    value = math.exp(generator.uniform(math.log(low), math.log(high))) if axis.log else generator.uniform(low, high)
    return rounded(axis, value)


def rounded(axis: RangeSpec, value: float) -> int | float:
    """Give a number of an axis that its label shows in full: whole, or of six digits."""
    inside = min(max(float(f"{value:.6g}"), axis.low), axis.high)
    return int(min(max(round(value), axis.low), axis.high)) if axis.integer else inside


def count_settings(space: Mapping[str, AxisSpec]) -> int | None:
    """Count a space's settings; None where numbers of a range are not whole."""
    counts = [
        len(axis.values) if isinstance(axis, ListedSpec) else int(axis.high - axis.low) + 1 if axis.integer else None
        for axis in space.values()
    ]
    return None if None in counts else math.prod(count for count in counts if count is not None)


def corners(space: Mapping[str, AxisSpec], base: Settings | None = None) -> Iterator[Settings]:
    """Give the combinations of the ends of ranges and of all listed values; where they are many, each value beside the first of the others."""
    ends = {
        pointer: axis.values if isinstance(axis, ListedSpec) else (rounded(axis, axis.low), rounded(axis, axis.high))
        for pointer, axis in space.items()
    }
    if math.prod(len(values) for values in ends.values()) <= _MOST_CORNERS:
        for values in itertools.product(*ends.values()):
            yield in_order({**(base or {}), **dict(zip(ends, values, strict=True))})
        return
    first = {**(base or {}), **{pointer: values[0] for pointer, values in ends.items()}}
    for pointer, values in ends.items():
        for value in values:
            yield in_order({**first, pointer: value})


def in_order(settings: Settings) -> Settings:
    """Put outer pointers before those that lead into them."""
    return dict(sorted(settings.items(), key=lambda item: item[0].count("/")))


def key_of(settings: Mapping[str, Any]) -> str:
    """Name equal settings alike; 1 and 1.0 are the same number."""
    return json.dumps({pointer: _plain(value) for pointer, value in settings.items()}, sort_keys=True)


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def label_of(space: Mapping[str, AxisSpec], settings: Mapping[str, Any]) -> str:
    """Name a candidate: learning_rate=0.1, l2=0. A pointer is whole where its last part is that of several."""
    names = {pointer: _last_part(pointer) for pointer in space}
    several = Counter(names.values())
    parts = [
        f"{names[pointer] if several[names[pointer]] == 1 else pointer}={_text(space[pointer], settings[pointer])}" for pointer in space
    ]
    return _shortened(", ".join(parts), _MOST_LABEL)


def _last_part(pointer: str) -> str:
    parts = parts_of(pointer)
    if not parts:
        return pointer
    return "/".join(parts[-2:]) if parts[-1].isdecimal() or parts[-1] == "name" else parts[-1]


def _text(axis: AxisSpec, value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return _shortened(value, _MOST_TEXT)
    if isinstance(value, dict) and "name" in value and isinstance(axis, ListedSpec):
        alike = [other for other in axis.values if isinstance(other, dict) and other.get("name") == value["name"]]
        if len(alike) == 1:
            return str(value["name"])
    return _shortened(json.dumps(value, separators=(",", ":")), _MOST_TEXT)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"

"""What the API tells of a job, in the forms that other tools ask for: flat settings, moments, points."""

import copy
import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, TypeVar

Json = Mapping[str, Any]
T = TypeVar("T")


def settings_of(job: Json, fit: Json | None = None) -> dict[str, Any]:
    """Give a job's resolved spec, or that of one of its fits: with what the plan set otherwise, without the plan."""
    spec: dict[str, Any] = copy.deepcopy(dict(job["spec"]))
    if fit is None:
        return spec
    spec.pop("plan", None)
    for pointer, value in fit["overrides"].items():
        *path, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
        place: Any = spec
        for part in path:
            place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
        place[int(last) if isinstance(place, list) else last] = value
    return spec


def flattened(settings: Json, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give each setting by its dotted name, `optimizer.learning_rate`. Lists are values: lists differ in length, columns may not."""
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def as_text(value: Any) -> str:
    """Write a setting: text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def moment(text: str) -> float:
    """Give an instant of the API in seconds since 1970."""
    return dt.datetime.fromisoformat(text).timestamp()


def began_at(job: Json) -> float:
    """Give when a job began, or else was made, in seconds since 1970."""
    return moment(job["started_at"] or job["created_at"])


def moments(job: Json, curve: Json) -> list[float]:
    """Give when each epoch of a curve ended, in seconds since 1970: the job's start and the time that this fit's epochs took.

    What the fit waited for, and epochs that `curve` lacks, are not in it.
    """
    start = began_at(job)
    return [start + passed for passed in accumulate(second or 0.0 for second in curve.get("seconds") or [0.0] * len(curve["epoch"]))]


def slices(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut what a server takes only so many of at once."""
    return (values[i : i + size] for i in range(0, len(values), size))


def points(curve: Json, figure: str) -> Iterator[tuple[int, float]]:
    """Give position and value of a figure, where it has one: what is missing is no point, and is not 0."""
    column: Sequence[float | None] = curve.get(figure) or ()
    return ((i, value) for i, value in enumerate(column) if value is not None)

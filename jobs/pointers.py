"""JSON pointers (RFC 6901), and pydantic's locations as such."""

from collections.abc import Sequence
from typing import Any, cast


def escaped(part: str | int) -> str:
    """Write one key or index as a part of a pointer."""
    return str(part).replace("~", "~0").replace("/", "~1")


def parts_of(pointer: str) -> list[str]:
    """Read the keys and indices of a pointer."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def is_within(pointer: str, outer: str) -> bool:
    """Tell whether `pointer` is `outer` or leads further down."""
    return pointer == outer or pointer.startswith(f"{outer}/")


def pointer_of(location: Sequence[str | int], body: Any) -> str:
    """Turn pydantic's location into a pointer: what names a member of a union, not a key of the body, is left out."""
    pointer, at = "", body
    for index, part in enumerate(location, start=1):
        if isinstance(part, str) and (part.startswith("literal[") or part == "[key]"):
            continue
        is_last = index == len(location)
        if (isinstance(at, dict) and part in at) or (isinstance(at, list) and isinstance(part, int) and part < len(at)):
            at = cast("Any", at)[part]
        elif not (is_last and isinstance(at, dict) and isinstance(part, str)):
            continue
        pointer += "/" + escaped(part)
    return pointer

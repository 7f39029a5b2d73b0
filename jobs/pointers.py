"""JSON pointers (RFC 6901), and pydantic's locations as such."""

from collections.abc import Iterable, Sequence
from typing import Any, cast


def escaped(part: str | int) -> str:
    """Write one key or index as a part of a pointer."""
    return str(part).replace("~", "~0").replace("/", "~1")


def parts_of(pointer: str) -> list[str]:
    """Read the keys and indices of a pointer."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def words_of(pointer: str) -> str:
    """Name what a pointer leads to for people: hidden units, L2 penalty, blocks 0 channels."""
    parts = parts_of(pointer)
    if parts and parts[-1] == "name":
        parts.pop()
    numbered = [part for part in parts[-3:] if part.isdecimal()]
    last = parts[-3:] if numbered and not parts[-1].isdecimal() else parts[-2:] if numbered else parts[-1:]
    words = " ".join(last).replace("_", " ")
    return {"l1": "L1 penalty", "l2": "L2 penalty"}.get(words, words) or pointer


def is_within(pointer: str, outer: str) -> bool:
    """Tell whether `pointer` is `outer` or leads further down."""
    return pointer == outer or pointer.startswith(f"{outer}/")


def within(pointer: str, body: Any) -> str:
    """Give as much of a pointer as leads to something in a body."""
    found, at = "", body
    for part in parts_of(pointer):
        if isinstance(at, dict) and part in at:
            at = cast("Any", at)[part]
        elif isinstance(at, list) and part.isdecimal() and int(part) < len(at):
            at = cast("Any", at)[int(part)]
        else:
            break
        found += "/" + escaped(part)
    return found


def follows(pointer: str, codes: Iterable[str], pointers: Iterable[str]) -> bool:
    """Tell whether a fault is only of a length, counted without the items that have faults of their own."""
    return set(codes) == {"too_short"} and any(other.startswith(f"{pointer}/") for other in pointers)


def pointer_of(location: Sequence[str | int], body: Any, *, is_missing: bool) -> str:
    """Turn pydantic's location into a pointer: what names a member of a union, not a key of the body, is left out.

    `is_missing`: the last part is a key that the body lacks.
    """
    pointer, at = "", body
    for index, part in enumerate(location, start=1):
        if isinstance(part, str) and (part.startswith("literal[") or part == "[key]"):
            continue
        is_last = index == len(location)
        # The member `momentum` has a field of that name: before a field comes the member. At the root a name is anybody's text.
        if index > 1 and not is_last and isinstance(at, dict) and at.get("name") == part:
            continue
        if (isinstance(at, dict) and part in at) or (isinstance(at, list) and isinstance(part, int) and part < len(at)):
            at = cast("Any", at)[part]
        elif not (is_missing and is_last):
            continue
        pointer += "/" + escaped(part)
    return pointer

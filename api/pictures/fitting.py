"""How much text a picture has room for: measured, for letters differ in width."""

from bisect import bisect_left

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

_MOST = 2000
"""Letters of a text that are looked at."""
_HINTED = 1.08
"""Letters set on whole pixels are up to this much wider than they were drawn."""


def width_of(text: str, size: float, weight: str = "normal") -> float:
    """Measure a line in inches, at its widest."""
    points, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(size=size, weight=weight), ismath=False)
    return _HINTED * float(points) / 72


def printable(text: str) -> str:
    """Make one line of foreign text, of what can be printed: SVG is XML, which has no control characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def shortened(text: str, inches: float, size: float, weight: str = "normal") -> str:
    """Cut a line to the room that it has, and mark that it was cut."""
    text = printable(text)
    if len(text) <= _MOST and width_of(text, size, weight) <= inches:
        return text
    return text[: _fitting(text, inches - width_of("…", size, weight), size, weight)].rstrip() + "…"


def wrapped(text: str, inches: float, size: float, weight: str = "normal", *, most: int = 1) -> list[str]:
    """Break a text into lines that fit, `most` of them: between words, or within one that would leave a line half empty."""
    left, lines = printable(text), list[str]()
    while left and len(lines) < most - 1 and (len(left) > _MOST or width_of(left, size, weight) > inches):
        room = max(1, _fitting(left, inches, size, weight))
        space = left.rfind(" ", 0, room + 1)
        at = space if space > room // 2 else room
        lines.append(left[:at].rstrip())
        left = left[at:].lstrip()
    return [*lines, shortened(left, inches, size, weight)] if left else lines


def _fitting(text: str, inches: float, size: float, weight: str) -> int:
    """Count the first letters that fit."""
    return bisect_left(range(1, min(len(text), _MOST) + 1), x=True, key=lambda count: width_of(text[:count], size, weight) > inches)

"""Labels of ticks that would be printed over one another are thinned out, and names of axes that are too long take another line."""

import math
from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axis import Axis, Tick
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FuncFormatter
from matplotlib.transforms import Bbox

from api.pictures.fitting import width_of, wrapped

_ROUNDS = 4
_LINES = 4
"""Most lines that a line of a name is broken into."""
_GAP = 3.0
"""Points between two labels."""


def settle(figure: Figure) -> None:
    """Lay a figure out for good, with labels that do not meet and end within it."""
    figure.draw_without_rendering()
    broken = [_break(axis, figure, is_x=axis is axes.xaxis) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    if any(broken):
        figure.draw_without_rendering()
    for _ in range(_ROUNDS):
        crowded = [
            axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) if _is_crowded(axis, figure.dpi, is_x=axis is axes.xaxis)
        ]
        if not crowded:
            break
        for axis in crowded:
            _thin(axis)
        figure.draw_without_rendering()
    figure.set_layout_engine("none")


def _break(axis: Axis, figure: Figure, *, is_x: bool) -> bool:
    """Break the lines of an axis's name that would begin or end outside of the figure; tell whether there were any."""
    box = axis.label.get_window_extent()
    low, high, end = (box.x0, box.x1, figure.bbox.x1) if is_x else (box.y0, box.y1, figure.bbox.y1)
    if low >= 0 and high <= end:
        return False
    middle = (low + high) / 2
    room = 2 * min(middle, end - middle) / figure.dpi
    size = float(axis.label.get_fontsize())
    apart = [part for line in axis.label.get_text().split("\n") for part in (_before_unit(line) if width_of(line, size) > room else [line])]
    lines = [part for line in apart for part in wrapped(line, room, size, most=_LINES)]
    axis.label.set_text("\n".join(lines))
    return True


def _before_unit(line: str) -> list[str]:
    """Break before the unit, which stands in brackets."""
    return line.replace(" (", "\n(", 1).split("\n")


def labelled(axis: Axis) -> list[Tick]:
    """Find the ticks in view that have a label."""
    low, high = sorted(axis.get_view_interval())
    room = 1e-9 * (high - low)
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    return sorted(
        (one for one in ticks if one.label1.get_visible() and one.label1.get_text() and low - room <= one.get_loc() <= high + room),
        key=lambda one: one.get_loc(),
    )


def boxes(ticks: Sequence[Tick]) -> list[Bbox]:
    """Measure labels in pixels."""
    return [one.label1.get_window_extent() for one in ticks]


def _is_crowded(axis: Axis, dpi: float, *, is_x: bool) -> bool:
    ticks = labelled(axis)
    found, gap = boxes(ticks), _GAP * dpi / 72
    angle = math.radians(ticks[0].label1.get_rotation() % 180) if ticks else 0.0
    if angle and is_x:  # slanted lines meet where they are closer than a line is high
        height = float(ticks[0].label1.get_fontsize()) * dpi / 72
        return any((right.x1 - left.x1) * math.sin(angle) < height for left, right in pairwise(found))
    if is_x:
        return any(right.x0 - left.x1 < gap for left, right in pairwise(found))
    found.sort(key=lambda one: one.y0)
    return any(upper.y0 < lower.y1 for lower, upper in pairwise(found))


def _thin(axis: Axis) -> None:
    """Keep every other label, 0 among them."""
    ticks = labelled(axis)
    places = [float(one.get_loc()) for one in ticks]
    kept = slice(places.index(0.0) % 2 if 0.0 in places else 0, None, 2)
    is_fixed = isinstance(axis.get_major_formatter(), FixedFormatter | FuncFormatter)
    texts = [one.label1.get_text() for one in ticks][kept]
    axis.set_ticks(places[kept], texts if is_fixed else None)
    axis.set_ticks([], minor=True)

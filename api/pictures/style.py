"""What all pictures share: colors, pages, axes, and how text and numbers of others get onto them."""

import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

from api.pictures.figures import PlainLogTicks, PlainTicks
from api.pictures.fitting import printable, width_of, wrapped

_EAST_ASIAN = (
    "Noto Sans CJK KR", "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans KR", "Noto Sans JP", "Noto Sans SC", "Source Han Sans KR",
    "NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo", "Hiragino Sans", "Yu Gothic", "PingFang SC", "Microsoft YaHei", "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei", "Droid Sans Fallback",
)  # fmt: skip


def families(known: Iterable[str]) -> list[str]:
    """Choose fonts among those that a machine has: letters that the first lacks are taken from the others."""
    here = set(known)
    return ["sans-serif", *(name for name in _EAST_ASIAN if name in here)]


mpl.rcParams.update(
    {
        "font.family": families(font.name for font in fontManager.ttflist),
        "font.sans-serif": ["DejaVu Sans", "Bitstream Vera Sans", "Verdana", "Arial", "Helvetica"],  # the first three are equally wide
        "svg.fonttype": "none",  # text that is found, read aloud and edited
        "svg.hashsalt": "holdout",
        "axes.formatter.useoffset": False,
    }
)

Format = Literal["png", "svg"]

TRAIN = "#0b6e99"
VAL = "#d9480f"
INK = "#212529"
FAINT = "#868e96"
HUES = ("#0072b2", "#d55e00", "#00795a", "#a8457f", "#8a6100", "#2a6f97", "#6f4e9c", "#3d434b")
"""The dashboard's on white (api/dashboard/static/chart.js); told apart by people who see fewer colors (after Okabe & Ito 2008)."""
MARKERS = "osD^vPX*"
"""One for each hue: nothing is told by color alone."""
DASHES = (0, (4, 1.5))
WIDTH = 11.0
"""Inches; 2112 pixels as PNG."""

_DPI = 192
_SPREAD = 30
"""An axis is logarithmic where its largest value is more than this times the smallest."""
_EDGE = 0.1
"""Inches beside a heading."""
_KEY = 0.65
"""Inches of a legend's line and the room beside it."""
_MAX_TITLE_LINES = 2
_MAX_LINES = 4
_FLOOR = 1e-6
_VERY_WIDE = 1000
_DRAWABLE = 1e100
"""Beyond it the arithmetic of axes overflows; such a value leaves a hole in its curve."""
SMALL = 9.5


@dataclass(frozen=True, kw_only=True)
class Heading:
    """What stands above a picture. `trouble` says why a job has no result."""

    title: str
    subtitle: str = ""
    sentence: str = ""
    trouble: str = ""


@dataclass(frozen=True, kw_only=True)
class Units:
    """What figures are in: those of classes, or of numbers in the target's unit."""

    is_classes: bool
    unit: str | None = None

    @property
    def metric(self) -> str:
        """Name the figure beside the loss that is told of one network: its score."""
        return "accuracy" if self.is_classes else "r2"

    @property
    def error_metric(self) -> str:
        """Name the figure beside the loss that ensembles are told by."""
        return "accuracy" if self.is_classes else "rmse"

    def label(self, figure: str, of: str = "") -> str:
        """Label an axis with a figure: loss, accuracy, rmse or r2, with its unit; `of` precedes it: validation."""
        named = f"({plain(self.unit, 34)})" if self.unit else None
        words = {
            "loss": "cross-entropy (nats)"
            if self.is_classes
            else f"mean squared error\n{f'{named}²' if named else '(target units squared)'}",
            "accuracy": "accuracy",
            "rmse": f"RMSE {named or '(target units)'}",
            "r2": "R²",
        }
        return f"{of} {words[figure]}".strip()


def page(heading: Heading, height: float = 4.6, width: float = WIDTH) -> Figure:
    """Make a figure with a heading above `height` inches of room."""
    parts = [
        (heading.title, 13.0, INK, "bold", _MAX_TITLE_LINES),
        (heading.subtitle, SMALL, FAINT, "normal", 1),
        (heading.sentence, 10.5, INK, "normal", _MAX_LINES),
        (heading.trouble, 10.5, VAL, "normal", _MAX_LINES),
    ]
    lines = [
        (line, size, color, weight)
        for text, size, color, weight, most in parts
        for line in wrapped(text, width - 2 * _EDGE, size, weight, most=most)
    ]
    top = 0.12 + sum(size * 1.45 / 72 for _, size, _, _ in lines)
    figure = Figure(figsize=(width, height + top), dpi=_DPI)
    figure.set_layout_engine(ConstrainedLayoutEngine(rect=(0, 0, 1, height / (height + top)), w_pad=0.1, h_pad=0.08))
    FigureCanvasAgg(figure)
    at = 0.08
    for text, size, color, weight in lines:
        place = (_EDGE / width, 1 - at / (height + top))
        figure.text(*place, text, va="top", fontsize=size, color=color, fontweight=weight, parse_math=False)
        at += size * 1.45 / 72
    return figure


def written(figure: Figure, kind: Format) -> bytes:
    """Write a figure; equal figures are equal bytes."""
    content = io.BytesIO()
    figure.savefig(content, format=kind, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return content.getvalue()


def plain(text: str, most: int) -> str:
    """Keep foreign text to one line of what can be printed and is no formula."""
    text = printable(text)
    text = text if len(text) <= most else text[: most - 1].rstrip() + "…"
    return text.replace("$", r"\$")


def numbers(values: Iterable[float | None]) -> list[float]:
    """Give numbers that can be drawn; a hole is NaN."""
    return [math.nan if value is None or abs(value) > _DRAWABLE else float(value) for value in values]


def known(values: Iterable[float]) -> list[float]:
    """Leave out holes."""
    return [value for value in values if math.isfinite(value)]


def is_wide(values: Iterable[float], spread: float = _SPREAD) -> bool:
    """Tell whether values are better seen on a logarithmic axis."""
    found = known(values)
    return bool(found) and min(found) > 0 and max(found) > spread * min(found)


def scale(axes: Axes, values: Iterable[float], which: Literal["x", "y"] = "y") -> bool:
    """Make an axis of losses logarithmic where they are wide apart; tell whether it is.

    Losses that are 0, or next to nothing beside the largest, would take all of a logarithmic axis: it begins at 0, and is
    linear below a millionth of the largest, or below the smallest but 0.
    """
    found = known(values)
    positive = [value for value in found if value > 0]
    if not positive or min(found) < 0 or max(found) <= _SPREAD * min(found):
        return False
    floor = max(_FLOOR * max(found), min(positive))
    if floor <= min(found):
        logarithmic(axes, which)
    elif max(found) > _VERY_WIDE * floor:
        getattr(axes, f"set_{which}scale")("symlog", linthresh=floor)
        getattr(axes, f"set_{which}lim")(-0.35 * floor, 2 * max(found))
        (axes.xaxis if which == "x" else axes.yaxis).set_major_formatter(PlainLogTicks(is_wide=True))
    else:
        return False
    return True


def dress(axes: Axes, xlabel: str, ylabel: str) -> None:
    """Label axes, and draw them lightly."""
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    for axis in (axes.xaxis, axes.yaxis):
        if type(axis.get_major_formatter()) is ScalarFormatter:
            axis.set_major_formatter(PlainTicks())
    axes.grid(visible=True, alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def name(axes: Axes, title: str) -> None:
    """Write a line above a panel."""
    axes.set_title(title, fontsize=SMALL, color=FAINT, loc="left")


def whole_numbers(axes: Axes, values: Sequence[float]) -> None:
    """Put whole numbers on the x axis; one alone stands in the middle."""
    if len(set(values)) == 1:
        axes.set_xlim(values[0] - 0.5, values[0] + 0.5)
        axes.set_xticks([values[0]])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def logarithmic(axes: Axes, which: Literal["x", "y"]) -> None:
    """Make an axis logarithmic, with numbers that are read without thinking."""
    getattr(axes, f"set_{which}scale")("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = sorted(getattr(axes, f"get_{which}lim")())
    decades = math.log10(high / low) if low > 0 else 9
    if decades <= 4:
        axis.set_major_locator(LogLocator(subs=(1,) if decades > 3 else (1, 2, 5) if decades > 1 else (1, 1.5, 2, 3, 5, 7)))
    axis.set_major_formatter(PlainLogTicks(is_wide=decades > 4))
    axis.set_minor_formatter(NullFormatter())


def categories(axes: Axes, which: Literal["x", "y"], labels: Sequence[str], most: int = 24, *, rotate: bool = False) -> None:
    """Write foreign labels at 0, 1, 2, ...; of many only some."""
    step = -(-len(labels) // most)
    at = list(range(0, len(labels), step))
    getattr(axes, f"set_{which}ticks")(at, [labels[i] for i in at])
    if rotate:
        axes.tick_params(axis="x", rotation=30)
        for label in axes.get_xticklabels():
            label.set_horizontalalignment("right")


def whisker(axes: Axes, at: tuple[float, float], low: float | None, high: float | None, color: str, *, upright: bool) -> None:
    """Draw an interval through a point."""
    if low is None or high is None:
        return
    ends = numbers([low, high])
    xs, ys = ([at[0]] * 2, ends) if upright else (ends, [at[1]] * 2)
    axes.plot(xs, ys, color=color, linewidth=1.6, solid_capstyle="butt", zorder=2)


def legend_below(figure: Figure, *axes: Axes, most: int = 6) -> None:
    """Write one legend of several panels below all of them, in as many columns as have room."""
    found: dict[str, Artist] = {}
    for one in axes:
        for handle, label in zip(*one.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        columns = _columns([width_of(label.replace(r"\$", "$"), SMALL) + _KEY for label in found], figure.get_figwidth() - 2 * _EDGE, most)
        figure.legend(list(found.values()), list(found), loc="outside lower center", ncols=columns, frameon=False, fontsize=SMALL)


def _columns(widths: Sequence[float], room: float, most: int) -> int:
    """Count the columns in which entries, one column after the other, have room."""
    for count in range(min(len(widths), most), 1, -1):
        long, short = divmod(len(widths), count)
        ends = [(long + 1) * i if i <= short else long * i + short for i in range(count + 1)]
        if sum(max(widths[start:end]) for start, end in pairwise(ends)) <= room:
            return count
    return 1

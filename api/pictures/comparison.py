"""The plan `comparison`: validation curves of the variants, and what is left of their order after chance."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from api.pictures.figures import cut, cut_note
from api.pictures.fitting import wrapped
from api.pictures.lines import aligned, frame, mean_and_spread, thin
from api.pictures.style import (
    DASHES,
    FAINT,
    HUES,
    MARKERS,
    Heading,
    Units,
    categories,
    dress,
    legend_below,
    name,
    numbers,
    page,
    plain,
    scale,
    whisker,
)
from data.dataset import Array
from jobs.plans.comparison.result import ComparisonResult, VariantResult
from store.epochs import FitCurve

_MAX_KEY = 64
_LABEL_WIDTH, _LABEL_SIZE = 2.2, 10.0
"""Inches that labels of the ranking have, and the size of their letters."""
_WHY_WIDTH, _WHY_SIZE = 3.4, 8.0
"""The same of why a variant is not ranked."""
_FEW = 8
"""Up to so many labels take three lines; up to twice as many, two."""
_MANY = 8
_NOTE: dict[str, Any] = {"color": FAINT, "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1.0}}


def comparison_page(heading: Heading, result: ComparisonResult, curves: Sequence[FitCurve], units: Units) -> Figure:
    """Draw losses by variant beside the ranking. The first eight of the spec have colors, others are grey."""
    figure = page(heading, height=max(4.8, 1.6 + 0.24 * len(result.variants)))
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    _curves(left, result, curves, units)
    _ranking(right, result, units)
    legend_below(figure, left)
    return figure


def _curves(axes: Axes, result: ComparisonResult, curves: Sequence[FitCurve], units: Units) -> None:
    by_number, several = {curve.number: curve for curve in curves}, len(result.divisions) > 1
    drawn: list[Array] = []
    places = _places(result)
    for i, variant in sorted(zip(places, result.variants, strict=True), key=lambda one: -one[0]):
        color, marker = _look(i)
        found = [by_number[number] for number in variant.fits if number in by_number]
        for column, style, width in (("train_loss", "-", 1.0), ("val_loss", DASHES, 2.0)):
            epochs, values = aligned(found, column)
            drawn.append(values)
            if several and column == "val_loss":
                thin(axes, epochs, values, color, alpha=0.25, dashed=True)
            line = mean_and_spread(values)[0] if len(found) > 1 else values[0] if len(values) else values
            marked = marker if column == "val_loss" else None
            every = max(1, len(epochs) // 8)
            axes.plot(
                epochs,
                line,
                color=color,
                linestyle=style,
                linewidth=width,
                marker=marked,
                markevery=(i % every, every),
                markersize=5,
                zorder=3,
            )
    longest = max((curve.epoch[-1] for curve in curves if curve.epoch), default=0)
    frame(axes, "loss", units, drawn, np.arange(longest + 1))
    for i, variant in sorted(zip(places, result.variants, strict=True), key=lambda one: one[0])[:_MANY]:
        color, marker = _look(i)
        axes.plot([], [], color=color, linewidth=2.0, marker=marker, markersize=5, label=_key(variant.label))
    if len(places) > _MANY:
        axes.plot([], [], color=FAINT, linewidth=2.0, marker="|", label=f"{len(places) - _MANY} more variants")
    axes.plot([], [], color=FAINT, linewidth=2.0, linestyle=DASHES, label="validation, mean over divisions" if several else "validation")
    axes.plot([], [], color=FAINT, linewidth=1.0, label="training")
    if several:
        axes.plot([], [], color=FAINT, linewidth=0.9, alpha=0.4, linestyle=DASHES, label="validation of each division")


def _ranking(axes: Axes, result: ComparisonResult, units: Units) -> None:
    """Draw each variant's validation loss with its interval, best on top."""
    variants = result.variants
    ends = [(one.val_loss.low, one.val_loss.high) for one in variants if one.val_loss is not None]
    finite = [value for both in ends for value in numbers(cut(*both, "loss"))]
    for i, (place, one) in enumerate(zip(_places(result), variants, strict=True)):
        color, marker = _look(place)
        if one.val_loss is None:
            lines = wrapped(one.why or "not ranked", _WHY_WIDTH, _WHY_SIZE, most=3)
            why = "\n".join(plain(line, len(line)) for line in lines)
            axes.text(0.02, i, why, fontsize=_WHY_SIZE, va="center", transform=axes.get_yaxis_transform(), **_NOTE)
            continue
        [value] = numbers([one.val_loss.value])
        whisker(axes, (value, i), *cut(one.val_loss.low, one.val_loss.high, "loss"), color, upright=False)
        axes.plot([value], [i], marker=marker, color=color, markersize=8, markeredgecolor="white", linestyle="none", zorder=3)
    categories(axes, "y", [_label(one, len(variants)) for one in variants], most=60)
    axes.set_ylim(len(variants) - 0.4, -0.6)
    label = units.label("loss", "validation").replace("\n", " ")
    count = len(result.divisions)
    what = f"95 % t interval of the mean over {count} divisions" if count > 1 else "95 % interval over validation rows"
    dress(axes, f"{label}\n{what}{cut_note(ends, 'loss')}", "")
    axes.tick_params(axis="y", length=0)
    scale(axes, finite, "x")
    name(axes, "final ranking; ≈ not told from the best")


def _label(one: VariantResult, count: int) -> str:
    """Write rank and label, on as many lines as there is height for."""
    rank = "-" if one.rank is None else f"{one.rank}."
    alike = " ≈" if one.is_distinguishable is False else ""
    lines = wrapped(f"{rank} {one.label}", _LABEL_WIDTH, _LABEL_SIZE, most=3 if count <= _FEW else 1 if count > 2 * _FEW else 2)
    return "\n".join(plain(line, len(line)) for line in lines) + alike


def _key(label: str) -> str:
    """Name a variant in the legend, which would leave out what begins with an underscore."""
    return f"{' ' if label.startswith('_') else ''}{plain(label, _MAX_KEY)}"


def _places(result: ComparisonResult) -> list[int]:
    """Give each variant's place in the spec: fits are numbered in its order. Colors go by it, as they do on the job's page."""
    order = sorted(range(len(result.variants)), key=lambda i: result.variants[i].fits)
    return [order.index(i) for i in range(len(order))]


def _look(place: int) -> tuple[str, str]:
    return (HUES[place], MARKERS[place]) if place < _MANY else (FAINT, "|")

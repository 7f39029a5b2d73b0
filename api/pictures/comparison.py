"""The plan `comparison`: validation curves of the variants, and what is left of their order after chance."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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

_MAX_LABEL = 34
_MANY = 8
_NOTE: dict[str, Any] = {"color": FAINT, "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1.0}}


def comparison_page(heading: Heading, result: ComparisonResult, curves: Sequence[FitCurve], units: Units) -> Figure:
    """Draw losses by variant beside the ranking. The first eight have colors, others are grey."""
    figure = page(heading, height=max(4.8, 1.6 + 0.24 * len(result.variants)))
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    _curves(left, result, curves, units)
    _ranking(right, result, units)
    legend_below(figure, left)
    return figure


def _curves(axes: Axes, result: ComparisonResult, curves: Sequence[FitCurve], units: Units) -> None:
    by_number, several = {curve.number: curve for curve in curves}, len(result.divisions) > 1
    drawn: list[Array] = []
    for i, variant in reversed(list(enumerate(result.variants))):
        color, marker = _look(i)
        found = [by_number[number] for number in variant.fits if number in by_number]
        for column, style, width in (("train_loss", "-", 1.0), ("val_loss", DASHES, 2.0)):
            epochs, values = aligned(found, column)
            drawn.append(values.ravel())
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
    values = np.concatenate(drawn) if drawn else np.empty(0)
    longest = max((curve.epoch[-1] for curve in curves if curve.epoch), default=0)
    frame(axes, "loss", units, values, np.arange(longest + 1))
    axes.plot([], [], color=FAINT, linewidth=2.0, linestyle=DASHES, label="validation, mean over divisions" if several else "validation")
    axes.plot([], [], color=FAINT, linewidth=1.0, label="training")
    if several:
        axes.plot([], [], color=FAINT, linewidth=0.9, alpha=0.4, linestyle=DASHES, label="validation of each division")


def _ranking(axes: Axes, result: ComparisonResult, units: Units) -> None:
    """Draw each variant's validation loss with its interval, best on top."""
    variants = result.variants
    finite = [value for one in variants if one.val_loss is not None for value in numbers([one.val_loss.low, one.val_loss.high])]
    for i, one in enumerate(variants):
        color, marker = _look(i)
        if one.val_loss is None:
            axes.text(0.02, i, plain(one.why or "not ranked", 54), fontsize=8, va="center", transform=axes.get_yaxis_transform(), **_NOTE)
            continue
        [value] = numbers([one.val_loss.value])
        whisker(axes, (value, i), one.val_loss.low, one.val_loss.high, color, upright=False)
        axes.plot([value], [i], marker=marker, color=color, markersize=8, markeredgecolor="white", linestyle="none", zorder=3)
    categories(axes, "y", [_label(one) for one in variants], most=60)
    axes.set_ylim(len(variants) - 0.4, -0.6)
    label = units.label("loss", "validation").replace("\n", " ")
    over = "of the mean over divisions" if len(result.divisions) > 1 else "over validation rows"
    dress(axes, f"{label}\n95 % interval {over}", "")
    axes.tick_params(axis="y", length=0)
    scale(axes, finite, "x")
    name(axes, "final ranking; ≈ not told from the best")


def _label(one: VariantResult) -> str:
    rank = "-" if one.rank is None else f"{one.rank}."
    alike = " ≈" if one.is_distinguishable is False else ""
    return f"{rank} {plain(one.label, _MAX_LABEL)}{alike}"


def _look(place: int) -> tuple[str, str]:
    return (HUES[place], MARKERS[place]) if place < _MANY else (FAINT, "|")

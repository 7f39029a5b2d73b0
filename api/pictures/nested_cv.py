"""The plan `nested_cv`: what each inner search believed, and what its choice was worth."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from api.pictures.figures import cut, cut_note
from api.pictures.style import (
    FAINT,
    INK,
    TRAIN,
    VAL,
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
from jobs.plans.nested_cv.result import NestedCvResult


def nested_page(heading: Heading, result: NestedCvResult, units: Units) -> Figure:
    """Draw inner against outer scores fold by fold, and their difference."""
    figure = page(heading, height=max(3.6, 1.6 + 0.3 * min(len(result.folds), 40)))
    left, right = figure.subplots(1, 2, width_ratios=(1.4, 1), sharey=True)
    _scores(left, result, units)
    _optimism(right, result)
    labels = [plain(f"{one.label}: {one.label_of_choice}", 44) for one in result.folds]
    categories(left, "y", [*labels, "mean"], most=42)
    left.set_ylim(len(result.folds) + 0.6, -0.6)
    for axes in (left, right):
        axes.axhline(len(result.folds) - 0.5, color=FAINT, linewidth=0.6)
        axes.tick_params(axis="y", length=0)
    legend_below(figure, left)
    return figure


def _scores(axes: Axes, result: NestedCvResult, units: Units) -> None:
    inner, outer = numbers(one.inner_score for one in result.folds), numbers(one.outer_score for one in result.folds)
    for i, pair in enumerate(zip(inner, outer, strict=True)):
        axes.plot(pair, [i, i], color=FAINT, linewidth=1.4, zorder=1)
    places = np.arange(len(inner))
    axes.plot(
        inner,
        places,
        marker="o",
        markersize=7,
        color=TRAIN,
        markerfacecolor="white",
        linestyle="none",
        label="inner score: of the choice, within the search",
    )
    axes.plot(outer, places, marker="D", markersize=6, color=VAL, linestyle="none", label="outer score: on rows that it had not seen")
    last = len(inner)
    figure = result.metric.removeprefix("val_")
    for found, color, marker, face in ((result.inner_score, TRAIN, "o", "white"), (result.outer_score, VAL, "D", VAL)):
        at = last - 0.12 if color == TRAIN else last + 0.12
        whisker(axes, (found.mean, at), *cut(found.low, found.high, figure), color, upright=False)
        axes.plot(numbers([found.mean]), [at], marker=marker, markersize=7, color=color, markerfacecolor=face, linestyle="none", zorder=3)
    ends = [(found.low, found.high) for found in (result.inner_score, result.outer_score)]
    bounds = [value for both in ends for value in cut(*both, figure) if value is not None]
    if result.metric in {"val_loss", "val_rmse"}:
        scale(axes, [*inner, *outer, *bounds], "x")
    if bounds:
        name(axes, f"mean: 95 % t interval over {len(inner)} outer folds{cut_note(ends, figure)}")
    dress(axes, units.label(figure, "validation").replace("\n", " "), "")


def _optimism(axes: Axes, result: NestedCvResult) -> None:
    values = numbers(one.optimism for one in result.folds)
    axes.axvline(0, color=INK, linewidth=0.9)
    for i, value in enumerate(values):
        axes.plot([0, value], [i, i], color=FAINT, linewidth=1.4, zorder=1)
    axes.plot(values, np.arange(len(values)), marker="s", markersize=6, color=INK, linestyle="none")
    found = result.optimism
    whisker(axes, (found.mean, len(values)), found.low, found.high, INK, upright=False)
    axes.plot(numbers([found.mean]), [len(values)], marker="s", markersize=7, color=INK, linestyle="none")
    dress(axes, "optimism of the inner score\nright of 0: too optimistic", "")
    axes.tick_params(axis="y", labelleft=False)

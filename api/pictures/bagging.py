"""The plan `bagging`: how members scatter, and what their vote gains with their number."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from api.pictures.style import FAINT, SMALL, TRAIN, VAL, Heading, Units, dress, legend_below, name, numbers, page, whole_numbers
from jobs.plans.bagging.result import BaggingResult
from jobs.plans.results import Interval

_EACH = 12
"""So many members have their numbers written below each."""


def bagging_page(heading: Heading, result: BaggingResult, units: Units) -> Figure:
    """Draw each member beside the vote, and the vote of the first 1, 2, ... members."""
    figure = page(heading)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.1), sharey=bool(result.curve))
    figure_name = units.error_metric
    part = "val" if result.val is not None else "test"
    words = {"val": "validation", "test": "test"}[part]
    _members(left, result, part, words, units)
    out = result.out_of_bag or result.not_drawn
    if result.curve:
        members, values = [float(one.members) for one in result.curve], numbers(one.val.get(figure_name) for one in result.curve)
        right.plot(members, values, color=VAL, linewidth=2.0, marker="D", markersize=4, label=f"vote of the first members, {words}")
        whole_numbers(right, members)
    if out is not None and out.figures is not None:
        found = out.figures[figure_name]
        right.axhline(found.value, color=TRAIN, linewidth=1.4, linestyle="--", label="vote on training rows that members did not draw")
        right.axhspan(found.low, found.high, color=TRAIN, alpha=0.08, linewidth=0)
        name(right, f"rows left out: {out.rows}, {100 * out.coverage:.3g} % of the training rows; shaded: 95 % interval")
    dress(right, "members that vote", units.label(figure_name))
    if not result.curve:
        right.set_xticks([])
        right.set_xlabel("")
        if out is None or out.figures is None:
            right.text(0.5, 0.5, "no validation rows", ha="center", va="center", color=FAINT, transform=right.transAxes)
            right.set_yticks([])
    legend_below(figure, left, right, most=3)
    return figure


def _members(axes: Axes, result: BaggingResult, part: str, words: str, units: Units) -> None:
    kind = units.error_metric
    own = {"val": result.val, "test": result.test}[part]
    members = [one for one in result.standings if one.fit is not None]
    found = [(one.val if part == "val" else one.test) for one in members]
    values = np.array(numbers(None if one is None else one.get(kind) for one in found), dtype=float)
    places = numbers(one.fit for one in members)
    if np.isfinite(values).any():
        axes.plot(places, values, marker="o", markersize=6, color=FAINT, linestyle="none", label=f"member, {words}")
        average = result.mean_member.get(part)  # type: ignore[call-overload]  # part is one of the keys
        if average is not None and kind in average:
            axes.axhline(average[kind], color=FAINT, linewidth=1.4, linestyle=":", label="mean member")
    interval = None if own is None else own.get(kind)
    if interval is not None:
        _band(axes, interval, f"vote of all, {words}")
    if not np.isfinite(values).any() and interval is None:
        axes.text(0.5, 0.5, "no validation or test rows", ha="center", va="center", color=FAINT, transform=axes.transAxes)
        axes.set_xticks([])
    elif len(places):
        whole_numbers(axes, places)
        if len(places) <= _EACH:
            axes.set_xticks(places)
    dress(axes, "member", units.label(kind, words))
    axes.tick_params(labelsize=SMALL)
    name(
        axes,
        f"{len(values)} members"
        + ("" if interval is None else "; shaded: 95 % interval of the vote")
        + (f", {len(result.left_out)} more did not finish" if result.left_out else ""),
    )


def _band(axes: Axes, found: Interval, label: str) -> None:
    axes.axhline(found.value, color=VAL, linewidth=2.0, label=label)
    axes.axhspan(found.low, found.high, color=VAL, alpha=0.08, linewidth=0)

"""Curves of several fits on one panel."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from api.pictures.figures import said
from api.pictures.style import DASHES, TRAIN, VAL, Units, dress, known, numbers, scale, whole_numbers
from data.dataset import Array
from store.epochs import FitCurve

_LOWEST_R2 = -1.0
"""An untrained network's R2 can be so low that nothing else would be seen; what is lower leaves the picture."""
_BLOWN_UP = 1000
"""So many times the loss of an untrained network is a fit about to diverge, beside which nothing else would be seen; it leaves the picture."""
_LOSSES = frozenset({"loss", "rmse"})
SPLITS = (("train", TRAIN, "-"), ("val", VAL, DASHES))
"""Validation is dashed."""
WORDS = {"train": "training", "val": "validation"}


def aligned(curves: Sequence[FitCurve], column: str) -> tuple[Array, Array]:
    """Give epochs [E] and a column of every fit [F, E]; NaN where a fit has none."""
    last = max((curve.epoch[-1] for curve in curves if curve.epoch), default=-1)
    values = np.full((len(curves), last + 1), np.nan)
    for row, curve in zip(values, curves, strict=True):
        if column in curve.columns:
            row[curve.epoch] = numbers(curve.columns[column])
    return np.arange(last + 1), values


def thin(axes: Axes, epochs: Array, values: Array, color: str, *, alpha: float, dashed: bool = False, width: float = 0.9) -> None:
    """Draw every row of `values` [F, E] as a thin line, up to its last number."""
    lines = [np.column_stack([epochs[held], row[held]]) for row in values if (held := np.isfinite(row)).any()]
    points = [line[0] for line in lines if len(line) == 1]
    if points:
        axes.plot(*zip(*points, strict=True), marker=".", markersize=5, color=color, alpha=max(alpha, 0.5), linestyle="none")
    if lines:
        style = DASHES if dashed else "-"
        axes.add_collection(LineCollection(lines, colors=color, alpha=alpha, linewidths=width, linestyles=[style], zorder=1))


def faintness(fits: int) -> float:
    """Give the opacity at which so many lines can still be told from their mean."""
    return max(0.1, min(0.45, 4 / max(fits, 1)))


def mean_and_spread(values: Array) -> tuple[Array, Array]:
    """Give mean and standard deviation (n - 1) over fits [F, E] at each epoch that at least two of them reached, else NaN."""
    held = np.isfinite(values)
    count = held.sum(axis=0)
    filled = np.where(held, values, 0.0)
    mean = np.divide(filled.sum(axis=0), count, out=np.full(len(count), np.nan), where=count > 1)
    square = np.where(held, (values - mean) ** 2, 0.0).sum(axis=0)
    return mean, np.sqrt(np.divide(square, count - 1, out=np.full(len(count), np.nan), where=count > 1))


def frame(axes: Axes, figure: str, units: Units, drawn: Sequence[Array], epochs: Sequence[int] | Array, of: str = "") -> None:
    """Set up axes for figures (loss, accuracy, rmse, r2) of fits, each of `drawn` [F, E], against epochs from 0."""
    label, found = units.label(figure, of), np.concatenate([np.empty(0), *(values.ravel() for values in drawn)])
    found = found[np.isfinite(found)]
    most = (
        _BLOWN_UP * max((value for values in drawn for value in known(values[:, :1].ravel())), default=math.inf)
        if figure in _LOSSES
        else math.inf
    )
    if len(found) and found.max() > most:
        found = found[found <= most]
        label += f" (above {said(most, 1)} not shown)"
    if figure == "r2" and len(found) and found.min() < _LOWEST_R2:
        axes.set_ylim(bottom=_LOWEST_R2, top=1.05)
        label += " (below \u22121 not shown)"
    elif len(found):
        span(axes, found, is_loss=figure in _LOSSES)
    dress(axes, "epoch", label)
    if len(epochs):
        if epochs[0] != epochs[-1]:
            margin = 0.03 * (epochs[-1] - epochs[0])
            axes.set_xlim(epochs[0] - margin, epochs[-1] + margin)
        whole_numbers(axes, [float(epochs[0]), float(epochs[-1])])


def span(axes: Axes, values: Array, *, is_loss: bool = False, margin: float = 0.05) -> None:
    """Let the y axis span values, and nothing that is drawn around them."""
    low, high = float(values.min()), float(values.max())
    room = (high - low) * margin or 0.05 * abs(high) or 0.5
    axes.set_ylim(low - room, high + room)
    if is_loss and scale(axes, values.tolist()) and axes.get_yscale() == "log":
        more = (high / low) ** margin
        axes.set_ylim(low / more, high * more)
        scale(axes, [low, high])  # its marks depend on the limits

"""Training and validation curves of any fits: what a job without a plan's own picture is drawn as, whatever its state."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from api.pictures.figures import said
from api.pictures.lines import SPLITS, WORDS, aligned, frame, thin
from api.pictures.style import DASHES, FAINT, INK, TRAIN, VAL, Heading, Units, dress, legend_below, name, numbers, page
from store.epochs import FitCurve

_MAX_NAMED = 3
"""Up to this many fits every curve is drawn strongly; beyond it all are drawn faintly."""
MAX_DRAWN = 50
"""More fits than these are not seen apart: evenly chosen ones stand for all."""


def curves_page(heading: Heading, curves: Sequence[FitCurve], units: Units, sharpness: Mapping[str, Any] | None = None) -> Figure:
    """Draw training and validation loss beside accuracy (or R2) against epochs; the best epoch is marked, the gap is shaded.

    Where `sharpness` was measured, the loss along its direction stands beside them.
    """
    trained = [curve for curve in curves if curve.epoch]
    drawn = _some(trained)
    figure = page(heading, width=11 if sharpness is None else 16)
    if not drawn:
        axes = figure.subplots()
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no epoch has been measured yet", ha="center", color=FAINT, fontsize=12)
        return figure
    loss, score, *more = figure.subplots(1, 2 if sharpness is None else 3)
    _panel(loss, drawn, "loss", units)
    _panel(score, drawn, units.metric, units)
    if sharpness is not None:
        _slice(more[0], sharpness, units.label("loss"))
    if len(curves) > 1:
        begun = f"{len(trained)} of {len(curves)} fits have begun" if len(trained) < len(curves) else f"{len(curves)} fits"
        name(loss, f"{begun}; {len(drawn)} of them are drawn" if len(drawn) < len(trained) else begun)
    legend_below(figure, loss)
    return figure


def _some(curves: Sequence[FitCurve]) -> list[FitCurve]:
    if len(curves) <= MAX_DRAWN:
        return list(curves)
    return [curves[i] for i in np.linspace(0, len(curves) - 1, MAX_DRAWN).round().astype(int)]


def _panel(axes: Axes, curves: Sequence[FitCurve], figure: str, units: Units) -> None:
    values = []
    for split, color, style in SPLITS:
        epochs, found = aligned(curves, f"{split}_{figure}")
        if not np.isfinite(found).any():
            continue
        values.append(found)
        if len(curves) > _MAX_NAMED:
            thin(axes, epochs, found, color, alpha=max(0.12, min(0.6, 5 / len(curves))), dashed=split == "val", width=1.3)
            axes.plot([], [], color=color, linestyle=style, label=WORDS[split])  # for the legend alone
            continue
        for i, row in enumerate(found):
            marker = "o" if np.isfinite(row).sum() == 1 else None
            axes.plot(epochs, row, color=color, linewidth=1.8, linestyle=style, marker=marker, label=WORDS[split] if i == 0 else None)
    epochs, _ = aligned(curves, "")
    frame(axes, figure, units, values, epochs)
    for i, curve in enumerate(curves):
        _mark_best(
            axes, curve, f"val_{figure}", label=_best_name(curve, len(curves)) if i == 0 else None, is_alone=len(curves) <= _MAX_NAMED
        )
    if len(curves) == 1 and len(epochs) > 1 and len(values) == len(SPLITS):
        axes.fill_between(epochs, values[0][0], values[1][0], color=VAL, alpha=0.08, linewidth=0, label="generalization gap")


def _slice(axes: Axes, sharpness: Mapping[str, Any], label: str) -> None:
    """Draw the loss along a filter-normalised direction through the kept weights."""
    line = sharpness["slice"]
    for split, color in (("train", TRAIN), ("val", VAL)):
        if f"{split}_loss" in line:
            style = "-" if split == "train" else DASHES
            axes.plot(line["distance"], numbers(line[f"{split}_loss"]), color=color, linewidth=1.8, linestyle=style)
    axes.axvline(0, color=FAINT, linewidth=0.8, linestyle=":")
    name(axes, f"largest eigenvalue {_known(sharpness['largest_eigenvalue'])}, ε-sharpness {_known(sharpness['epsilon_sharpness'])}")
    dress(axes, "distance from the kept weights, filter-normalised", label)


def _known(value: float | None) -> str:
    return "not finite" if value is None else said(value)


def _best_name(curve: FitCurve, fits: int) -> str:
    return f"best epoch {curve.best_epoch}" if fits == 1 else "best epoch of each fit"


def _mark_best(axes: Axes, curve: FitCurve, column: str, *, label: str | None, is_alone: bool) -> None:
    values = curve.columns.get(column)
    if values is None or curve.best_epoch is None or curve.best_epoch not in curve.epoch:
        return
    [value] = numbers([values[curve.epoch.index(curve.best_epoch)]])
    if math.isnan(value):
        return
    if is_alone:
        axes.axvline(curve.best_epoch, color=FAINT, linewidth=0.8, linestyle=":")
    size, edge = (6, "white") if is_alone else (3, INK)
    axes.plot(
        [curve.best_epoch],
        [value],
        marker="o",
        markersize=size,
        markeredgewidth=1.0 if is_alone else 0.0,
        color=VAL,
        markeredgecolor=edge,
        alpha=1.0 if is_alone else 0.6,
        linestyle="none",
        label=label,
    )

"""The plan `fit` over several divisions: each fold's curves, their mean, and how far they scatter."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from api.pictures.lines import SPLITS, WORDS, aligned, faintness, frame, mean_and_spread, thin
from api.pictures.style import FAINT, INK, SMALL, Heading, Units, legend_below, name, page, plain
from data.dataset import Array
from jobs.plans.fit.plan import median_epoch
from jobs.plans.fit.result import FitPlanResult
from store.epochs import FitCurve


def folds_page(heading: Heading, result: FitPlanResult, curves: Sequence[FitCurve], units: Units) -> Figure:
    """Draw fold curves thin, their means thick with a band of one standard deviation, and the median of the best epochs."""
    refit = result.fit if result.refit_epochs is not None else None
    folds = [curve for curve in curves if curve.number != refit and curve.epoch]
    figure = page(heading)
    panels = figure.subplots(1, 2)
    for axes, kind in zip(panels, ("loss", units.metric), strict=True):
        _panel(axes, folds, kind, units, result)
    name(panels[0], f"{len(folds)} folds; means and bands are over the folds that still train at an epoch")
    if result.refit_epochs is not None:
        name(panels[1], "the refit on all rows is not drawn: it has no validation rows")
    legend_below(figure, *panels)
    return figure


def _panel(axes: Axes, folds: Sequence[FitCurve], kind: str, units: Units, result: FitPlanResult) -> None:
    drawn: list[Array] = []
    epochs, _ = aligned(folds, "")
    for split, color, style in SPLITS:
        _, values = aligned(folds, f"{split}_{kind}")
        mean, std = mean_and_spread(values)
        drawn.append(values)
        thin(axes, epochs, values, color, alpha=faintness(len(folds)))
        axes.fill_between(epochs, mean - std, mean + std, color=color, alpha=0.15, linewidth=0, zorder=2)
        axes.plot(epochs, mean, color=color, linewidth=2.4, linestyle=style, label=f"{WORDS[split]}, mean ± 1 sd", zorder=4)
    frame(axes, kind, units, drawn, epochs)
    best = [curve.best_epoch for curve in folds if curve.best_epoch is not None]
    if best:
        middle = median_epoch(best)
        axes.axvline(middle, color=INK, linewidth=1.0, linestyle=":", label=f"median best epoch {middle}", zorder=3)
    _worst(axes, [curve for curve in folds if curve.number == result.worst_fit], f"val_{kind}")


def _worst(axes: Axes, found: Sequence[FitCurve], column: str) -> None:
    """Draw the worst fold's validation curve so that it is seen, and name it."""
    for curve in found:
        epochs, values = aligned([curve], column)
        if np.isfinite(values).any():
            axes.plot(epochs, values[0], color=FAINT, linewidth=1.3, zorder=3)
            axes.plot(epochs, values[0], color=INK, linewidth=0.9, zorder=3, label=f"{plain(curve.label, 40)}, validation: the worst fold")
    axes.tick_params(labelsize=SMALL)

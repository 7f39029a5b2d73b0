"""The curves of a job as a picture. Figures are made without pyplot: requests run in threads."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from store.epochs import FitCurve

TRAIN = "#0b6e99"
VAL = "#d9480f"
_INK = "#212529"
_FAINT = "#868e96"
_SPREAD = 30
"""The loss axis is logarithmic where the largest value is more than this times the smallest."""
_MAX_NAMED = 3
"""Up to this many fits every curve is drawn strongly; beyond it all are drawn faintly."""
_MAX_TITLE = 100
"""Characters of a title that fit the picture."""
_DRAWABLE = 1e100
"""Beyond it the arithmetic of axes overflows; such a value leaves a hole in its curve."""
_LOWEST_R2 = -1.0
"""An untrained network's R2 can be so low that nothing else would be seen; what is lower leaves the picture."""
_DASHES = (0, (4, 1.5))
"""Validation is dashed: nothing is told by color alone."""

Format = Literal["png", "svg"]


def picture(
    title: str, subtitle: str, curves: Sequence[FitCurve], *, kind: Format, unit: str | None, sharpness: Mapping[str, Any] | None = None
) -> bytes:
    """Draw training and validation loss beside accuracy (or R2) against epochs; the best epoch is marked, the gap is shaded.

    Where `sharpness` was measured, the loss along its direction stands beside them.
    """
    drawn = [curve for curve in curves if curve.epoch]
    figure = Figure(figsize=(11 if sharpness is None else 16, 4.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(_shortened(title), fontsize=13, fontweight="bold", color=_INK, x=0.01, ha="left", parse_math=False)
    if not drawn:
        figure.text(0.5, 0.45, "no epoch has been measured yet", ha="center", color=_FAINT, fontsize=12)
    else:
        metric = "accuracy" if "train_accuracy" in drawn[0].columns else "r2"
        loss, score, *more = figure.subplots(1, 2 if sharpness is None else 3)
        is_classes = metric == "accuracy"
        loss_label = "cross-entropy (nats)" if is_classes else _squared(unit)
        _panel(loss, drawn, "loss", loss_label, is_loss=True)
        if sharpness is not None:
            _slice(more[0], sharpness, loss_label)
        _panel(score, drawn, metric, "accuracy" if is_classes else "R\u00b2", is_loss=False)
        handles, labels = loss.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9.5)
        loss.set_title(subtitle, fontsize=9.5, color=_FAINT, loc="left")
    content = io.BytesIO()
    figure.savefig(content, format=kind, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return content.getvalue()


def _slice(axes: Axes, sharpness: Mapping[str, Any], label: str) -> None:
    """Draw the loss along a filter-normalised direction through the kept weights."""
    line = sharpness["slice"]
    for split, color in (("train", TRAIN), ("val", VAL)):
        if f"{split}_loss" in line:
            style = "-" if split == "train" else _DASHES
            axes.plot(line["distance"], _numbers(line[f"{split}_loss"]), color=color, linewidth=1.8, linestyle=style)
    axes.axvline(0, color=_FAINT, linewidth=0.8, linestyle=":")
    axes.set_title(
        f"largest eigenvalue {_said(sharpness['largest_eigenvalue'])}, \u03b5-sharpness {_said(sharpness['epsilon_sharpness'])}",
        fontsize=9.5,
        color=_FAINT,
        loc="left",
    )
    axes.set_xlabel("distance from the kept weights, filter-normalised")
    axes.set_ylabel(label)
    axes.grid(visible=True, alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _said(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.3g}"


def _squared(unit: str | None) -> str:
    named = f"({unit})\u00b2" if unit else "target units squared"
    return f"mean squared error\n{named}"


def _shortened(title: str) -> str:
    """Keep a title to one line of what can be printed: SVG is XML, which has no control characters."""
    title = " ".join("".join(letter if letter.isprintable() else " " for letter in title).split())
    return title if len(title) <= _MAX_TITLE else title[: _MAX_TITLE - 1].rstrip() + "\u2026"


def _panel(axes: Axes, curves: Sequence[FitCurve], figure: str, label: str, *, is_loss: bool) -> None:
    strength = 1.0 if len(curves) <= _MAX_NAMED else 0.35
    drawn: list[float] = []
    for index, curve in enumerate(curves):
        for split, color in (("train", TRAIN), ("val", VAL)):
            values = curve.columns.get(f"{split}_{figure}")
            if values is None:
                continue
            numbers = _numbers(values)
            drawn += [value for value in numbers if math.isfinite(value)]
            axes.plot(
                curve.epoch,
                numbers,
                color=color,
                alpha=strength,
                linewidth=1.8,
                linestyle="-" if split == "train" else _DASHES,
                label={"train": "training", "val": "validation"}[split] if index == 0 else None,
                marker="o" if len(numbers) == 1 else None,
            )
        _mark_best(axes, curve, f"val_{figure}", name=_best_name(curve, len(curves)) if index == 0 else None)
        if len(curves) == 1:
            _shade_gap(axes, curve, figure)
    if is_loss and drawn and min(drawn) > 0 and max(drawn) > _SPREAD * min(drawn):
        axes.set_yscale("log")
    if figure == "r2" and drawn and min(drawn) < _LOWEST_R2:
        axes.set_ylim(bottom=_LOWEST_R2, top=1.05)
        label += " (below \u22121 not shown)"
    if all(len(curve.epoch) == 1 for curve in curves):
        middle = curves[0].epoch[0]
        axes.set_xlim(middle - 0.5, middle + 0.5)
        axes.set_xticks([middle])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel(label)
    axes.grid(visible=True, alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _shade_gap(axes: Axes, curve: FitCurve, figure: str) -> None:
    train, val = curve.columns.get(f"train_{figure}"), curve.columns.get(f"val_{figure}")
    if train is None or val is None or len(curve.epoch) < 2:
        return
    axes.fill_between(curve.epoch, _numbers(train), _numbers(val), color=VAL, alpha=0.08, linewidth=0, label="generalization gap")


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None or abs(value) > _DRAWABLE else value for value in values]


def _best_name(curve: FitCurve, fits: int) -> str:
    return f"best epoch {curve.best_epoch}" if fits == 1 else "best epoch of each fit"


def _mark_best(axes: Axes, curve: FitCurve, column: str, *, name: str | None) -> None:
    values = curve.columns.get(column)
    if values is None or curve.best_epoch is None or curve.best_epoch not in curve.epoch:
        return
    value = _numbers(values)[curve.epoch.index(curve.best_epoch)]
    if math.isnan(value):
        return
    axes.axvline(curve.best_epoch, color=_FAINT, linewidth=0.8, linestyle=":")
    axes.plot(
        [curve.best_epoch],
        [value],
        marker="o",
        markersize=6,
        color=VAL,
        markeredgecolor="white",
        linestyle="none",
        label=name,
    )

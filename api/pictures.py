"""The curves of a job as a picture. Figures are made without pyplot: requests run in threads."""

import io
import math
from collections.abc import Sequence
from typing import Literal

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

Format = Literal["png", "svg"]


def picture(title: str, subtitle: str, curves: Sequence[FitCurve], *, kind: Format, unit: str | None) -> bytes:
    """Draw training and validation loss beside accuracy (or R2) against epochs; the best epoch is marked, the gap is shaded."""
    drawn = [curve for curve in curves if curve.epoch]
    figure = Figure(figsize=(11, 4.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(_shortened(title), fontsize=13, fontweight="bold", color=_INK, x=0.01, ha="left", parse_math=False)
    if not drawn:
        figure.text(0.5, 0.45, "no epoch has been measured yet", ha="center", color=_FAINT, fontsize=12)
    else:
        metric = "accuracy" if "train_accuracy" in drawn[0].columns else "r2"
        loss, score = figure.subplots(1, 2)
        is_classes = metric == "accuracy"
        _panel(
            loss,
            drawn,
            "loss",
            "cross-entropy (nats)" if is_classes else f"mean squared error ({unit or 'target units'})\u00b2",
            is_loss=True,
        )
        _panel(score, drawn, metric, "accuracy" if is_classes else "R\u00b2", is_loss=False)
        handles, labels = loss.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9.5)
        loss.set_title(subtitle, fontsize=9.5, color=_FAINT, loc="left")
    content = io.BytesIO()
    figure.savefig(content, format=kind, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return content.getvalue()


def _shortened(title: str) -> str:
    return title if len(title) <= _MAX_TITLE else title[: _MAX_TITLE - 1].rstrip() + "\u2026"


def _panel(axes: Axes, curves: Sequence[FitCurve], figure: str, label: str, *, is_loss: bool) -> None:
    strength = 1.0 if len(curves) <= _MAX_NAMED else 0.35
    finite: list[float] = []
    for index, curve in enumerate(curves):
        for split, color in (("train", TRAIN), ("val", VAL)):
            values = curve.columns.get(f"{split}_{figure}")
            if values is None:
                continue
            numbers = [math.nan if value is None else value for value in values]
            finite += [value for value in numbers if math.isfinite(value)]
            name = {"train": "training", "val": "validation"}[split] if index == 0 else None
            axes.plot(
                curve.epoch, numbers, color=color, alpha=strength, linewidth=1.8, label=name, marker="o" if len(numbers) == 1 else None
            )
        _mark_best(axes, curve, f"val_{figure}", is_named=index == 0 and len(curves) <= _MAX_NAMED)
        if len(curves) == 1:
            _shade_gap(axes, curve, figure)
    if is_loss and finite and min(finite) > 0 and max(finite) > _SPREAD * min(finite):
        axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.set_ylabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=True, alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _shade_gap(axes: Axes, curve: FitCurve, figure: str) -> None:
    train, val = curve.columns.get(f"train_{figure}"), curve.columns.get(f"val_{figure}")
    if train is None or val is None or len(curve.epoch) < 2:
        return
    low = [math.nan if value is None else value for value in train]
    high = [math.nan if value is None else value for value in val]
    axes.fill_between(curve.epoch, low, high, color=VAL, alpha=0.08, linewidth=0, label="generalization gap")


def _mark_best(axes: Axes, curve: FitCurve, column: str, *, is_named: bool) -> None:
    values = curve.columns.get(column)
    if values is None or curve.best_epoch is None or curve.best_epoch not in curve.epoch:
        return
    value = values[curve.epoch.index(curve.best_epoch)]
    if value is None:
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
        label=f"best epoch {curve.best_epoch}" if is_named else None,
    )

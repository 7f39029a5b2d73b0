"""Curves as text: train and validation by epoch, in characters that need no colour."""

import itertools
import math
import shutil
import sys
from collections.abc import Collection, Sequence
from typing import Any

from cli.showing import piped_width
from holdout import FitCurve

METRICS: dict[str, tuple[str, ...]] = {
    "loss": ("train_loss", "val_loss"),
    "accuracy": ("train_accuracy", "val_accuracy"),
    "rmse": ("train_rmse", "val_rmse"),
    "r2": ("train_r2", "val_r2"),
    "gap": ("generalization_gap",),
    "objective": ("objective",),
    "learning_rate": ("learning_rate",),
}
_SIGNS = {"train": "▚", "val": "."}
_HEIGHT, _WIDTH, _PIPED_WIDTH, _TICKS = 18, 100, 80, 7


def can_plot() -> bool:
    """Tell whether plotext is installed."""
    try:
        import plotext  # noqa: F401, PLC0415  it is optional, and takes a third of a second
    except ImportError:
        return False
    return True


def plot(curve: FitCurve, metric: str) -> str:
    """Draw a fit's metric; plain text. Epochs without a value are left out."""
    import plotext  # noqa: PLC0415  as above

    figure = plotext.figure
    figure.clear()
    figure.plot_size(min(_WIDTH, shutil.get_terminal_size().columns if sys.stdout.isatty() else piped_width(_PIPED_WIDTH)), _HEIGHT)
    drawn, heights, ends = [], set[float](), set[int]()
    for name in METRICS[metric]:
        epochs, values = _points(curve.epoch, curve[name])
        if epochs:
            sign = _SIGNS["val" if name.startswith("val") else "train"]
            figure.draw(figure.signal(epochs, values, marker="hd" if sign == "▚" else sign).lines())
            drawn.append(f"{name} {sign}")
            heights |= set(values)
            ends |= {epochs[0], epochs[-1]}
    if not drawn:
        return f"fit {curve.number} ({curve.label}) has no {metric}{'' if curve.epoch else ' yet'}"
    _widen(figure, "y", heights)
    _widen(figure, "x", ends)
    ticks = _ticks(min(ends), max(ends))
    figure.ruler("x", 0).ticks(ticks, [str(one) for one in ticks])
    return f"fit {curve.number}, {curve.label}: {'  '.join(drawn)}\n{plotext.uncolorize(figure.build())}"


def _ticks(first: int, last: int) -> list[int]:
    """Choose epochs to be named: whole and round ones, a few."""
    step = next(step for power in itertools.count() for step in (10**power, 2 * 10**power, 5 * 10**power) if last - first <= _TICKS * step)
    return list(range(-(-first // step) * step, last + 1, step)) or [first]


def _widen(figure: Any, axis: str, values: Collection[float]) -> None:
    """Give an axis on which there is one value a range about it: else it would be drawn at 0, from -1 to 1."""
    if len(values) == 1:
        [only] = values
        reach = abs(only) / 2 if axis == "y" and only else 1.0
        figure.ruler(axis, 0).lim(only - reach, only + reach)


def _points(epochs: Sequence[int], values: Sequence[float | None]) -> tuple[list[int], list[float]]:
    known = [(epoch, value) for epoch, value in zip(epochs, values, strict=True) if value is not None and math.isfinite(value)]
    return [epoch for epoch, _ in known], [value for _, value in known]

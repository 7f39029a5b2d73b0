"""Some rows of a dataset as a picture: images and slices of volumes as pictures, signals as lines, columns of tables as histograms."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from api.pictures.fitting import printable, shortened, width_of
from data.dataset import Array, Column, Dataset, DatasetInfo

_INK = "#212529"
_FAINT = "#5c6570"
_BLUE = "#0b6e99"
WIDTH = 4.0
"""Inches: a column of a page, or a phone. Text keeps its size there."""
TEXT = 9.0
_LABEL = 1.15
_PANEL = 1.75
_TICK = 0.62
"""Inches of the name of a class, of a panel, and of the name of a bar that has no room below it."""
_CLASSES_SHOWN = 8
_ROWS_SHOWN = 6
_SIGNALS_SHOWN = 3
_COLUMNS_SHOWN = 11
_ACROSS = 2
"""Panels beside one another."""
_TICK_LETTERS = 16
"""Letters of all ticks of an axis that have room beside one another."""
_ROWS_READ = 20_000
_DRAWABLE = 1e100


def sample_picture(dataset: Dataset) -> bytes:
    """Draw a sample of a dataset as PNG."""
    info = dataset.info
    figure = Figure(figsize=(WIDTH, 0.4 + _height(info)), dpi=240, layout="constrained")
    FigureCanvasAgg(figure)
    title = shortened(info.title or info.id, 0.96 * WIDTH, 11, "bold")
    figure.suptitle(title, fontsize=11, fontweight="bold", color=_INK, x=0.02, ha="left", parse_math=False)
    if info.kind == "table":
        _table(figure, dataset)
    else:
        _grid(figure, dataset)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def _height(info: DatasetInfo) -> float:
    """Give the panels' height in inches, by their number."""
    if info.kind == "table":
        return 1.4 * -(-(min(_COLUMNS_SHOWN, len(info.columns or ())) + 1) // _ACROSS)
    return 0.52 * min(_CLASSES_SHOWN, info.num_classes or 4)


def _grid(figure: Figure, dataset: Dataset) -> None:
    rows = _examples(dataset)
    x = dataset.read()
    panels = figure.subplots(len(rows), max(len(numbers) for _, numbers in rows), squeeze=False)
    for line, (label, numbers) in zip(panels, rows, strict=True):
        for axes, number in zip(line, [*numbers, *[None] * (len(line) - len(numbers))], strict=True):
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set_visible(False)
            if number is not None:
                _draw(axes, np.asarray(x[number]), dataset)
        name = shortened(label, _LABEL, TEXT)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=TEXT, color=_INK, parse_math=False)


def _examples(dataset: Dataset) -> list[tuple[str, list[int]]]:
    """Choose rows to show: some of each class, or some in order of a numeric target."""
    y, labels = dataset.y, dataset.info.class_labels
    if labels is None:
        chosen = np.argsort(y, kind="stable")[np.linspace(0, len(y) - 1, min(len(y), 4)).astype(int)]
        return [(f"{y[number]:.4g}", [int(number)]) for number in chosen]
    most = _SIGNALS_SHOWN if dataset.info.kind == "signal" else _ROWS_SHOWN
    chosen_rows = [(labels[k], _spread(np.flatnonzero(y == k), most)) for k in range(min(len(labels), _CLASSES_SHOWN))]
    return [(label, numbers) for label, numbers in chosen_rows if numbers]


def _spread(rows: Array, most: int) -> list[int]:
    """Choose rows that lie apart, for neighbours are often alike."""
    places = np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(int)
    return [int(rows[place]) for place in places]


def _draw(axes: Axes, row: Array, dataset: Dataset) -> None:
    match dataset.info.kind:
        case "signal":
            for channel in row[:6]:
                axes.plot(_drawable(channel), linewidth=0.8)
        case "volume":
            axes.imshow(_drawable(row[0, row.shape[1] // 2]), cmap=colormaps["gray"], interpolation="nearest")
        case _:
            pixels = np.clip(row / dataset.x_unit, 0, 1)
            if len(pixels) in {3, 4}:
                axes.imshow(np.moveaxis(pixels, 0, -1), interpolation="nearest")
            else:
                axes.imshow(pixels[0], cmap=colormaps["gray"], vmin=0, vmax=1, interpolation="nearest")


def _table(figure: Figure, dataset: Dataset) -> None:
    columns = list(dataset.info.columns or ())[:_COLUMNS_SHOWN]
    panels = figure.subplots(-(-(len(columns) + 1) // _ACROSS), _ACROSS, squeeze=False).reshape(-1)
    _target(panels[0], dataset.info, dataset.y[:_ROWS_READ])
    for i, (axes, column) in enumerate(zip(panels[1:], columns, strict=False)):
        _column(axes, column, np.asarray(dataset.column(i)[:_ROWS_READ], dtype=np.float64))
    for axes in panels[len(columns) + 1 :]:
        axes.set_visible(False)
    for axes in panels:
        axes.tick_params(labelsize=TEXT, colors=_FAINT)
        axes.set_yticks([])
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)


def _target(axes: Axes, info: DatasetInfo, y: Array) -> None:
    unit = f" ({info.target_unit})" if info.target_unit else ""
    _titled(axes, f"target: {info.target_name}{unit}")
    if info.class_labels is None:
        _histogram(axes, y, color=_INK)
    else:
        _bars(axes, info.class_labels, info.class_counts or (), color=_INK)


def _column(axes: Axes, column: Column, values: Array) -> None:
    _titled(axes, column.name + (f", {column.num_missing} missing" if column.num_missing else ""))
    present = values[~np.isnan(values)]
    if not column.categories:
        _histogram(axes, present, color=_BLUE)
    else:
        _bars(axes, column.categories, np.bincount(present.astype(np.int64), minlength=len(column.categories)).tolist(), color=_BLUE)


def _histogram(axes: Axes, values: Array, *, color: str) -> None:
    """Draw a histogram about the smallest value: numbers far from 0 may lie too close together for bins of their own."""
    if len(values) == 0:
        return
    drawable = _drawable(values)
    low = float(drawable.min())
    offsets = drawable - low
    if float(offsets.max()) <= 64 * np.spacing(max(abs(low), float(np.abs(drawable).max()))):
        axes.bar([0], [len(values)], color=color)
        axes.set_xticks([0], [_tick(low)])
        return
    counts, edges = np.histogram(offsets, bins=30)
    axes.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=color)
    for count in (3, 2):
        ticks = np.linspace(0, edges[-1], count)
        names = [_tick(low + tick) for tick in ticks]
        if sum(map(len, names)) <= _TICK_LETTERS:
            break
    axes.set_xticks(ticks, names)
    axes.get_xticklabels()[0].set_horizontalalignment("left")  # nothing stands out over the panel
    axes.get_xticklabels()[-1].set_horizontalalignment("right")


def _tick(value: float) -> str:
    """Write a number as the page beside the picture does: whole ones whole, others to 4 digits."""
    if value != 0 and not 1e-3 <= abs(value) < 1e9:
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _bars(axes: Axes, names: Sequence[str], counts: Sequence[int], *, color: str) -> None:
    names = [printable(name[:100]) for name in names]
    most = sorted(range(len(names)), key=lambda i: -counts[i])[:6]
    axes.bar(range(len(most)), [counts[i] for i in most], color=color)
    room = _PANEL / len(most)
    if all(width_of(names[i], TEXT) < 0.9 * room for i in most):
        axes.set_xticks(range(len(most)), [names[i] for i in most], parse_math=False)
    else:
        axes.set_xticks(range(len(most)), [shortened(names[i], _TICK, TEXT) for i in most], rotation=30, ha="right", parse_math=False)


def _titled(axes: Axes, text: str) -> None:
    axes.set_title(shortened(text, 0.46 * WIDTH, TEXT), fontsize=TEXT, color=_INK, loc="left", parse_math=False)


def _drawable(values: Array) -> Array:
    return np.clip(values.astype(np.float64), -_DRAWABLE, _DRAWABLE)

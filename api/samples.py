"""Some rows of a dataset as a picture: images and slices of volumes as pictures, signals as lines, columns of tables as histograms."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from data.dataset import Array, Column, Dataset, DatasetInfo

_INK = "#212529"
_FAINT = "#868e96"
_BLUE = "#0b6e99"
_CLASSES_SHOWN = 8
_ROWS_SHOWN = 8
_COLUMNS_SHOWN = 12
_ROWS_READ = 20_000
_MAX_TITLE = 90
_MAX_LABEL = 24
_DRAWABLE = 1e100


def sample_picture(dataset: Dataset) -> bytes:
    """Draw a sample of a dataset as PNG."""
    info = dataset.info
    figure = Figure(figsize=(10, 0.6 + _height(info)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(
        _shortened(info.title or info.id, _MAX_TITLE), fontsize=13, fontweight="bold", color=_INK, x=0.01, ha="left", parse_math=False
    )
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
        return 2.4 * -(-(min(_COLUMNS_SHOWN, len(info.columns or ())) + 1) // 4)
    return 1.1 * min(_CLASSES_SHOWN, info.num_classes or 4)


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
        line[0].set_ylabel(_shortened(label, _MAX_LABEL), rotation=0, ha="right", va="center", fontsize=9.5, color=_INK, parse_math=False)


def _examples(dataset: Dataset) -> list[tuple[str, list[int]]]:
    """Choose rows to show: some of each class, or some in order of a numeric target."""
    y, labels = dataset.y, dataset.info.class_labels
    if labels is None:
        chosen = np.argsort(y, kind="stable")[np.linspace(0, len(y) - 1, min(len(y), 4)).astype(int)]
        return [(f"{y[number]:.4g}", [int(number)]) for number in chosen]
    chosen_rows = [(labels[k], _spread(np.flatnonzero(y == k))) for k in range(min(len(labels), _CLASSES_SHOWN))]
    return [(label, numbers) for label, numbers in chosen_rows if numbers]


def _spread(rows: Array) -> list[int]:
    """Choose rows that lie apart, for neighbours are often alike."""
    places = np.linspace(0, len(rows) - 1, min(len(rows), _ROWS_SHOWN)).astype(int)
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
    panels = figure.subplots(-(-(len(columns) + 1) // 4), 4, squeeze=False).reshape(-1)
    _target(panels[0], dataset.info, dataset.y[:_ROWS_READ])
    for i, (axes, column) in enumerate(zip(panels[1:], columns, strict=False)):
        _column(axes, column, np.asarray(dataset.column(i)[:_ROWS_READ], dtype=np.float64))
    for axes in panels[len(columns) + 1 :]:
        axes.set_visible(False)
    for axes in panels:
        axes.tick_params(labelsize=7.5, colors=_FAINT)
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
        axes.set_xticks([0], [f"{low:.6g}"])
        return
    counts, edges = np.histogram(offsets, bins=30)
    axes.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=color)
    ticks = np.linspace(0, edges[-1], 4)
    axes.set_xticks(ticks, [f"{low + tick:.4g}" for tick in ticks])


def _bars(axes: Axes, names: Sequence[str], counts: Sequence[int], *, color: str) -> None:
    most = sorted(range(len(names)), key=lambda i: -counts[i])[:6]
    axes.bar(range(len(most)), [counts[i] for i in most], color=color)
    axes.set_xticks(range(len(most)), [_shortened(names[i], 9) for i in most], rotation=20, ha="right", parse_math=False)


def _titled(axes: Axes, text: str) -> None:
    axes.set_title(_shortened(text, 34), fontsize=9, color=_INK, loc="left", parse_math=False)


def _drawable(values: Array) -> Array:
    return np.clip(values.astype(np.float64), -_DRAWABLE, _DRAWABLE)


def _shortened(text: str, most: int) -> str:
    printable = "".join(c if c.isprintable() else " " for c in text)
    return printable if len(printable) <= most else f"{printable[: most - 3]}..."

"""The plan `learning_curve`: losses and score against training rows."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from api.pictures.figures import cut, cut_note
from api.pictures.lines import SPLITS, WORDS
from api.pictures.settings import logarithmic_from
from api.pictures.style import VAL, Heading, Units, dress, is_wide, known, legend_below, name, numbers, page, scale
from jobs.plans.learning_curve.result import LearningCurvePoint, LearningCurveResult
from jobs.plans.results import FitFigures


def learning_curve_page(heading: Heading, result: LearningCurveResult, units: Units) -> Figure:
    """Draw training and validation figures against rows with 95 % intervals; the gap between them is shaded."""
    figure = page(heading)
    panels = figure.subplots(1, 2)
    points = [point for point in result.points if point.summary]
    fits = {fit.number: fit for fit in result.fits}
    for axes, kind in zip(panels, ("loss", units.metric), strict=True):
        _panel(axes, points, fits, kind, units)
    several = len(result.divisions) > 1
    notes = [
        cut_note(
            [(one.low, one.high) for point in points for key, one in point.summary.items() if key in {f"train_{kind}", f"val_{kind}"}], kind
        )
        for kind in ("loss", units.metric)
    ]
    name(
        panels[0],
        f"bands: 95 % t intervals of the mean over {len(result.divisions)} divisions{notes[0]}; dots: each"
        if several
        else "whiskers: 95 % interval over validation rows",
    )
    missing = len(result.points) - len(points)
    said = [f"bands{notes[1].replace(', ', ': ')}"] if notes[1] else []
    said += [f"{missing} of {len(result.points)} parts did not finish"] if missing else []
    if said:
        name(panels[1], "; ".join(said))
    legend_below(figure, panels[0])
    return figure


def _panel(axes: Axes, points: Sequence[LearningCurvePoint], fits: dict[int, FitFigures], kind: str, units: Units) -> None:
    rows = [point.mean_rows for point in points]
    means: dict[str, list[float]] = {}
    drawn: list[float] = []
    for split, color, style in SPLITS:
        found = [point.summary.get(f"{split}_{kind}") for point in points]
        means[split] = numbers(None if one is None else one.mean for one in found)
        drawn += known(means[split])
        axes.plot(rows, means[split], color=color, linestyle=style, linewidth=2.2, marker="o", markersize=5, label=WORDS[split], zorder=3)
        bands = [(None, None) if one is None else cut(one.low, one.high, kind) for one in found]
        low, high = (numbers(band[end] for band in bands) for end in (0, 1))
        if known(low):
            axes.fill_between(rows, low, high, color=color, alpha=0.15, linewidth=0)
            each = [
                (rows_, getattr(fits.get(number), split, None))
                for point in points
                for number, rows_ in zip(point.fits, point.num_rows, strict=True)
            ]
            dots = [(at, figures[kind]) for at, figures in each if figures is not None and kind in figures]
            if dots:
                axes.plot(*zip(*dots, strict=True), marker=".", markersize=4, color=color, alpha=0.6, linestyle="none")
        elif split == "val" and kind == "loss":
            bounds = [(point.val_loss.low, point.val_loss.high) if point.val_loss is not None else (None, None) for point in points]
            for at, ends in zip(rows, bounds, strict=True):
                axes.plot([at, at], numbers(ends), color=color, linewidth=1.4)
    axes.fill_between(rows, means["train"], means["val"], color=VAL, alpha=0.08, linewidth=0, label="generalization gap")
    if kind == "loss":
        scale(axes, drawn)
    if is_wide(rows):
        logarithmic_from(axes, min(rows), max(rows))
    dress(axes, "training rows", units.label(kind))

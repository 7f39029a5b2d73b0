"""The plan `bias_variance`: the terms of the error along the axis of complexity, and how answers scatter about the truth."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from api.pictures.figures import said
from api.pictures.settings import listed, shown, written
from api.pictures.style import (
    FAINT,
    INK,
    SMALL,
    TRAIN,
    VAL,
    Heading,
    Units,
    categories,
    dress,
    known,
    legend_below,
    name,
    numbers,
    page,
    plain,
    scale,
)
from jobs.plans.bias_variance.result import AnswerBand, BiasVariancePoint, BiasVarianceResult, SquaredTerms
from jobs.pointers import words_of

_SQUARED = (
    ("error", "error", INK, "-", "o"),
    ("variance", "variance", TRAIN, "-", "s"),
    ("bias_squared_plus_noise", "bias² + noise", VAL, (0, (4, 1.5)), "D"),
    ("bias_squared", "bias²", "#009e73", (0, (1, 1)), "^"),
    ("noise", "noise", FAINT, (0, (5, 1, 1, 1)), "v"),
)
_ZERO_ONE = (
    ("error", "error", INK, "-", "o"),
    ("variance_unbiased", "variance of right answers (adds)", TRAIN, "-", "s"),
    ("bias", "bias", VAL, (0, (4, 1.5)), "D"),
    ("variance_biased", "variance of wrong ones (takes)", "#009e73", (0, (1, 1)), "^"),
)
_MAX_BANDS = 3


def bias_variance_page(heading: Heading, result: BiasVarianceResult, units: Units) -> Figure:
    """Draw the terms against the axis, or as bars where there is none, above the answers of the simplest, best and most flexible."""
    banded = [point for i in dict.fromkeys((0, result.best, len(result.points) - 1)) if (point := result.points[i]).band is not None]
    banded.sort(key=result.points.index)
    if result.axis is None:
        figure = page(heading, height=4.2)
        left, *rest = figure.subplots(1, 1 + len(banded), squeeze=False)[0]
        _bars(left, result, units)
        _bands(rest, banded, result, units)
        legend_below(figure, *rest)
        return figure
    figure = page(heading, height=4.4 + (2.9 if banded else 0))
    grid = figure.add_gridspec(2 if banded else 1, max(1, len(banded)), height_ratios=(1.45, 1) if banded else (1,))
    top = figure.add_subplot(grid[0, :])
    _curve(top, result, units)
    top.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=6, frameon=False, fontsize=SMALL, columnspacing=1.4)
    below = [figure.add_subplot(grid[1, i]) for i in range(len(banded))]
    _bands(below, banded, result, units)
    legend_below(figure, *below)
    return figure


def _terms(result: BiasVarianceResult) -> tuple[tuple[str, str, str, object, str], ...]:
    return _SQUARED if isinstance(result.points[0].terms, SquaredTerms) else _ZERO_ONE


def _label(result: BiasVarianceResult, units: Units) -> str:
    return units.label("loss") if isinstance(result.points[0].terms, SquaredTerms) else "0-1 loss (share of rows)"


def _curve(axes: Axes, result: BiasVarianceResult, units: Units) -> None:
    """Draw every term against the axis; where bias and noise are told apart, their sum is left out."""
    values = [point.value for point in result.points]
    setting = listed(result.axis or "", plain(words_of(result.axis or ""), 40), values)
    places = [float(i) for i in range(len(values))] if setting.words is not None else [setting.place(value) for value in values]
    order = sorted(range(len(places)), key=places.__getitem__)
    drawn: list[float] = []
    is_split = getattr(result.points[0].terms, "bias_squared", None) is not None
    for field, words, color, style, marker in _terms(result):
        if field == "bias_squared_plus_noise" and is_split:
            continue
        found = numbers(getattr(result.points[i].terms, field) for i in order)
        if not known(found):
            continue
        drawn += known(found)
        width = 2.4 if field == "error" else 1.8
        axes.plot(
            [places[i] for i in order], found, color=color, linestyle=style, linewidth=width, marker=marker, markersize=5, label=words
        )
    best = result.points[result.best]
    axes.axvline(places[result.best], color=FAINT, linewidth=0.9, linestyle=":", label=f"least error: {shown(written(best.value), 30)}")
    is_squared = isinstance(result.points[0].terms, SquaredTerms)
    if not (is_squared and scale(axes, drawn)) and min(drawn, default=0.0) >= 0:
        axes.set_ylim(bottom=0)
    if setting.words is not None:
        categories(axes, "x", [shown(written(value), 16) for value in values], most=16)
    else:
        setting.dress(axes)
    dress(
        axes, f"{setting.label}   ({result.resamples} resamples of each, {result.evaluation_rows} validation rows)", _label(result, units)
    )


def _bars(axes: Axes, result: BiasVarianceResult, units: Units) -> None:
    """Draw the terms of the one setting."""
    terms = result.points[0].terms
    found = [(words, color, getattr(terms, field)) for field, words, color, _, _ in _terms(result) if getattr(terms, field) is not None]
    if isinstance(terms, SquaredTerms) and terms.cross_term is not None:
        found.append(("cross term", FAINT, terms.cross_term))
    values = numbers(value for _, _, value in found)
    axes.barh(range(len(found)), values, color=[color for _, color, _ in found], height=0.55)
    for i, value in enumerate(values):
        axes.annotate(said(value, 4), (max(value, 0), i), xytext=(4, 0), textcoords="offset points", va="center", fontsize=SMALL)
    categories(axes, "y", [words for words, _, _ in found])
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.margins(x=0.15)
    dress(axes, _label(result, units).replace("\n", " "), "")
    name(axes, f"{result.resamples} resamples, {result.evaluation_rows} validation rows")


def _bands(panels: Sequence[Axes], points: Sequence[BiasVariancePoint], result: BiasVarianceResult, units: Units) -> None:
    """Draw mean answers with one standard deviation over resamples, on axes alike."""
    if not points:
        return
    bands = [point.band for point in points if point.band is not None]
    ys = [value for band in bands for value in known(numbers(band.y))]
    low, high = min(ys, default=0.0), max(ys, default=1.0)
    room = 0.15 * (high - low) or 0.5
    for i, (axes, point, band) in enumerate(zip(panels, points, bands, strict=True)):
        _band(axes, band)
        axes.set_ylim(low - room, high + room)
        dress(axes, "feature", f"target{f' ({plain(units.unit, 20)})' if units.unit else ''}" if i == 0 else "")
        name(axes, _setting(result, point) or "answers over the feature")


def _setting(result: BiasVarianceResult, point: BiasVariancePoint) -> str:
    return "" if result.axis is None else f"{plain(words_of(result.axis), 30)} {shown(written(point.value), 30)}"


def _band(axes: Axes, band: AnswerBand) -> None:
    mean, std = numbers(band.mean), numbers(band.std)
    axes.plot(band.x, numbers(band.y), marker=".", markersize=3, color=FAINT, alpha=0.6, linestyle="none", label="validation rows")
    if band.truth is not None:
        axes.plot(band.x, numbers(band.truth), color=INK, linewidth=1.2, linestyle=(0, (4, 1.5)), label="truth")
    below, above = [m - s for m, s in zip(mean, std, strict=True)], [m + s for m, s in zip(mean, std, strict=True)]
    axes.fill_between(band.x, below, above, color=TRAIN, alpha=0.25, linewidth=0, label="± 1 sd over resamples")
    axes.plot(band.x, mean, color=TRAIN, linewidth=1.8, label="mean answer")

"""The plan `boosting`: errors of ensemble and members round by round, with what decided each round."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from api.pictures.style import (
    DASHES,
    FAINT,
    INK,
    TRAIN,
    VAL,
    Heading,
    Units,
    dress,
    known,
    legend_below,
    name,
    numbers,
    page,
    whole_numbers,
)
from jobs.plans.boosting.result import BoostingResult
from jobs.plans.results import Figures


def boosting_page(heading: Heading, result: BoostingResult, units: Units) -> Figure:
    """Draw training and validation error by round above alpha and the weighted error."""
    figure = page(heading, height=6.2)
    grid = figure.add_gridspec(2, 2, height_ratios=(1.5, 1))
    errors = figure.add_subplot(grid[0, :])
    alpha, weighted = figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[1, 1])
    rounds = [float(one.round) for one in result.rounds]
    for found, single, color, style, words in (
        ([one.train for one in result.rounds], [one.member_train for one in result.rounds], TRAIN, "-", "training"),
        ([one.val for one in result.rounds], [one.member_val for one in result.rounds], VAL, DASHES, "validation"),
    ):
        ensemble, members = _errors(found, units), _errors(single, units)
        if known(ensemble):
            errors.plot(rounds, ensemble, color=color, linestyle=style, linewidth=2.2, marker="o", markersize=4, label=f"ensemble, {words}")
        if known(members):
            marker = "x" if words == "training" else "+"
            errors.plot(
                rounds, members, color=color, marker=marker, markersize=5, alpha=0.6, linestyle="none", label=f"member alone, {words}"
            )
    dress(errors, "round", "error (share of rows named wrongly)" if units.is_classes else units.label("rmse"))
    _stems(alpha, rounds, numbers(one.alpha for one in result.rounds), INK)
    dress(alpha, "round", "alpha (weight of vote)")
    _stems(weighted, rounds, numbers(one.error for one in result.rounds), TRAIN)
    bound = 1 - 1 / result.num_classes if result.num_classes else 0.5
    weighted.axhline(bound, color=VAL, linewidth=1.2, linestyle=DASHES)
    name(weighted, f"dashed: {bound:.3g}, where boosting stops")
    name(alpha, f"{result.algorithm}, ended by: {result.ended.replace('_', ' ')}")
    dress(weighted, "round", "weighted error e")
    weighted.set_ylim(bottom=0)
    for axes in (errors, alpha, weighted):
        whole_numbers(axes, rounds)
    legend_below(figure, errors)
    return figure


def _errors(found: Sequence[Figures | None], units: Units) -> list[float]:
    return numbers(None if one is None else _error(one, units) for one in found)


def _error(figures: Mapping[str, float], units: Units) -> float | None:
    if units.is_classes:
        return 1 - figures["accuracy"] if "accuracy" in figures else None
    return figures.get("rmse")


def _stems(axes: Axes, xs: Sequence[float], ys: Sequence[float], color: str) -> None:
    axes.vlines(xs, 0, ys, color=color, linewidth=1.4, alpha=0.6)
    axes.plot(xs, ys, marker="o", markersize=4, color=color, linestyle="none")
    axes.axhline(0, color=FAINT, linewidth=0.6)

"""The plan `search`: candidates by their settings, what each setting alone tells, and how far each was trained."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from api.pictures.figures import cut, cut_note, said
from api.pictures.lines import aligned, faintness, frame, thin
from api.pictures.settings import Setting, setting_of
from api.pictures.style import FAINT, INK, TRAIN, VAL, Heading, Units, dress, is_wide, legend_below, name, numbers, page, scale
from data.dataset import Array
from jobs.plans.results import metric_words
from jobs.plans.search.result import CandidateResult, SearchResult
from jobs.plans.search.spec import SearchSpec
from store.epochs import FitCurve
from training.monitors import rises

_MAX_SETTINGS = 8
_IN_A_ROW = 4
_MAX_WHISKERS = 30
_MAX_MARK = 10


@dataclass(frozen=True)
class _Scored:
    """A candidate that can be drawn: with its score or, if it was stopped early, the score it had then."""

    candidate: CandidateResult
    score: float

    @property
    def is_finished(self) -> bool:
        return self.candidate.status == "finished"


def search_page(heading: Heading, result: SearchResult, asked: SearchSpec, curves: Sequence[FitCurve], units: Units) -> Figure:
    """Draw one setting as a slice beside curves; of several all together as parallel coordinates, and a slice of each."""
    scored = _scored(result)
    settings = [
        setting_of(pointer, axis, [one.settings.get(pointer) for one in result.candidates])
        for pointer, axis in list(asked.space.items())[:_MAX_SETTINGS]
    ]
    if len(settings) == 1:
        figure = page(heading)
        one, beside = figure.subplots(1, 2)
        slices = [one]
    else:
        rows = -(-len(settings) // _IN_A_ROW)
        each = -(-len(settings) // rows)
        figure = page(heading, height=3.9 + 2.9 * rows)
        grid = figure.add_gridspec(1 + rows, 1, height_ratios=[1.25, *([1] * rows)])
        top = grid[0].subgridspec(1, 2, width_ratios=(2, 1))
        _parallel(figure.add_subplot(top[0]), settings, scored, result, len(asked.space))
        beside = figure.add_subplot(top[1])
        below = [grid[1 + row].subgridspec(1, each) for row in range(rows)]
        slices = []
        for i in range(len(settings)):
            slices.append(figure.add_subplot(below[i // each][i % each], sharey=slices[0] if slices else None))
    for i, (axes, setting) in enumerate(zip(slices, settings, strict=True)):
        first_of_row = len(settings) == 1 or i % each == 0
        _slice(axes, setting, scored, result, units, is_labelled=first_of_row)
    _curves(beside, result, curves, units)
    legend_below(figure, *slices, beside)
    return figure


def _scored(result: SearchResult) -> list[_Scored]:
    found = []
    for one in result.candidates:
        score = one.score.mean if one.score is not None else one.rungs[-1].score if one.status == "pruned" and one.rungs else None
        if one.status != "failed" and score is not None and math.isfinite(numbers([score])[0]):
            found.append(_Scored(one, score))
    return found


def _slice(axes: Axes, setting: Setting, scored: Sequence[_Scored], result: SearchResult, units: Units, *, is_labelled: bool) -> None:
    """Draw the metric against one setting."""
    chosen = result.choice.chosen
    spread = _jittered(setting, scored)
    for is_finished, color, marker, face, label in (
        (False, FAINT, "v", "none", "stopped early (score when stopped)"),
        (True, TRAIN, "o", TRAIN, "candidate"),
    ):
        picked = [i for i, one in enumerate(scored) if one.is_finished is is_finished and one.candidate.number != chosen]
        if picked:
            ys = [scored[i].score for i in picked]
            axes.plot(
                spread[picked],
                ys,
                marker=marker,
                color=color,
                markerfacecolor=face,
                markersize=5,
                alpha=0.75,
                linestyle="none",
                label=label,
            )
    _whiskers(axes, scored, spread, result.metric.removeprefix("val_"))
    for i, one in enumerate(scored):
        if one.candidate.number == chosen:
            axes.plot(
                spread[[i]],
                [one.score],
                marker="*",
                color=VAL,
                markersize=13,
                markeredgecolor="white",
                linestyle="none",
                zorder=4,
                label="chosen",
            )
    if result.choice.threshold is not None:
        axes.axhline(result.choice.threshold, color=INK, linewidth=0.9, linestyle=":", label="best mean and one standard error")
    setting.dress(axes)
    dress(axes, setting.label, units.label(result.metric.removeprefix("val_"), "validation") if is_labelled else "")
    axes.tick_params(axis="y", labelleft=is_labelled)
    _metric_axis(axes, [one.score for one in scored], result)


def _whiskers(axes: Axes, scored: Sequence[_Scored], places: Array, figure: str) -> None:
    """Draw intervals of means over divisions, where candidates are few, and say what they are."""
    finished = [(place, one.candidate.score) for place, one in zip(places, scored, strict=True) if one.is_finished and one.candidate.score]
    known = [(place, one) for place, one in finished if one.low is not None]
    if len(finished) > _MAX_WHISKERS or not known:
        return
    ends = [(one.low, one.high) for _, one in known]
    label = f"95 % t interval of the mean over {known[0][1].count} divisions{cut_note(ends, figure)}"
    drawn = [numbers(cut(*both, figure)) for both in ends]
    axes.vlines([place for place, _ in known], *zip(*drawn, strict=True), color=TRAIN, alpha=0.4, linewidth=1.2, zorder=1, label=label)


def _metric_axis(axes: Axes, scores: Sequence[float], result: SearchResult) -> None:
    if result.metric in {"val_loss", "val_rmse"}:
        scale(axes, scores)
    elif result.metric == "val_r2" and scores and min(scores) < -1:
        axes.set_ylim(bottom=-1, top=1.05)


def _jittered(setting: Setting, scored: Sequence[_Scored]) -> Array:
    """Give places on a setting's axis; those of words are moved apart a little, alike in every picture."""
    at = np.array([setting.place(one.candidate.settings.get(setting.pointer)) for one in scored])
    if setting.words is None:
        return at
    golden = (np.array([one.candidate.number for one in scored]) * 0.618034) % 1
    return at + (golden - 0.5) * 0.3


def _parallel(axes: Axes, settings: Sequence[Setting], scored: Sequence[_Scored], result: SearchResult, asked: int) -> None:
    """Draw a line for each candidate over one axis per setting, to its score."""
    scores = np.array([one.score for one in scored])
    is_log = is_wide(scores.tolist()) and result.metric in {"val_loss", "val_rmse"}
    last = _unit(np.log(scores) if is_log else scores)
    heights = (
        np.column_stack([*[_unit_of(setting, scored) for setting in settings], last]) if len(scored) else np.empty((0, len(settings) + 1))
    )
    places = np.arange(len(settings) + 1)
    ranks = np.argsort(np.argsort(-scores if rises(result.metric) else scores)) / max(1, len(scores) - 1)
    shades = colormaps["viridis"](0.9 * ranks)
    alpha = max(0.15, min(0.8, 20 / max(1, len(scored))))
    for is_finished in (False, True):
        picked = [i for i, one in enumerate(scored) if one.is_finished is is_finished]
        if picked:
            lines = [np.column_stack([places, heights[i]]) for i in picked]
            colors = [shades[i] for i in picked] if is_finished else FAINT
            style = "-" if is_finished else ":"
            axes.add_collection(
                LineCollection(lines, colors=colors, alpha=alpha if is_finished else alpha / 2, linewidths=1.2, linestyles=style)
            )
    for i, one in enumerate(scored):
        if one.candidate.number == result.choice.chosen:
            axes.plot(places, heights[i], color=VAL, linewidth=2.6, marker="*", markersize=11, markeredgecolor="white", zorder=4)
    for at, setting in enumerate(settings):
        axes.axvline(at, color=INK, linewidth=0.8, zorder=0)
        for height, text in setting.marks(_MAX_MARK if len(settings) > 3 else 2 * _MAX_MARK):
            axes.text(at + 0.03, height, text, fontsize=8, color=INK, va="center", zorder=5, bbox=_PAPER)
    axes.axvline(places[-1], color=INK, linewidth=0.8, zorder=0)
    if len(scored):
        for height, value in ((0.0, scores.min()), (1.0, scores.max()))[: 2 if scores.max() > scores.min() else 1]:
            axes.text(places[-1] + 0.03, height if scores.max() > scores.min() else 0.5, said(value), fontsize=8, va="center", bbox=_PAPER)
    axes.set_xlim(-0.1, len(settings) + 0.4)
    axes.set_ylim(-0.08, 1.08)
    axes.set_xticks(places, [*[setting.label for setting in settings], f"{metric_words(result.metric)}{' (log)' if is_log else ''}"])
    axes.tick_params(axis="x", length=0, labelsize=9)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    failed = sum(one.status == "failed" for one in result.candidates)
    told = ["each line a candidate, dark is better" + (", dotted was stopped early" if any(not one.is_finished for one in scored) else "")]
    told += [f"{failed} failed"] if failed else []
    told += [f"{len(settings)} of {asked} settings"] if asked > len(settings) else []
    name(axes, "; ".join(told))


_PAPER = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.0}


def _unit_of(setting: Setting, scored: Sequence[_Scored]) -> Array:
    return np.array([setting.height(one.candidate.settings.get(setting.pointer)) for one in scored])


def _unit(values: Array) -> Array:
    if len(values) == 0 or values.max() == values.min():
        return np.full(len(values), 0.5)
    apart: Array = (values - values.min()) / (values.max() - values.min())
    return apart


def _curves(axes: Axes, result: SearchResult, curves: Sequence[FitCurve], units: Units) -> None:
    """Draw the metric of every candidate's fits against epochs: those stopped early end where they were stopped."""
    by_number, figure = {curve.number: curve for curve in curves}, result.metric
    drawn: list[Array] = []
    longest = 0
    for status, color, label in (("pruned", FAINT, "stopped early"), ("finished", TRAIN, "trained to the end"), ("chosen", VAL, "chosen")):
        picked = [one for one in result.candidates if (one.number == result.choice.chosen if status == "chosen" else one.status == status)]
        found = [by_number[number] for one in picked for number in one.fits if number in by_number]
        epochs, values = aligned(found, figure)
        if not np.isfinite(values).any():
            continue
        longest = max(longest, len(epochs) - 1)
        drawn.append(values)
        is_chosen = status == "chosen"
        thin(axes, epochs, values, color, alpha=1.0 if is_chosen else faintness(len(found)), width=1.8 if is_chosen else 1.0)
        axes.plot([], [], color=color, linewidth=1.6, label=label)
        if status == "pruned":
            ends = [(epochs[held][-1], row[held][-1]) for row in values if (held := np.isfinite(row)).any()]
            axes.plot(*zip(*ends, strict=True), marker="x", markersize=4, color=FAINT, alpha=0.7, linestyle="none")
    for epoch in sorted({rung.epoch for one in result.candidates for rung in one.rungs}):
        axes.axvline(epoch, color=FAINT, linewidth=0.8, linestyle=":")
    frame(axes, figure.removeprefix("val_"), units, drawn, np.arange(longest + 1), "validation")
    name(axes, f"{len(result.candidates)} candidates")

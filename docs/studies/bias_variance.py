"""Bias and variance against width on the noisy sine: the U curve. Writes bias_variance.md and bias_variance.png beside itself.

python docs/studies/bias_variance.py
"""

from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from running import COLORS, DASHES, mean_said, plain, ran, table, write

from data import builtin

SINE = builtin.load("noisy_sine")
SEEDS = range(10)
JOB: dict[str, Any] = {
    "network": {"name": "mlp", "activation": "tanh"},
    "optimizer": {"name": "adam", "learning_rate": 0.05},
    "training": {"max_epochs": 150, "batch_size": 8},
    "split": {"name": "holdout", "val_fraction": 0.94},
    "plan": {
        "name": "bias_variance",
        "resamples": 10,
        "axis": {"/network/hidden_units": {"values": [[1, 1], [2, 2], [8, 8], [32, 32], [128, 128]]}},
    },
}
TERMS = ("error", "bias_squared", "variance", "noise", "cross_term")
NAMES = {"error": "mean squared error", "bias_squared": "bias²", "variance": "variance", "noise": "noise", "cross_term": "cross term"}


def said(points: list[dict[str, Any]]) -> list[list[str]]:
    """Give the terms of one job, a line for each width."""
    return [[str(one["value"]), str(one["num_parameters"]), *(f"{one['terms'][term]:.4f}" for term in TERMS)] for one in points]


def over_seeds(jobs: list[list[dict[str, Any]]]) -> list[list[str]]:
    """Give mean and interval of three terms over seeds, and how often a width had the least error."""
    least = [min(range(len(points)), key=lambda i, points=points: points[i]["terms"]["error"]) for points in jobs]
    return [
        [
            str(jobs[0][i]["value"]),
            *(mean_said([points[i]["terms"][term] for points in jobs]) for term in ("error", "bias_squared", "variance")),
            f"{least.count(i)} of {len(jobs)}",
        ]
        for i in range(len(jobs[0]))
    ]


def draw(points: list[dict[str, Any]], best: int) -> Figure:
    """Draw the fits of the narrowest, the best and the widest network, and the terms against width."""
    figure = Figure(figsize=(14, 4.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    *bands, curve = figure.subplots(1, 4, width_ratios=(1, 1, 1, 1.5))
    for axes, i in zip(bands, (0, best, len(points) - 1), strict=True):
        _band(axes, points[i], is_first=axes is bands[0])
    places = range(len(points))
    for term, color, dashes in zip(TERMS[:4], COLORS[6:] + COLORS[:3], DASHES[:4], strict=True):
        curve.plot(
            places, [one["terms"][term] for one in points], color=color, linestyle=dashes, marker="o", markersize=4, label=NAMES[term]
        )
    curve.set_xticks(places, [f"{one['value'][0]}" for one in points])
    curve.legend(frameon=False, fontsize=9)
    plain(curve, "terms of the error on 470 validation rows", "units in each of two hidden layers", "squared units of the target")
    figure.suptitle("Bias and variance: 10 bootstrap samples of 30 rows of the noisy sine", x=0.01, ha="left", fontweight="bold")
    return figure


def _band(axes: Axes, point: dict[str, Any], *, is_first: bool) -> None:
    band = point["band"]
    low, high = ([m + sign * s for m, s in zip(band["mean"], band["std"], strict=True)] for sign in (-1, 1))
    axes.plot(band["x"], band["y"], ".", color="#adb5bd", markersize=3, label="validation rows")
    axes.fill_between(band["x"], low, high, color=COLORS[0], alpha=0.2, linewidth=0, label="± standard deviation")
    axes.plot(band["x"], band["truth"], color=COLORS[6], linestyle=DASHES[1], linewidth=1.2, label="truth")
    axes.plot(band["x"], band["mean"], color=COLORS[0], label="mean of 10 fits")
    axes.set_ylim(-1.8, 1.8)
    plain(axes, f"{point['value'][0]} {'unit' if point['value'][0] == 1 else 'units'}", "x", "y" if is_first else "")
    if is_first:
        axes.legend(frameon=False, fontsize=7.5, loc="lower left")


def main() -> None:
    """Measure, write the tables, draw."""
    torch.set_num_threads(1)
    results = [ran(SINE, **JOB, seed=seed).result for seed in SEEDS]
    jobs = [result["points"] for result in results]
    text = [
        "## One job (seed 0)",
        table(("hidden units", "parameters", *(NAMES[term] for term in TERMS)), said(jobs[0])),
        f"Its sentence: {results[0]['sentence']}",
        "## Ten jobs (seeds 0 to 9: other training rows, samples and first weights)",
        table(("hidden units", "mean squared error", "bias²", "variance", "least error"), over_seeds(jobs)),
    ]
    write(__file__, "\n\n".join(text))
    draw(jobs[0], results[0]["best"]).savefig(Path(__file__).with_suffix(".png"))


if __name__ == "__main__":
    main()

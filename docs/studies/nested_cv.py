"""How much a search believes of coin flips, and what nesting says of it. Writes nested_cv.md and nested_cv.png beside itself.

python docs/studies/nested_cv.py
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from running import COLORS, DASHES, mean_said, plain, ran, table, write

from data import builtin
from data.dataset import Dataset, content_hash

CANDIDATES = (1, 4, 16)
DRAWS = range(8)
"""Each draw gives the rows other labels and the job another seed."""
ROWS = 100
JOB: dict[str, Any] = {
    "training": {"max_epochs": 8, "batch_size": 32, "kept_weights": "last"},
    "split": {"name": "k_fold", "folds": 5},
    "evaluation": {"resamples": 100},
}
SPACE: dict[str, Any] = {
    "/network/hidden_units": {"values": [[], [4], [16], [64]]},
    "/optimizer/learning_rate": {"low": 0.0003, "high": 0.3, "log": True},
    "/regularization/l2": {"low": 0.00001, "high": 0.1, "log": True},
}
FIGURES = {"inner": "the search's own score of its choice", "outer": "the choice on rows the search did not see"}


def coin_flips(draw: int) -> Dataset:
    """Give the first rows of breast_cancer, whose labels are 50 zeros and 50 ones in any order: nothing can be learned from them."""
    known = builtin.load("breast_cancer")
    x = known.x[:ROWS]
    y = np.random.default_rng(draw).permutation(np.arange(ROWS) % 2)
    info = replace(known.info, id="coin_flips", num_rows=ROWS, class_counts=(ROWS // 2, ROWS // 2), content_hash=content_hash(x, y))
    return replace(known, info=info, y=y, read=lambda: x, read_column=None)


def measured(candidates: int, draw: int) -> dict[str, float]:
    """Run one nested cross-validation; give mean inner and outer accuracy."""
    search = {"method": "random", "candidates": candidates, "space": SPACE, "metric": "val_accuracy"}
    plan = {"name": "nested_cv", "inner_split": {"name": "k_fold", "folds": 3}, "search": search}
    result = ran(coin_flips(draw), **JOB, plan=plan, seed=draw).result
    return {"inner": result["inner_score"]["mean"], "outer": result["outer_score"]["mean"], "optimism": result["optimism"]["mean"]}


def draw(found: dict[int, list[dict[str, float]]]) -> Figure:
    """Draw both scores against the number of candidates."""
    figure = Figure(figsize=(7, 4.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.axhline(0.5, color=COLORS[6], linewidth=0.8, linestyle=":", label="a coin")
    for name, color, dashes in zip(FIGURES, (COLORS[1], COLORS[0]), DASHES[:2], strict=True):
        means = [np.mean([one[name] for one in jobs]) for jobs in found.values()]
        for count, jobs in found.items():
            axes.plot([count] * len(jobs), [one[name] for one in jobs], ".", color=color, alpha=0.35)
        axes.plot(list(found), means, color=color, linestyle=dashes, marker="o", label=FIGURES[name])
    axes.set_xscale("log")
    axes.set_xticks(CANDIDATES, [str(count) for count in CANDIDATES])
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    plain(axes, f"{len(DRAWS)} draws of labels; lines are means", "candidates tried", "accuracy")
    figure.suptitle("A search on coin flips", x=0.01, ha="left", fontweight="bold")
    return figure


def main() -> None:
    """Measure, write the table, draw."""
    torch.set_num_threads(1)
    found = {count: [measured(count, one) for one in DRAWS] for count in CANDIDATES}
    lines = [[str(count), *(mean_said([one[name] for one in jobs]) for name in (*FIGURES, "optimism"))] for count, jobs in found.items()]
    write(__file__, table(("candidates", *FIGURES.values(), "optimism"), lines))
    draw(found).savefig(Path(__file__).with_suffix(".png"))


if __name__ == "__main__":
    main()

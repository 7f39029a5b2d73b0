"""Seven optimizers on one problem: the course's figure with real numbers. Writes optimizers.md and optimizers.png beside itself.

python docs/studies/optimizers.py
"""

from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from running import COLORS, DASHES, Ran, plain, ran, table, write

from data import builtin

DIGITS = builtin.load("digits")
OPTIMIZERS = ("sgd", "momentum", "nag", "adagrad", "adadelta", "rmsprop", "adam")
FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Learning rates of the grid, in multiples of the default."""
PROBLEM: dict[str, Any] = {
    "network": {"name": "mlp", "hidden_units": [32]},
    "training": {"max_epochs": 30, "batch_size": 32},
    "split": {"name": "holdout", "val_fraction": 0.3, "test_fraction": 0.2},
    "seed": 0,
}
FIGURES = {
    "default": "each with its default learning rate",
    "tuned": f"each with the best of {len(FACTORS)} learning rates",
}


def compared(rates: dict[str, float]) -> Ran:
    """Compare the seven, each with its learning rate, or its default where none is given."""
    variants = [
        {"label": name, "set": {"/optimizer": {"name": name, **({"learning_rate": rates[name]} if name in rates else {})}}}
        for name in OPTIMIZERS
    ]
    found = ran(DIGITS, **PROBLEM, plan={"name": "comparison", "variants": variants})
    _same_start(found)
    return found


def _same_start(found: Ran) -> None:
    """Assert that all fits have the same rows and seed, and that their epoch-0 rows are identical."""
    assert len({(fit.row_hash, fit.seed) for fit in found.planned.values()}) == 1
    first = [curve[0] for curve in found.curves.values()]
    assert len(first) == len(OPTIMIZERS)
    assert {one.epoch for one in first} == {0}
    assert len({(one.train_loss, one.val_loss, str(one.train_metrics), str(one.val_metrics)) for one in first}) == 1


def searched(name: str, default: float) -> dict[str, Any]:
    """Choose a learning rate by the validation rows; the refit on all rows but the test rows measures these once."""
    rates = [float(f"{default * factor:.3g}") for factor in FACTORS]
    plan = {"name": "search", "method": "grid", "space": {"/optimizer/learning_rate": {"values": rates}}}
    result = ran(DIGITS, **PROBLEM, optimizer={"name": name}, plan=plan).result
    rate = result["choice"]["settings"]["/optimizer/learning_rate"]
    return {"rate": rate, "is_end": rate in {rates[0], rates[-1]}, "test": result["refit"]["test"]}


def by_label(found: Ran) -> dict[str, int]:
    """Give the number of each optimizer's fit."""
    return {str(fit.place["variant"]): number for number, fit in found.planned.items()}


def rows(found: Ran, rates: dict[str, float], more: dict[str, str]) -> list[list[str]]:
    """Give a line for each optimizer, in the order of the ranking."""
    lines = []
    for variant in found.result["variants"]:
        name = variant["label"]
        curve = found.curves[by_label(found)[name]]
        loss, apart = variant["val_loss"], variant["difference"]
        far = "-" if apart is None else f"{apart['value']:.4f} [{apart['low']:.4f}, {apart['high']:.4f}]"
        lines.append(
            [
                str(variant["rank"]),
                f"`{name}`",
                f"{rates[name]:g}",
                *(f"{curve[epoch].train_loss:.4f}" for epoch in (1, 5, 30)),
                f"{loss['value']:.4f} [{loss['low']:.4f}, {loss['high']:.4f}]",
                f"{variant['summary']['val_accuracy']['mean']:.4f}",
                far,
                *([more[name]] if more else []),
            ]
        )
    return lines


HEADINGS = (
    "rank", "optimizer", "learning rate", "training loss after 1 epoch", "5", "30", "best validation loss [95 %]", "accuracy there", "against the best, paired [95 %]",
)  # fmt: skip


def draw(runs: dict[str, Ran]) -> Figure:
    """Draw the losses against epochs."""
    figure = Figure(figsize=(11, 8.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(2, 2, sharex=True, sharey="col")
    for line, (name, found) in zip(grid, runs.items(), strict=True):
        for axes, part, what in zip(line, ("train", "val"), ("training", "validation"), strict=True):
            _curves(axes, found, f"{part}_loss")
            plain(axes, FIGURES[name], "epoch", f"{what} loss (nats)")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, handlelength=3.2)
    figure.suptitle("Seven optimizers, the same first weights and batches (digits, MLP 64-32-10)", x=0.01, ha="left", fontweight="bold")
    return figure


def _curves(axes: Axes, found: Ran, column: str) -> None:
    for (name, number), color, dashes in zip(by_label(found).items(), COLORS, DASHES, strict=True):
        curve = found.curves[number]
        axes.plot([one.epoch for one in curve], [getattr(one, column) for one in curve], color=color, linestyle=dashes, label=name)
    axes.set_yscale("log")


def main() -> None:
    """Measure, write the tables, draw."""
    torch.set_num_threads(1)
    default = compared({})
    specs = {str(fit.place["variant"]): fit.spec.optimizer for fit in default.planned.values()}
    rates = {name: spec.learning_rate for name, spec in specs.items()}
    best = {name: searched(name, rates[name]) for name in OPTIMIZERS}
    tuned = compared({name: one["rate"] for name, one in best.items()})
    test = {name: "{value:.4f} [{low:.4f}, {high:.4f}]".format(**one["test"]["accuracy"]) for name, one in best.items()}
    ends = [f"`{name}`" for name, one in best.items() if one["is_end"]]
    first = default.curves[1][0]
    text = [
        f"All fourteen fits begin with the same epoch 0: training loss {first.train_loss:.4f}, validation loss {first.val_loss:.4f}.",
        "## Each with its default learning rate",
        table(HEADINGS, rows(default, rates, {})),
        "## Each with the best learning rate of its grid",
        table((*HEADINGS, "test accuracy after the refit [95 %]"), rows(tuned, {name: one["rate"] for name, one in best.items()}, test)),
        f"At an end of its grid, so that a better rate may lie beyond: {', '.join(ends) if ends else 'none'}.",
    ]
    write(__file__, "\n\n".join(text))
    draw({"default": default, "tuned": tuned}).savefig(Path(__file__).with_suffix(".png"))


if __name__ == "__main__":
    main()

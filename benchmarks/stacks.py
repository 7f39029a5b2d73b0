"""How many fits train fastest as one stack: whether the planner's thresholds fit this processor (jobs/planning.py).

For networks and batches of many sizes, stacks of 1 to 128 fits of digits train their epochs without figures, turn by turn; printed
are microseconds of CPU a step of each fit, for every size of a stack, and what the planner's choice costs beside the best one.

    python benchmarks/stacks.py                    # some ten minutes on one core
    python benchmarks/stacks.py --rounds 1 --batches 32

The planner calculates before it is known which machine trains, so it does not measure by itself: another kind of processor is
calibrated by running this on it. Numbers do not depend on it.
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

from plans import DIGITS, digits_job, warm
from rich.console import Console
from rich.table import Table

from jobs.materialize import Materializer
from jobs.planning import stack_size, step_flops
from jobs.plans.fits import PlannedFit
from jobs.plans.replay import replay
from training.allocator import keep_freed_memory
from training.backend import backend_of
from training.loop import Stack
from training.records import Fit

NETWORKS = ((8,), (32,), (64,), (128, 64), (256,), (256, 128), (512, 256), (1024, 512))
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
_STEPS = 400
"""Steps of a fit that are timed for each size of a stack, fewer where they take long."""
_MOST_SECONDS = 1.5


def _planned(hidden: Sequence[int], batch: int, count: int) -> Sequence[PlannedFit]:
    """Plan so many fits that differ in their learning rate."""
    rates = {"/optimizer/learning_rate": {"values": [0.001 / (1 + i) for i in range(count)]}}
    spec = digits_job(
        100,
        network={"name": "mlp", "hidden_units": list(hidden)},
        training={"max_epochs": 100, "batch_size": batch},
        split={"name": "holdout"},
        plan={"name": "search", "space": rates, "refit": False},
    )
    round_ = replay(spec, DIGITS, []).awaited
    if round_ is None:
        raise RuntimeError("the plan has no fits")
    return round_.fits


def _microseconds(fits: Sequence[Fit], batch: int) -> float:
    """Train a stack; give microseconds of CPU a step of one of its fits."""
    stack = Stack(fits)
    steps = -(-len(fits[0].data.train.y) // batch)
    with backend_of(stack.weights):
        stack.train_epoch(1)
        seconds, done = 0.0, 0
        while done < _STEPS and seconds < _MOST_SECONDS:
            began = time.process_time()
            stack.train_epoch(2 + done // steps)
            seconds, done = seconds + time.process_time() - began, done + steps
    return seconds / done / len(fits) * 1e6


def _measured(hidden: Sequence[int], batch: int, rounds: int) -> dict[str, Any]:
    planned = _planned(hidden, batch, SIZES[-1])
    materializer = Materializer(DIGITS)
    fits = [materializer.materialize(one).fit for one in planned]
    found = dict.fromkeys(SIZES, float("inf"))
    for _ in range(rounds):
        for size in SIZES:
            found[size] = min(found[size], _microseconds(fits[:size], batch))
    chosen = min(SIZES, key=lambda size: abs(size - stack_size(planned[0])))
    return {
        "network": "-".join(map(str, (64, *hidden, 10))),
        "batch": batch,
        "mflop": step_flops(planned[0]) / 1e6,
        "parameters": planned[0].num_parameters,
        "microseconds": found,
        "chosen": chosen,
        "of_best": found[chosen] / min(found.values()),
    }


def _table(found: Sequence[dict[str, Any]]) -> Table:
    table = Table(
        "network",
        "batch",
        "MFLOP",
        "parameters",
        *map(str, SIZES),
        "of the best",
        title="Microseconds a step of one fit, by size of the stack",
    )
    for one in found:
        cells = [f"[bold]{value:.0f}[/bold]" if size == one["chosen"] else f"{value:.0f}" for size, value in one["microseconds"].items()]
        table.add_row(one["network"], str(one["batch"]), f"{one['mflop']:.2f}", str(one["parameters"]), *cells, f"{one['of_best']:.2f}")
    table.caption = "bold: the planner's choice, or the measured size that is nearest"
    return table


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", nargs="+", type=int, default=[8, 32, 128])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write what was measured there")
    options = parser.parse_args()
    keep_freed_memory()
    warm()
    found = []
    for hidden in NETWORKS:
        for batch in options.batches:
            found.append(_measured(hidden, batch, options.rounds))
            Console(width=160).print(_table(found[-1:]))
            if options.json is not None:
                options.json.write_text(json.dumps(found, indent=1))
    Console(width=160).print(_table(found))


if __name__ == "__main__":
    main()

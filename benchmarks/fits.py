"""Fits of the digits MLP beside other libraries, in one run on one machine: alone, ten folds, a bag, a grid, two jobs at once.

What is ours is trained as a worker trains it: the plan's fits, grouped by the planner, stack after stack, with the figures of
all training and validation rows after every epoch; planning, preparation, final scores, intervals and the plan's conclusion
are timed as well, but for the single fit, which peers end with their last epoch. Every process has one thread. Rounds are
interleaved; ratios are of medians, and their spread is that of the rounds' own ratios.

    python benchmarks/fits.py --peers PYTHON      # the interpreter of an environment that has other libraries: make peers
    python benchmarks/fits.py --epochs 2 --rounds 1 --members 4 --candidates 4 --budget 60

Peers train in one process of their own, which prints seconds. Those that are not installed there are left out.
"""

import argparse
import contextlib
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.pool import Pool
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from beside import NAMES, Peers
from plans import DIGITS, bagging, concluded, concluded_seconds, cross_validation, digits_job, first_fold, fit_seconds, grid, warm
from report import Interleaved, Measure, Part, Row, Target, at_least, at_most, ratio_row, show, write
from rich.console import Console

from jobs.plans.replay import replay
from jobs.spec import JobSpec

SINGLE = {"loop": at_most(0.6), "sklearn": at_most(0.6), "skorch": at_most(0.25), "lightning": at_most(0.15), "keras": at_most(0.10)}
FOLDS = {"lightning": at_most(0.8, "of one fit"), "dataloader": at_most(1.75, "fits"), "loop": at_most(3.5, "fits")}
BAGS = {1: at_least(13, "times as fast"), 2: at_least(20, "times as fast")}
STOPPING, TOGETHER = at_most(1.10), at_most(1.15)
FIGURES = {"loop": "all figures as ours", "dataloader": "all figures as ours", "sklearn": "running training loss alone"}
"""What a peer measures after an epoch; others as `RUNNING`."""
RUNNING = "validation, running training loss"
_BOTH = ("one", "other")
"""Of two jobs at once, each."""
_EVERY = {"skorch": 2, "lightning": 2, "keras": 4, "bag": 5, "bag 2": 5, "grid": 5, "grid stopped": 5}


def _variants(asked: argparse.Namespace, pool: Pool) -> dict[str, Measure]:
    cross, bag = cross_validation(asked.epochs), bagging(asked.epochs, asked.members)
    rates = [float(rate) for rate in np.geomspace(1e-4, 1e-2, asked.candidates)]
    full = grid(3 * asked.epochs, rates, None)
    stopped = grid(3 * asked.epochs, rates, {"monitor": "val_loss", "patience": 5})
    single = replay(cross, DIGITS, []).planned[1]

    def fit() -> dict[str, float]:
        epochs, whole = fit_seconds(single)
        return {"fit": epochs, "fit scored": whole}

    def searched(name: str, spec: JobSpec) -> dict[str, float]:
        began = time.perf_counter()
        trained = concluded(spec)
        seconds = time.perf_counter() - began
        return {name: seconds, f"{name} training": trained.epoch_seconds, f"{name} epochs": float(trained.epochs)}

    return {
        "fit": fit,
        "folds": lambda: {"folds": _seconds(lambda: concluded(cross))},
        "alone": lambda: {"alone": statistics.mean(pool.apply(concluded_seconds, (cross,)) for _ in range(2))},
        "together": lambda: dict(zip(_BOTH, pool.map(concluded_seconds, [cross, cross], chunksize=1), strict=True)),
        "bag": lambda: {"bag": _seconds(lambda: concluded(bag))},
        "bag 2": lambda: {"bag 2": _seconds(lambda: concluded(bag, 2, pool))},
        "grid": lambda: searched("grid", full),
        "grid stopped": lambda: searched("grid stopped", stopped),
    }


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _rows(found: dict[str, dict[int, float]], peers: dict[str, str], members: int) -> list[Row]:
    """Compare what was measured; what was not is missing."""
    rows = []

    def add(what: str, ours: str, peer: str, theirs: str, target: Target | None, of: Callable[[float, float], float] | None = None) -> None:
        if found.get(ours, {}).keys() & found.get(theirs, {}).keys():
            rows.append(ratio_row(what, found[ours], peer, found[theirs], target, of=of))

    for name in peers:
        add("one fit, all figures every epoch (s)", "fit", f"{NAMES[name]}: {FIGURES.get(name, RUNNING)}", name, SINGLE.get(name))
    add("one fit with final scores and intervals (s)", "fit scored", f"{NAMES['loop']}: {FIGURES['loop']}", "loop", None)
    for name, target in FOLDS.items():
        add("10-fold cross-validation (s)", "folds", f"one fit of {NAMES[name]}", name, target)
    for workers, target in BAGS.items():
        ours = "bag" if workers == 1 else f"bag {workers}"
        what = f"bagging of {members}, {workers} process{'' if workers == 1 else 'es'} (s)"
        add(what, ours, f"one fit of {NAMES['lightning']}, {members} times", "lightning", target, lambda own, other: members * other / own)
    if "grid stopped" in found and "grid" in found:
        rows += _stopping(found)
    for name in _BOTH:
        add(f"two cross-validations at once, the {name} (s)", name, "one alone in such a process", "alone", TOGETHER)
    return rows


def _stopping(found: dict[str, dict[int, float]]) -> list[Row]:
    """Compare a grid with early stopping to the live share of what it takes without: its epochs, and the whole job."""
    shares = {
        number: found["grid stopped epochs"][number] / epochs
        for number, epochs in found["grid epochs"].items()
        if number in found["grid stopped epochs"]
    }
    rows: list[Row] = []
    if not shares:
        return rows
    for suffix, what, target in (
        (" training", "epochs of the grid with early stopping (s)", STOPPING),
        ("", "the same grid, whole job (s)", None),
    ):
        live = {number: found[f"grid{suffix}"][number] * share for number, share in shares.items()}
        peer = f"without, times the live share of model-epochs ({statistics.median(shares.values()):.3f})"
        rows.append(ratio_row(what, found[f"grid stopped{suffix}"], peer, live, target))
    return rows


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20, help="epochs of every fit, ours and the peers'; a grid has three times as many")
    parser.add_argument(
        "--rounds", type=int, default=20, help="interleaved rounds at most; what takes long is in every second, fourth or fifth"
    )
    parser.add_argument("--members", type=int, default=100, help="members of the bag")
    parser.add_argument("--candidates", type=int, default=30, help="learning rates of the grid")
    parser.add_argument("--budget", type=float, default=780, help="seconds beyond which no further round begins")
    parser.add_argument("--peers", default=sys.executable, help="interpreter of the environment that has the peers")
    parser.add_argument("--json", type=Path, help="file for the rows and every measured value, written as they come")
    return parser.parse_args()


def main() -> None:
    """Measure and print the table."""
    asked = _asked()
    warm()
    part = Part(title="Fits of the digits MLP")
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(2, warm))
        rows = first_fold(cross_validation(asked.epochs))
        peers, reasons = _peers(asked, rows, stack)
        part.setting = (
            f"64-128-64-10, batch 32, Adam, {asked.epochs} epochs, one thread a process; {len(rows[1])} training rows, the first fold's. "
            f"Grid: {asked.candidates} learning rates from 0.0001 to 0.01, {3 * asked.epochs} epochs, patience 5."
        )
        variants = _variants(asked, pool)
        known = {} if peers is None else peers.known
        if peers is not None:
            variants |= {name: lambda name=name: {name: peers.seconds(name)} for name in known}
        pool.map(concluded_seconds, [digits_job(1)] * 2, chunksize=1)
        part.versions = {NAMES[name]: version for name, version in known.items()}
        interleaved = Interleaved(variants, asked.rounds, asked.budget, _EVERY)
        for _ in interleaved.run():
            part.rows = _rows(interleaved.found, known, asked.members)
            part.left_out = reasons + interleaved.left_out
            part.raw = {name: list(values.values()) for name, values in interleaved.found.items()}
            write(asked.json, [part])
    show(Console(width=160), part)


def _peers(asked: argparse.Namespace, rows: Sequence[np.ndarray], stack: contextlib.ExitStack) -> tuple[Peers | None, list[str]]:
    """Start the peers; give them, if there are any, and who is missing and why."""
    try:
        peers = stack.enter_context(Peers(asked.peers, asked.epochs, rows))
    except (OSError, RuntimeError, ValueError) as error:
        return None, [f"all peers: {error}"]
    return peers, [f"{NAMES[name]}: not installed where the peers are (make peers)" for name in peers.missing]


if __name__ == "__main__":
    main()

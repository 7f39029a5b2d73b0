"""Cross-validation and bagging of the digits MLP beside other libraries, in one run on one machine.

What is ours is trained as a worker trains it: the plan's fits, grouped by the planner, stack after stack, with the figures of
all training and validation rows after every epoch; planning, preparation, final scores, intervals and the plan's conclusion
are timed as well. Every process has one thread. Rounds are interleaved, and medians are compared.

    python benchmarks/plans.py                     # at most 6 minutes on an idle machine
    python benchmarks/plans.py --epochs 2 --rounds 1 --members 4 --budget 60
    python benchmarks/plans.py --peers PYTHON      # the interpreter of an environment that has other libraries

Peers run in a process of their own, which prints seconds. Those that are not installed there are left out:

    python3 -m venv peers && peers/bin/pip install torch scikit-learn skorch lightning keras
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from data import builtin
from data.dataset import Array
from jobs.materialize import Materializer
from jobs.planning import shards_of
from jobs.plans.fits import FitResult, PlannedFit
from jobs.plans.replay import replay
from jobs.resolve import resolve
from jobs.spec import JobSpec
from jobs.states import FitStatus
from training.loop import Stack, train
from training.records import FitOutcome

DIGITS = builtin.load("digits")
PEERS = ("loop", "dataloader", "sklearn", "skorch", "lightning", "keras")
NAMES = {
    "loop": "best autograd loop",
    "dataloader": "DataLoader loop",
    "sklearn": "MLPClassifier",
    "skorch": "skorch",
    "lightning": "Lightning",
    "keras": "Keras on torch",
}
FIGURES = {"loop": "as ours", "dataloader": "as ours", "sklearn": "training loss, running"}
"""What a peer measures after an epoch; others as `RUNNING`."""
RUNNING = "validation; training, running"
GOALS = {
    ("cv", "lightning"): "at most 0.8 of one fit",
    ("cv", "dataloader"): "at most 1.75 fits",
    ("cv", "loop"): "at most 3.5 fits",
    ("bag 1", "lightning"): "at least 13 times as fast",
    ("bag 2", "lightning"): "at least 20 times as fast",
}
WORKERS = {"bag 1": 1, "bag 2": 2}


def _job(epochs: int, **fields: Any) -> JobSpec:
    spec = {
        "dataset": "digits",
        "network": {"name": "mlp", "hidden_units": [128, 64]},
        "optimizer": {"name": "adam", "learning_rate": 0.001},
        "training": {"max_epochs": epochs, "batch_size": 32},
        "seed": 0,
        **fields,
    }
    return resolve(JobSpec.model_validate(spec)).spec


def _cross_validation(epochs: int) -> JobSpec:
    return _job(epochs, split={"name": "k_fold", "folds": 10})


def _bagging(epochs: int, members: int) -> JobSpec:
    return _job(epochs, split={"name": "holdout", "val_fraction": 0.1}, plan={"name": "bagging", "members": members})


def _trained(shard: Sequence[PlannedFit]) -> list[FitOutcome]:
    """Train one stack to its end, as a worker does but for the database."""
    materializer = Materializer(DIGITS)
    return [event for event in train(Stack([materializer.materialize(fit).fit for fit in shard])) if isinstance(event, FitOutcome)]


def _trained_by_number(spec: JobSpec, numbers: Sequence[int]) -> list[FitOutcome]:
    """Do the same in a process that knows the spec alone: rows are drawn again by replay."""
    planned = replay(spec, DIGITS, []).planned
    return _trained([planned[number] for number in numbers])


def _concluded(spec: JobSpec, workers: int, pool: Any) -> None:
    """Run a plan of one round to its conclusion."""
    round_ = replay(spec, DIGITS, []).awaited
    assert round_ is not None
    shards = shards_of(round_.fits, DIGITS.info, workers)
    if pool is None:
        ended = [_trained(shard) for shard in shards]
    else:
        ended = pool.starmap(_trained_by_number, [(spec, [fit.number for fit in shard]) for shard in shards], chunksize=1)
    hashes = {fit.number: fit.row_hash for fit in round_.fits}
    results = [_result(outcome, hashes[outcome.fit]) for outcomes in ended for outcome in outcomes]
    conclusion = replay(spec, DIGITS, results).conclusion
    if conclusion is None or conclusion.result is None:
        raise RuntimeError("the plan did not conclude")


def _result(outcome: FitOutcome, row_hash: str) -> FitResult:
    outputs = outcome.outputs
    return FitResult(
        number=outcome.fit,
        status=FitStatus(outcome.status),
        row_hash=row_hash,
        best_epoch=outcome.best_epoch,
        kept_epoch=outcome.kept_epoch,
        evaluation=outcome.evaluation,
        outputs=None if outputs is None else lambda: np.asarray(outputs, dtype=np.float64),
    )


def _warm() -> None:
    """Set up a process as the worker's are: one thread, and everything loaded."""
    torch.set_num_threads(1)
    _concluded(_job(1, split={"name": "k_fold", "folds": 2}), 1, None)


class Peers:
    """A process in another environment, which trains one fit when it is told to."""

    def __init__(self, python: str, epochs: int, rows: tuple[Array, Array, Array, Array]) -> None:
        """Start it with training and validation rows; `known` are the peers that it can import, `missing` the others."""
        script = Path(__file__).with_name("peers.py")
        self._process = subprocess.Popen([python, script, str(epochs)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._say([part.tolist() for part in rows])
        self.known: dict[str, str] = self._hear()
        self.missing = [name for name in PEERS if name not in self.known]

    def __enter__(self) -> Self:
        """Keep it."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=30)

    def seconds(self, name: str) -> float:
        """Train one fit; give its wall time."""
        self._say(name)
        return float(self._hear())

    def _say(self, value: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the peers' process ended")
        return json.loads(line)


def _first_fold(spec: JobSpec) -> tuple[Array, Array, Array, Array]:
    """Give the prepared rows of the first fold: x and y of training, x and y of validation."""
    planned = replay(spec, DIGITS, []).planned[1]
    data = Materializer(DIGITS).materialize(planned).fit.data
    assert data.val is not None
    return data.train.x, data.train.y, data.val.x, data.val.y


def _seconds(run: Callable[[], None]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _interleaved(variants: dict[str, Callable[[], float]], rounds: int, budget: float) -> Iterator[tuple[str, float]]:
    """Run variants turn by turn, beginning with another each round; bags, which take longest, every second round.

    No further round begins that would end beyond the budget.
    """
    began, last = time.perf_counter(), dict.fromkeys(variants, 0.0)
    for i in range(rounds):
        due = [name for name in variants if name not in WORKERS or i % 2 == 0]
        if time.perf_counter() - began + sum(last[name] for name in due) > budget:
            return
        for name in due[i % len(due) :] + due[: i % len(due)]:
            last[name] = variants[name]()
            yield name, last[name]


def _ratio(ours: float, peer: float, count: int, goal: str | None) -> tuple[str, str, str]:
    """Give: ours in fits of the peer; how many times as fast as `count` of its fits one by one, scaled; the goal."""
    return f"{ours / peer:.2f}", f"{count * peer / ours:.1f}", goal or ""


def _tables(found: dict[str, list[float]], peers: dict[str, str], members: int) -> Iterator[Table]:
    medians = {name: statistics.median(seconds) for name, seconds in found.items()}
    titles = {"cv": (10, "10-fold cross-validation, one process")}
    titles |= {name: (members, f"bagging of {members}, {count} process{'es' if count > 1 else ''}") for name, count in WORKERS.items()}
    for ours, (count, title) in titles.items():
        table = Table(title=f"{title}: {medians[ours]:.2f} s (median of {len(found[ours])})")
        for heading in (
            "beside",
            "figures after an epoch",
            "its one fit (s)",
            "ours in its fits",
            f"times as fast as {count} (scaled)",
            "goal",
        ):
            table.add_column(heading)
        for name, version in peers.items():
            goal = GOALS.get((ours, name))
            table.add_row(
                f"{NAMES[name]} ({version})",
                FIGURES.get(name, RUNNING),
                f"{medians[name]:.2f}",
                *_ratio(medians[ours], medians[name], count, goal),
            )
        yield table


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20, help="epochs of every fit, ours and the peers'")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds at most")
    parser.add_argument("--members", type=int, default=100, help="members of the bag")
    parser.add_argument("--budget", type=float, default=320, help="seconds beyond which no further round begins")
    parser.add_argument("--peers", default=sys.executable, help="interpreter of the environment that has the peers")
    return parser.parse_args()


def main() -> None:
    """Measure and print the tables."""
    asked, console = _asked(), Console(width=140)
    cross, bag = _cross_validation(asked.epochs), _bagging(asked.epochs, asked.members)
    _warm()
    with Peers(asked.peers, asked.epochs, _first_fold(cross)) as peers, multiprocessing.get_context("spawn").Pool(2, _warm) as pool:
        variants: dict[str, Callable[[], float]] = {
            "cv": lambda: _seconds(lambda: _concluded(cross, 1, None)),
            "bag 1": lambda: _seconds(lambda: _concluded(bag, 1, None)),
            "bag 2": lambda: _seconds(lambda: _concluded(bag, 2, pool)),
        }
        variants |= {name: lambda name=name: peers.seconds(name) for name in peers.known}  # type: ignore[misc]
        pool.starmap(_concluded, [(_job(1), 1, None)] * 2, chunksize=1)
        found: dict[str, list[float]] = {name: [] for name in variants}
        for name, seconds in _interleaved(variants, asked.rounds, asked.budget):
            found[name].append(seconds)
    console.print(
        f"digits MLP 64-128-64-10, batch 32, Adam, {asked.epochs} epochs, one thread a process. Peers train one fit on {len(_first_fold(cross)[1])} rows, "
        "the first fold's; theirs of more fits is that, scaled. Ours includes planning, preparation, final scores with intervals, and the conclusion."
    )
    for table in _tables(found, peers.known, asked.members):
        console.print(table)
    for name in peers.missing:
        console.print(f"left out: {NAMES[name]}: not installed for {Path(asked.peers).name}; see python benchmarks/plans.py --help")


if __name__ == "__main__":
    main()

"""The CNN and the MLP on Fashion-MNIST beside other libraries, in one run on one machine.

What is ours goes through the training core as a worker's fits do: a stack of one fit, its epochs without figures ("training"),
and the training loop with the figures of all training and validation rows before the first and after every epoch ("with
figures"). Peers train alone: no figures but the running training loss. Every process has one thread. Rounds are interleaved;
ratios are of medians, and their spread is that of the rounds' own ratios.

    python benchmarks/convolution.py --peers PYTHON      # the interpreter of an environment that has other libraries: make peers
    python benchmarks/convolution.py --rows 2560 --epochs 1 --rounds 1

Peers train in a process of their own, which prints seconds. Those that are not installed there are left out.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from beside import NAMES, Peers
from report import Interleaved, Measure, Part, Row, Target, at_most, ratio_row, show, write
from rich.console import Console

from data import builtin
from training.allocator import keep_freed_memory
from training.backend import backend_of
from training.environment import environment
from training.loop import Stack, train
from training.records import EpochRecord, Fit, FitData, Rows
from training.spec import FitSpec
from training.warmup import warm_up

_BATCH = 128


@dataclass(frozen=True)
class Case:
    """A network, by the name that peers know it by, and what is aimed at: (what of ours, peer) to target."""

    title: str
    network: dict[str, Any]
    peers: tuple[str, ...]
    targets: dict[tuple[str, str], Target]


CASES = {
    "fashion_cnn": Case(
        title="Fashion-MNIST CNN: two blocks of 16 and 32 channels with batch norm",
        network={
            "name": "cnn",
            "blocks": [{"channels": 16, "pool": 2}, {"channels": 32, "pool": 2}],
            "normalization": {"name": "batch_norm"},
        },
        peers=("loop", "dataloader", "lightning", "keras"),
        targets={
            ("training", "lightning"): at_most(0.65),
            ("with figures", "lightning"): at_most(0.8),
            ("training", "keras"): at_most(0.4),
        },
    ),
    "fashion_mlp": Case(
        title="Fashion-MNIST MLP 784-256-128-10",
        network={"name": "mlp", "hidden_units": [256, 128]},
        peers=("loop", "dataloader", "sklearn", "lightning", "keras"),
        targets={
            ("training", "dataloader"): at_most(0.5),
            ("training", "sklearn"): at_most(0.7),
            ("training", "lightning"): at_most(0.45),
        },
    ),
}


def _rows(count: int) -> FitData:
    """Take the first `count` images, a fifth of them for validation, standardised by the mean and deviation of the others."""
    dataset = builtin.load("fashion_mnist")
    x, y = np.asarray(dataset.x[:count], dtype=np.float32), np.asarray(dataset.y[:count], dtype=np.int64)
    x, cut = x.reshape(count, 1, 28, 28), count * 4 // 5
    x = (x - x[:cut].mean()) / x[:cut].std()
    return FitData(task="classification", num_outputs=10, train=Rows(x=x[:cut], y=y[:cut]), val=Rows(x=x[cut:], y=y[cut:]), test=None)


def _fit(case: Case, data: FitData, epochs: int) -> Fit:
    fields = {
        "network": case.network,
        "loss": {"name": "cross_entropy"},
        "optimizer": {"name": "adam", "learning_rate": 0.001},
        "training": {"max_epochs": epochs, "batch_size": _BATCH},
        "evaluation": {"resamples": 100},
    }
    return Fit(number=1, seed=0, spec=FitSpec.model_validate(fields), data=data)


def _training(fit: Fit, epochs: int) -> float:
    began = time.perf_counter()
    stack = Stack([fit])
    with backend_of(stack.weights):
        for epoch in range(1, epochs + 1):
            stack.train_epoch(epoch)
    return time.perf_counter() - began


def _with_figures(fit: Fit) -> float:
    """Train to the figures of the last epoch; final scores and their intervals come after."""
    began, last = time.perf_counter(), 0.0
    for event in train(Stack([fit])):
        if isinstance(event, EpochRecord):
            last = time.perf_counter()
    return last - began


def _variants(case: Case, data: FitData, epochs: int, peers: Peers) -> dict[str, Measure]:
    fit = _fit(case, data, epochs)
    ours: dict[str, Measure] = {
        "training": lambda: {"training": _training(fit, epochs)},
        "with figures": lambda: {"with figures": _with_figures(fit)},
    }
    return ours | {name: lambda name=name: {name: peers.seconds(name)} for name in peers.known}  # type: ignore[misc]


def _compared(case: Case, found: dict[str, dict[int, float]], known: dict[str, str]) -> Iterator[Row]:
    for what in ("training", "with figures"):
        for name, version in known.items():
            if what in found and name in found:
                target = case.targets.get((what, name))
                yield ratio_row(what, found[what], f"{NAMES[name]} ({version}), training alone", found[name], target)


def _measured(name: str, asked: argparse.Namespace) -> Part:
    case, data = CASES[name], _rows(asked.rows)
    assert data.val is not None
    rows = (data.train.x, data.train.y, data.val.x, data.val.y)
    with ExitStack() as opened:
        peers = opened.enter_context(Peers(asked.peers, asked.epochs, [np.asarray(part) for part in rows], name, case.peers))
        _training(_fit(case, data, 1), 1)
        runs = Interleaved(_variants(case, data, asked.epochs, peers), asked.rounds, asked.budget / len(CASES))
        for _ in runs.run():
            pass
        missing = [f"{NAMES[peer]}: not installed for {Path(asked.peers).name}" for peer in peers.missing]
        described = environment("cpu")
        return Part(
            title=case.title,
            setting=f"seconds of {asked.epochs} epochs of {len(rows[1])} images, batches of {_BATCH}, Adam, one thread a process; "
            f"figures are those of all {len(rows[1])} training and {len(rows[3])} validation images",
            rows=list(_compared(case, runs.found, peers.known)),
            left_out=[*missing, *runs.left_out],
            versions={
                **peers.known,
                "torch, ours": torch.__version__,
                "arithmetic": str(described["arithmetic"]),
                "large products": str(described["large_products"]),
            },
            raw={what: list(values.values()) for what, values in runs.found.items()},
        )


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=12_000, help="images, training and validation")
    parser.add_argument("--epochs", type=int, default=2, help="epochs of every fit, ours and the peers'")
    parser.add_argument("--rounds", type=int, default=10, help="interleaved rounds at most")
    parser.add_argument("--budget", type=float, default=480, help="seconds beyond which no further round begins")
    parser.add_argument("--peers", default=sys.executable, help="interpreter of the environment that has the peers")
    parser.add_argument("--only", choices=list(CASES), help="one of the networks")
    parser.add_argument("--json", type=Path, help="file that the ratios and all seconds are written to")
    return parser.parse_args()


def main() -> None:
    """Measure, print and write."""
    asked, console = _asked(), Console(width=160)
    torch.set_num_threads(1)
    keep_freed_memory()
    warm_up()
    parts = []
    for name in CASES if asked.only is None else (asked.only,):
        parts.append(_measured(name, asked))
        show(console, parts[-1])
        write(asked.json, parts)


if __name__ == "__main__":
    main()

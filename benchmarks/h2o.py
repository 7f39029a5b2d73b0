"""Holdout beside H2O-3, both through their REST APIs, on the same rows and network: submit to result, and the errors.

H2O-3 runs with two threads, Holdout embedded with two worker children; both are warm and stay up. Each has the machine alone:
H2O-3, which computes at times when nobody asks it anything, stands still (SIGSTOP) while Holdout trains, whose processes wait.
Rows are with the servers before: H2O-3's as parsed frames, Holdout's as built-in datasets, which its worker opens and prepares
within the time. H2O-3 trains with its defaults (ADADELTA, batches of one row) and scores every epoch; Holdout with Adam.
By default H2O-3 ends a fit once it gets no training row wrong, on digits after six to eight of the 20 epochs: it is compared as
it is, and with all 20 epochs as well. A cross-validation of H2O-3 trains an eleventh model, on all rows.

    python benchmarks/h2o.py --peers PYTHON     # of an environment that has the package h2o; a Java runtime is needed as well

Fashion-MNIST, and ten folds of 20 epochs, are trained in the first round alone, other folds in every second: they take H2O-3 minutes.
"""

import argparse
import contextlib
import io
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import httpx2
import numpy as np
import pyarrow as pa
from h2o_rest import H2o, H2oFailed, error_of, jar, serving
from pyarrow import csv
from report import Interleaved, Measure, Part, Row, at_most, ratio_row, show, write
from rich.console import Console
from traffic import free_port

from cli.service import running
from data import builtin
from data.dataset import Array, Dataset
from jobs.plans.replay import replay
from jobs.resolve import resolve
from jobs.spec import JobSpec

DIGITS: dict[str, Any] = {
    "dataset": "digits",
    "network": {"name": "mlp", "hidden_units": [128, 64]},
    "training": {"max_epochs": 20, "batch_size": 32},
    "seed": 0,
}
FOLDS = {**DIGITS, "split": {"name": "k_fold", "folds": 10}}
FASHION: dict[str, Any] = {
    "dataset": "fashion_mnist",
    "network": {"name": "mlp", "hidden_units": [256, 128]},
    "training": {"max_epochs": 3, "batch_size": 128},
    "split": {"name": "holdout", "val_fraction": 1 / 7, "shuffle": False},  # file order: the 10 000 test rows are the last
    "seed": 0,
}
TITLES = {
    "digits": "digits 64-128-64-10, 20 epochs",
    "folds": "the same, 10-fold cross-validation",
    "fashion": "Fashion-MNIST 784-256-128-10, 3 epochs",
}
JOBS = {"digits": DIGITS, "folds": FOLDS, "fashion": FASHION}
TARGETS = {"digits": at_most(0.25), "folds": at_most(0.05), "fashion": at_most(0.10)}
AS_GOOD = at_most(1.0)
_FULL = " full"
SIDES = (
    ("digits", "digits", "H2O-3 as it is"),
    ("digits", "digits full", "H2O-3 to the end"),
    ("folds", "folds", "H2O-3 as it is"),
    ("folds", "folds full", "H2O-3 to the end"),
    ("fashion", "fashion", "H2O-3 as it is"),
)
"""A job, what of H2O-3 it is beside, and how that reads."""
_EVERY = {"folds": 2, "folds full": 1_000_000, "fashion": 1_000_000}
_H2O = {
    "response_column": "y", "activation": "Rectifier", "stopping_rounds": "0", "seed": "1",
    "train_samples_per_iteration": "0", "score_interval": "0", "score_duty_cycle": "1.0",
}  # fmt: skip


def _trained(client: httpx2.Client, name: str) -> dict[str, float]:
    """Submit a job to Holdout; give seconds until its result was read, and its validation error."""
    began = time.perf_counter()
    url = client.post("/v1/jobs", json=JOBS[name]).raise_for_status().headers["Location"]
    with client.stream("GET", f"{url}/events") as events:
        for line in events.iter_lines():
            if line == "event: finished":
                break
    job = client.get(url).raise_for_status().json()
    seconds = time.perf_counter() - began
    if job["status"] != "succeeded":
        raise RuntimeError(f"a job ended {job['status']}: {job['failure']}")
    return {f"{name} ours": seconds, f"{name} error ours": _error(job["result"])}


def _trained_alone(client: httpx2.Client, h2o: H2o, name: str) -> dict[str, float]:
    """Do so while H2O-3 stands still."""
    with h2o.standing_still():
        return _trained(client, name)


def _error(result: Any) -> float:
    """Give the share of all validation rows that a result gets wrong, each by the fit that held it out."""
    counts = [fit["num_rows"]["val"] for fit in result["fits"]]
    right = [fit["val"]["accuracy"] for fit in result["fits"]]
    return 1.0 - float(np.average(right, weights=counts))


def _fit_rows(fields: dict[str, Any], dataset: Dataset) -> list[tuple[Array, Array]]:
    """Give the numbers of training and validation rows of each fit of a job, as Holdout divides them."""
    spec = resolve(JobSpec.model_validate(fields)).spec
    planned = replay(spec, dataset, []).planned
    return [(rows.train, rows.val) for rows in (planned[number].rows() for number in sorted(planned))]


def _csv(x: Array, y: Array, folds: Array | None = None) -> bytes:
    """Write rows for H2O-3; a column "fold" names where each is held out."""
    flat = x.reshape(len(x), -1)
    columns: dict[str, Any] = {f"x{i}": flat[:, i] for i in range(flat.shape[1])}
    if folds is not None:
        columns["fold"] = [f"f{fold}" for fold in folds]
    columns["y"] = [f"c{label}" for label in y]
    written = io.BytesIO()
    csv.write_csv(pa.table(columns), written)
    return written.getvalue()


def _digits_frames(h2o: H2o) -> None:
    """Give H2O-3 the rows of both digits jobs."""
    digits = builtin.load("digits")
    x, y = digits.read(), digits.y
    [(train, val)] = _fit_rows(DIGITS, digits)
    h2o.frame("digits_train", _csv(x[train], y[train]), {"y": "Enum"})
    h2o.frame("digits_val", _csv(x[val], y[val]), {"y": "Enum"})
    folds = np.empty(len(y), dtype=int)
    for number, (_, held_out) in enumerate(_fit_rows(FOLDS, digits)):
        folds[held_out] = number
    h2o.frame("folds", _csv(x, y, folds), {"y": "Enum", "fold": "Enum"})


def _fashion_frames(h2o: H2o) -> None:
    """Give H2O-3 the rows of Fashion-MNIST.

    Raises:
        OSError: they are not on this machine.
    """
    fashion = builtin.load("fashion_mnist")
    x, y = fashion.read(), fashion.y
    [(train, val)] = _fit_rows(FASHION, fashion)
    h2o.frame("fashion_train", _csv(x[train], y[train]), {"y": "Enum"})
    h2o.frame("fashion_val", _csv(x[val], y[val]), {"y": "Enum"})


def _trained_by_h2o(h2o: H2o, name: str) -> dict[str, float]:
    """Train by H2O-3; give seconds, its validation error and the epochs that it came to."""
    more = {"classification_stop": "-1"} if name.endswith(_FULL) else {}
    return {f"{name} {what}": value for what, value in _by_h2o(h2o, name.removesuffix(_FULL), **more).items()}


def _by_h2o(h2o: H2o, name: str, **more: str) -> dict[str, float]:
    network = {"hidden": str(JOBS[name]["network"]["hidden_units"]), "epochs": str(JOBS[name]["training"]["max_epochs"])}
    if name == "folds":
        seconds, output = h2o.train(**_H2O, **network, **more, training_frame="folds", fold_column="fold")
        error = error_of(output["cross_validation_metrics"])
    else:
        seconds, output = h2o.train(**_H2O, **network, **more, training_frame=f"{name}_train", validation_frame=f"{name}_val")
        error = error_of(output["validation_metrics"])
    history = output["scoring_history"]
    epochs = history["data"][[column["name"] for column in history["columns"]].index("epochs")][-1]
    return {"h2o": seconds, "error h2o": error, "epochs h2o": float(epochs)}


def _rows(found: dict[str, dict[int, float]]) -> list[Row]:
    """Compare what was measured; what was not is missing."""
    rows = []
    for name, theirs, peer in SIDES:
        ours, other = found.get(f"{name} ours", {}), found.get(f"{theirs} h2o", {})
        if ours.keys() & other.keys():
            came_to = (
                "" if name == "folds" and theirs == name else f", {statistics.median(found[f'{theirs} epochs h2o'].values()):.0f} epochs"
            )
            rows.append(ratio_row(f"{TITLES[name]} (s)", ours, peer + came_to, other, TARGETS[name]))
            errors = found[f"{name} error ours"], found[f"{theirs} error h2o"]
            rows.append(
                ratio_row(
                    f"{TITLES[name]}: share of validation rows wrong", errors[0], peer + came_to, errors[1], AS_GOOD, are_seconds=False
                )
            )
    return rows


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds at most")
    parser.add_argument("--budget", type=float, default=600, help="seconds beyond which no further round begins")
    parser.add_argument("--parts", nargs="+", default=list(JOBS), choices=list(JOBS), help="what is trained")
    parser.add_argument("--peers", default=sys.executable, help="interpreter of the environment that has the package h2o")
    parser.add_argument("--json", type=Path, help="file for the rows and every measured value, written as they come")
    return parser.parse_args()


def main() -> None:
    """Measure and print the table."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that both servers are stopped
    asked = _asked()
    part = Part(title="Whole service beside H2O-3")
    part.setting = "REST to REST, from submitting to having read the result; two threads of H2O-3, two children of Holdout's worker, each with the machine alone"
    try:
        _measure(asked, part)
    except (H2oFailed, httpx2.HTTPError, OSError) as error:
        part.left_out.append(f"H2O-3: {error}")
    write(asked.json, [part])
    show(Console(width=160), part)


def _measure(asked: argparse.Namespace, part: Part) -> None:
    archive = jar(asked.peers)
    if archive is None:
        raise H2oFailed("the package h2o is not installed where the peers are (make peers)")
    os.environ["HOLDOUT_CONCURRENCY"] = "2"
    with contextlib.ExitStack() as stack:
        home, folder = (Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2))
        h2o = stack.enter_context(serving(archive, folder, threads=2))
        service = stack.enter_context(running(home, free_port()))
        client = stack.enter_context(httpx2.Client(base_url=service.url, timeout=120))
        part.versions = {"H2O-3": h2o.version}
        variants = _variants(asked.parts, client, h2o, part)
        every = {f"{name} {side}": count for name, count in _EVERY.items() for side in ("ours", "h2o")}
        interleaved = Interleaved(variants, asked.rounds, asked.budget, every)
        reasons = list(part.left_out)
        for _ in interleaved.run():
            part.rows = _rows(interleaved.found)
            part.raw = {name: list(values.values()) for name, values in interleaved.found.items()}
            part.left_out = reasons + interleaved.left_out
            write(asked.json, [part])


def _variants(names: list[str], client: httpx2.Client, h2o: H2o, part: Part) -> dict[str, Measure]:
    """Bring rows to H2O-3, train once on either side, and give what is measured."""
    variants: dict[str, Measure] = {}
    _digits_frames(h2o)
    if "fashion" in names:
        try:
            _fashion_frames(h2o)
        except OSError as error:
            part.left_out.append(f"{TITLES['fashion']}: {error}")
            names = [name for name in names if name != "fashion"]
    for name in names:
        variants[f"{name} ours"] = lambda name=name: _trained_alone(client, h2o, name)
        for theirs in [one for own, one, _ in SIDES if own == name]:
            variants[f"{theirs} h2o"] = lambda theirs=theirs: _trained_by_h2o(h2o, theirs)
    for _ in range(2):
        _trained(client, "digits")
    _trained_by_h2o(h2o, "digits")
    print("rows are uploaded, both are warm", flush=True)
    return variants


if __name__ == "__main__":
    main()

"""What the studies of plans share: a plan is run in this process, stacked and replayed after every round as workers do it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from scipy import stats

from data.dataset import Dataset, DatasetInfo
from jobs.materialize import Materializer
from jobs.planning import shards_of
from jobs.plans.fits import FitResult, PlannedFit
from jobs.plans.replay import replay
from jobs.resolve import resolve
from jobs.spec import JobSpec
from jobs.states import FitStatus
from training.loop import Stack, train
from training.records import EpochRecord, FitOutcome

COLORS = ("#0b6e99", "#d9480f", "#2b8a3e", "#862e9c", "#c2255c", "#e67700", "#212529")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)), (0, (3, 1)), (0, (8, 2)), (0, (2, 2, 5, 2)))
"""Lines differ by both: nothing is told by color alone."""
_FAINT = "#868e96"


@dataclass(frozen=True, kw_only=True)
class Alone:
    """A source of one dataset."""

    dataset: Dataset

    def info(self, dataset_id: str) -> DatasetInfo:
        """Describe it."""
        if dataset_id != self.dataset.info.id:
            raise KeyError(dataset_id)
        return self.dataset.info

    def load(self, dataset_id: str) -> Dataset:
        """Open it."""
        self.info(dataset_id)
        return self.dataset

    def suggestions(self) -> Sequence[str]:
        """Name it."""
        return [self.dataset.info.id]


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a plan concluded, and its fits and their curves by number."""

    result: dict[str, Any]
    planned: Mapping[int, PlannedFit]
    curves: dict[int, list[EpochRecord]] = field(repr=False)


def ran(dataset: Dataset, **fields: Any) -> Ran:
    """Run a job's plan on a dataset to its end, one stack after another, on one thread."""
    spec = resolve(JobSpec.model_validate({"dataset": dataset.info.id, **fields}), source=Alone(dataset=dataset)).spec
    results: dict[int, FitResult] = {}
    curves: dict[int, list[EpochRecord]] = {}
    while True:
        standing = replay(spec, dataset, list(results.values()))
        if standing.conclusion is not None:
            if standing.conclusion.result is None:
                raise RuntimeError(standing.conclusion.message)
            return Ran(result=standing.conclusion.result, planned=standing.planned, curves=curves)
        assert standing.awaited is not None
        for shard in shards_of(standing.awaited.fits, dataset.info, workers=1):
            results |= _trained(shard, dataset, curves)


def _trained(shard: Sequence[PlannedFit], dataset: Dataset, curves: dict[int, list[EpochRecord]]) -> dict[int, FitResult]:
    materializer = Materializer(dataset)
    made = {fit.number: materializer.materialize(fit) for fit in shard}
    hashes, found = {fit.number: fit.row_hash for fit in shard}, {}
    for event in train(Stack([one.fit for one in made.values()])):
        if isinstance(event, EpochRecord):
            curves.setdefault(event.fit, []).append(event)
        else:
            found[event.fit] = _result(event, hashes[event.fit], made[event.fit].preparation.target)
    return found


def _result(outcome: FitOutcome, row_hash: str, target: Any) -> FitResult:
    """Give an outcome as its plan may know it; numbers in original units."""
    outputs = outcome.outputs
    if outputs is not None and target.task == "regression":
        outputs = outputs * target.scale + target.offset
    return FitResult(
        number=outcome.fit,
        status=FitStatus(outcome.status),
        row_hash=row_hash,
        best_epoch=outcome.best_epoch,
        kept_epoch=outcome.kept_epoch,
        evaluation=outcome.evaluation,
        message=outcome.message,
        outputs=None if outputs is None else lambda: np.asarray(outputs, dtype=np.float64),
    )


def mean_said(values: Sequence[float], digits: int = 3) -> str:
    """Give mean and 95 % t interval."""
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return f"{np.mean(values):.{digits}f} ± {half:.{digits}f}"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(script: str, text: str) -> None:
    """Replace what follows the mark in the Markdown file beside a script; what precedes it was written by hand."""
    path = Path(script).with_suffix(".md")
    head = path.read_text().split("<!-- table -->")[0] if path.exists() else ""
    path.write_text(f"{head}<!-- table -->\n\n{text}\n")


def plain(axes: Axes, title: str, x: str, y: str) -> None:
    """Dress axes as the service's pictures are."""
    axes.set_title(title, fontsize=9.5, color=_FAINT, loc="left")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(visible=True, alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)

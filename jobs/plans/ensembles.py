"""Figures of what several members say together, beside the figures of each."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from data.dataset import Array
from jobs.plans.fits import Conclusion, FitResult, failed
from jobs.plans.results import Figures, Interval, row_figures, with_intervals
from jobs.states import FailureKind
from training.figures import RowFigures


def outputs_of(result: FitResult) -> Array:
    """Read what a finished fit says of the rows that were asked for, as float64.

    Raises:
        ValueError: the fit has no outputs.
    """
    if result.outputs is None:
        raise ValueError(f"fit {result.number} has no outputs of the rows that were asked for")
    return np.asarray(result.outputs(), dtype=np.float64)


def votes_of(result: FitResult) -> Array | None:
    """Read what a fit says, if it can vote: rows that no epoch measured can bring answers that are not finite."""
    if not result.is_finished:
        return None
    found = outputs_of(result)
    return found if np.isfinite(found).all() else None


def cannot_vote(results: Sequence[FitResult]) -> Conclusion:
    """Conclude an ensemble of whose fits none can vote."""
    unfinished = next((result for result in results if not result.is_finished), None)
    if unfinished is not None:
        return failed(unfinished)
    message = "the members finished, but their answers on rows that no epoch measured are not finite"
    return Conclusion(result=None, failure=FailureKind.DIVERGED, message=message)


def figures(outputs: Array, y: Array, *, is_classes: bool, has_loss: bool = True) -> Figures | None:
    """Measure answers [n, K] or [n, 1] for targets [n]; None without rows. Vote counts have no loss: they may be 0 for the right class."""
    if len(y) == 0:
        return None
    found = row_figures(outputs, y, is_classes=is_classes)
    return {**({"loss": found.mean_loss} if has_loss else {}), **found.metrics}


def intervals(
    outputs: Array, y: Array, resamples: int, seed: int, purpose: str, *, is_classes: bool, has_loss: bool = True
) -> dict[str, Interval] | None:
    """Give the same with percentile bootstrap intervals."""
    if len(y) == 0:
        return None
    found = with_intervals(row_figures(outputs, y, is_classes=is_classes), resamples, seed, purpose)
    return {name: value for name, value in found.items() if has_loss or name != "loss"}


def mean_figures(members: Sequence[Figures | None]) -> Figures | None:
    """Average figures of members: the mean member's."""
    present = [one for one in members if one is not None]
    if not present:
        return None
    return {name: float(np.mean([one[name] for one in present])) for name in present[0]}


def main_figure(found: Figures, *, is_classes: bool) -> float:
    """Give the figure that a sentence names: accuracy or rmse."""
    return found["accuracy" if is_classes else "rmse"]


def gain(member_losses: Array, ensemble: RowFigures, resamples: int, seed: int, purpose: Literal["val", "test"]) -> Interval:
    """Give the mean member's loss minus the ensemble's, `member_losses` [n] averaged over members; rows are resampled in pairs."""
    saved = RowFigures(loss=member_losses - ensemble.loss, hit=np.zeros(len(member_losses)), target=None)
    return with_intervals(saved, resamples, seed, f"gain/{purpose}")["loss"]

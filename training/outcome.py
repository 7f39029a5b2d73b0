"""How a fit ended: the kept weights and their final figures."""

import math
from typing import Any, Literal

import numpy as np
import torch
from scipy.special import softmax

from training.bootstrap import Draws, difference, resampled, with_intervals
from training.evaluation import Part, measure, outputs
from training.figures import RowFigures
from training.members import Member
from training.monitors import gap_sign
from training.records import FitOutcome, StopReason
from training.scores import baseline_loss, finite_or_none, scores
from training.sharpness import sharpness
from training.weights import Weights


def outcome_of(member: Member, last: Weights) -> FitOutcome:
    """Conclude an ended fit whose weights are now `last`.

    A diverged fit keeps the weights of its best finite epoch, if it had one, and has no evaluation.
    """
    if member.ended is None:
        raise ValueError("this fit has not ended")
    reason, message = member.ended, member.message
    has_diverged = reason is StopReason.DIVERGED
    kept, kept_epoch = last, member.last_epoch
    if member.keeps_best or has_diverged:
        if member.best is None:
            kept_epoch = None
        else:
            kept, kept_epoch = member.best, member.stopper.best_epoch
    final = None if has_diverged or kept_epoch is None else evaluation(member, kept, kept_epoch)
    if final is None and kept_epoch is not None and not has_diverged:
        reason, message = StopReason.DIVERGED, "the kept weights give a loss that is not finite on rows that were not measured before"
    said = None if final is None or _status(reason) != "finished" else _said(member, kept)
    if said is not None and not np.isfinite(said).all():
        final, said = None, None
        reason, message = StopReason.DIVERGED, "the kept weights give outputs that are not finite for the rows that were asked for"
    return FitOutcome(
        fit=member.fit.number,
        status=_status(reason),
        stop_reason=reason,
        best_epoch=member.stopper.best_epoch,
        last_epoch=member.last_epoch,
        kept_epoch=kept_epoch,
        weights=None if kept_epoch is None else kept.arrays(0),
        evaluation=final,
        message=message,
        outputs=said,
    )


def paused(member: Member, checkpoint: bytes) -> FitOutcome:
    """Leave a fit unfinished: it has the figures of its best epoch so far, and what it goes on from."""
    return FitOutcome(
        fit=member.fit.number,
        status="paused",
        stop_reason=StopReason.PAUSED,
        best_epoch=member.stopper.best_epoch,
        last_epoch=member.last_epoch,
        kept_epoch=None,
        weights=None,
        evaluation=None,
        figures=dict(member.figures),
        checkpoint=checkpoint,
    )


def evaluation(member: Member, kept: Weights, kept_epoch: int) -> dict[str, Any] | None:
    """Measure the kept weights on all training rows, the validation rows, and once on the test rows, with intervals.

    None if a loss is not finite, which rows that no epoch measured (test rows, training rows beyond the sample) can bring.
    """
    seed, resamples = member.fit.seed, member.fit.spec.evaluation.resamples
    measured = {
        split: _measured(member, kept, part)
        for split, part in (("train", member.train), ("val", member.val), ("test", member.test))
        if part is not None
    }
    if not all(math.isfinite(figures.mean_loss) for figures in measured.values()):
        return None
    train = measured["train"]
    train_draws = resampled(train, resamples, seed, "train")
    found: dict[str, Any] = {"kept_epoch": kept_epoch, "train": _split(member, "train", train, train_draws)}
    gaps: dict[str, Any] = {"generalization_gap": None, "accuracy_gap": None, "rmse_gap": None, "r2_gap": None, "test_gap": None}
    for split in ("val", "test"):
        if split not in measured:
            found[split] = None
            continue
        figures = measured[split]
        draws = resampled(figures, resamples, seed, split)
        found[split] = _split(member, split, figures, draws)
        loss_gap = difference(figures.mean_loss - train.mean_loss, draws["loss"], train_draws["loss"])
        if split == "test":
            gaps["test_gap"] = loss_gap
            continue
        gaps["generalization_gap"] = loss_gap
        for metric, value in train.metrics.items():
            worse, better = (train_draws, draws) if gap_sign(metric) > 0 else (draws, train_draws)
            gaps[f"{metric}_gap"] = difference(gap_sign(metric) * (value - figures.metrics[metric]), worse[metric], better[metric])
    if member.fit.spec.evaluation.sharpness:
        found["sharpness"] = sharpness(kept, member.measured_train, member.val, member.loss, seed)
    return {**found, **gaps, "train_rows_per_epoch": len(member.measured_train), "resamples": resamples}


def _measured(member: Member, kept: Weights, part: Part) -> RowFigures:
    [figures] = measure(kept, [part], member.loss, keeps_outputs=True)
    return figures


def _said(member: Member, kept: Weights) -> np.ndarray | None:
    """Give the outputs for the rows asked for, float64: class probabilities [m, K], or standardised numbers [m, 1]."""
    data = member.fit.data
    if data.asked is None:
        return None
    x = torch.from_numpy(np.require(data.asked, requirements=["C", "W"])).to(kept.parameters.device, kept.parameters.dtype)
    found: np.ndarray = outputs(kept, x, data.num_outputs).double().cpu().numpy()
    return softmax(found, axis=1) if data.task == "classification" else found


def _split(member: Member, split: Literal["train", "val", "test"], figures: RowFigures, draws: Draws) -> dict[str, Any]:
    """Give everything that is said of one split."""
    data = member.fit.data
    rows = {"train": data.train, "val": data.val, "test": data.test}[split]
    if rows is None:
        raise ValueError(f"a measured split without rows: {split}")
    is_classes = data.task == "classification"
    baseline = baseline_loss(data.train.y, rows.y, data.num_outputs if is_classes else None, data.target_scale)
    further = scores(figures, rows.y, data.class_labels) if is_classes else {"mae": float(np.sqrt(figures.loss).mean())}
    return {**with_intervals(figures, draws), "baseline_loss": finite_or_none(baseline), **further}


def _status(reason: StopReason) -> Literal["finished", "diverged", "cancelled"]:
    if reason is StopReason.DIVERGED:
        return "diverged"
    return "cancelled" if reason is StopReason.CANCELLED else "finished"

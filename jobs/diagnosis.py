"""What the curve of a finished fit says about it, with the rule and the numbers behind the verdict."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

from jobs.states import FitStatus

Verdict = Literal["underfitting", "good_fit", "overfitting", "still_improving", "diverged"]

Cause = Literal["bias", "variance", "steps", "length", "nothing"]
"""What is to be mended: the network learned too little, or what is peculiar to its rows; its steps are too large; it was stopped too soon."""

_LITTLE_BETTER = 0.1
"""Less than this share of the way from guessing to perfect, on the training rows, is underfitting."""
_LOSS_OF_GUESSING = 0.95
"""A training loss of more than this share of that of guessing is underfitting, whatever the accuracy."""
_HALF = 0.5
"""Less than this share of the way is good only as far as it goes."""
_RISEN = 1.1
"""A last validation loss of more than this times the best one has risen."""
_WIDE_GAP = 0.1
"""A gap of more than this share of the way from guessing to perfect is wide."""
_STILL_FALLING = 0.01
"""A validation loss that fell by more than this share over the last tenth of the epochs is still falling."""

_WHY: Mapping[Verdict, str] = MappingProxyType(
    {
        "diverged": "A step larger than the loss surface is smooth throws the weights further each time.",
        "underfitting": "The network cannot express the rule behind the rows, is held back, or has not been trained enough to: bias dominates.",
        "overfitting": "The network learns what is peculiar to its training rows: variance dominates.",
        "still_improving": "Training ended before the validation loss did; its best epoch is near the end.",
        "good_fit": "What was learned on the training rows holds on rows that were not seen.",
    }
)
_LARGE_STEPS = "Steps as large as these pass over what they should descend into."
_REGULARIZE = "raise network.dropout or regularization.l2, add regularization.augmentations, or train on more rows."
_LOWER = "Lower optimizer.learning_rate (try a tenth), or set training.gradient_clip_norm or schedule.warmup_epochs."
_ADVICE: Mapping[Verdict, str] = MappingProxyType(
    {
        "diverged": _LOWER,
        "underfitting": "Weaken regularization, enlarge network.hidden_units (or add blocks), raise training.max_epochs, or try an optimizer.learning_rate ten times larger and one ten times smaller.",
        "overfitting": f"Set early_stopping, {_REGULARIZE}",
        "still_improving": "Raise training.max_epochs, or optimizer.learning_rate.",
        "good_fit": "Keep it; split.test_fraction gives a last figure on rows that drove no choice.",
    }
)
_LEARN_MORE = "It holds as far as it goes. Unless the rest is noise, a larger network, more epochs or weaker regularization can learn more."


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """A verdict (a stable code), the rule that led to it in words, and its numbers."""

    verdict: Verdict
    rule: str
    cause: Cause
    numbers: dict[str, float] = field(default_factory=dict)
    stopped_early: bool = False

    @property
    def why(self) -> str:
        """Say what is behind such a verdict."""
        return _LARGE_STEPS if self.verdict == "underfitting" and self.cause == "steps" else _WHY[self.verdict]

    @property
    def advice(self) -> str:
        """Name the knob to turn; not one that is turned already."""
        if self.verdict == "overfitting" and self.stopped_early:
            return _REGULARIZE[0].upper() + _REGULARIZE[1:]
        match self.cause:
            case "steps":
                return _LOWER
            case "bias" if self.verdict == "good_fit":
                return _LEARN_MORE
            case _:
                return _ADVICE[self.verdict]


def diagnose(
    *,
    status: FitStatus,
    best_epoch: int | None,
    last_epoch: int | None,
    best: Mapping[str, float] | None,
    last: Mapping[str, float] | None,
    evaluation: Mapping[str, Any] | None,
    guess_accuracy: float | None,
    earlier: Mapping[str, float] | None = None,
    stopped_early: bool = False,
) -> Diagnosis | None:
    """Judge a fit by its curve at the best and last epochs, then by its kept weights; None while it runs, or without validation rows.

    `earlier` are the curve's figures a tenth of the epochs (at least one) before the last: what slopes are measured from.
    `evaluation` holds the final figures of the kept weights. `guess_accuracy` is what always naming the largest class
    would reach (None for numbers, where guessing has R2 0). The first rule that holds decides.
    """
    if status is FitStatus.DIVERGED:
        return Diagnosis(verdict="diverged", cause="steps", rule="the objective, the gradient or an evaluated loss stopped being finite")
    if (
        status is not FitStatus.FINISHED
        or best is None
        or last is None
        or best_epoch is None
        or last_epoch is None
        or "val_loss" not in last
    ):
        return None
    seen = _Seen(
        best_epoch=best_epoch,
        last_epoch=last_epoch,
        best=best,
        last=last,
        earlier=earlier,
        evaluation=evaluation or {},
        guess=guess_accuracy,
    )
    found = next((one for rule in _RULES if (one := rule(seen)) is not None), None) or _good(seen)
    numbers = {**found.numbers, "epochs_past_best": last_epoch - best_epoch, **_relative(last, earlier, evaluation)}
    return replace(found, numbers=numbers, stopped_early=stopped_early)


def window(last_epoch: int) -> int:
    """Give the epochs that the end of a curve is judged by: a tenth of all, at least one."""
    return max(1, last_epoch // 10)


def _relative(last: Mapping[str, float], earlier: Mapping[str, float] | None, evaluation: Mapping[str, Any] | None) -> dict[str, float]:
    """Give slopes over the last tenth, and how far the kept weights came from knowing nothing (class shares, or the mean)."""
    numbers = {"last_gap_relative_to_loss": (last["val_loss"] - last["train_loss"]) / last["val_loss"]} if last["val_loss"] > 0 else {}
    if earlier is not None and "val_loss" in earlier:
        numbers |= {f"{split}_loss_change": last[f"{split}_loss"] - earlier[f"{split}_loss"] for split in ("train", "val")}
    kept = None if evaluation is None else evaluation.get("val")
    if kept is not None and kept.get("baseline_loss"):
        numbers["share_of_baseline_loss"] = kept["loss"]["value"] / kept["baseline_loss"]
    return {name: number for name, number in numbers.items() if math.isfinite(number)}  # a ratio to almost nothing can overflow


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What a fit is judged by."""

    best_epoch: int
    last_epoch: int
    best: Mapping[str, float]
    last: Mapping[str, float]
    earlier: Mapping[str, float] | None
    evaluation: Mapping[str, Any]
    guess: float | None

    @property
    def metric(self) -> str:
        """Name what is learned."""
        return "R²" if self.guess is None else "accuracy"

    @cached_property
    def learned(self) -> float:
        """Share of the way from guessing to perfect on the training rows.

        The best epoch may be 0 for a network that learned its training rows by heart: what it learned is seen at the end.
        """
        return max(_learned(self.best, self.guess), _learned(self.last, self.guess))

    @property
    def has_risen(self) -> bool:
        """Tell whether the last validation loss is above the best one."""
        return self.last["val_loss"] > _RISEN * self.best["val_loss"]

    @property
    def is_lasting(self) -> bool:
        """Tell whether it was above it a tenth of the epochs before as well: one high epoch at the end may be noise."""
        before = math.inf if self.earlier is None else self.earlier.get("val_loss", math.inf)
        return self.has_risen and before > _RISEN * self.best["val_loss"]

    @property
    def losses(self) -> dict[str, float]:
        """Give the numbers behind most verdicts."""
        ends = (("best", self.best), ("last", self.last))
        return {f"{when}_{part}_loss": one[f"{part}_loss"] for part in ("val", "train") for when, one in ends}


def _learned_nothing(seen: _Seen) -> Diagnosis | None:
    if seen.learned >= _LITTLE_BETTER:
        return None
    rule = f"on the training rows the network never came {_LITTLE_BETTER:.0%} of the way from guessing to perfect"
    numbers = {"learned": seen.learned, "train_loss": seen.last["train_loss"]}
    return Diagnosis(verdict="underfitting", cause="bias", rule=rule, numbers=numbers)


def _parted(seen: _Seen) -> Diagnosis | None:
    if not seen.is_lasting or seen.last["train_loss"] >= seen.best["train_loss"]:
        return None
    rule = f"after the best epoch the training loss fell while the validation loss rose by more than {_RISEN - 1:.0%}"
    return Diagnosis(verdict="overfitting", cause="variance", rule=rule, numbers=seen.losses)


def _never_improved(seen: _Seen) -> Diagnosis | None:
    """Judge a fit whose validation loss was never below that of the network before any update."""
    if seen.best_epoch > 0 or seen.last_epoch == 0:
        return None
    ends = (("first", seen.best), ("last", seen.last))
    numbers = {f"{when}_{part}_loss": one[f"{part}_loss"] for when, one in ends for part in ("train", "val")}
    if seen.last["train_loss"] < seen.best["train_loss"]:
        rule = "the training loss fell, and the validation loss was never lower than before the first update"
        return Diagnosis(verdict="overfitting", cause="variance", rule=rule, numbers=numbers)
    rule = "neither loss came below where it was before the first update; the steps may be too large"
    return Diagnosis(verdict="underfitting", cause="steps", rule=rule, numbers=numbers)


def _hardly_beats_guessing(seen: _Seen) -> Diagnosis | None:
    """Judge the training loss of the kept weights beside that of naming the shares of classes, or the mean."""
    train = seen.evaluation.get("train")
    if not train or not train.get("baseline_loss"):
        return None
    share = float(train["loss"]["value"] / train["baseline_loss"])
    if share <= _LOSS_OF_GUESSING:
        return None
    rule = f"the kept weights' loss on the training rows is more than {_LOSS_OF_GUESSING:.0%} of that of guessing"
    return Diagnosis(verdict="underfitting", cause="bias", rule=rule, numbers={**seen.losses, "learned": seen.learned})


def _gapes(seen: _Seen) -> Diagnosis | None:
    """Judge the gap of accuracy (or R2) of the kept weights: wide, with a 95 % interval that leaves out 0."""
    name = "r2" if seen.guess is None else "accuracy"
    gap = seen.evaluation.get(f"{name}_gap")
    if gap is None or gap["low"] <= 0 or gap["value"] <= _WIDE_GAP * (1 - (seen.guess or 0.0)):
        return None
    rule = f"the {seen.metric} of the kept weights is worse on validation rows by more than {_WIDE_GAP:.0%} of the way from guessing to perfect, and chance does not explain it"
    numbers = {f"{name}_gap": gap["value"], f"{name}_gap_low": gap["low"], f"{name}_gap_high": gap["high"]}
    return Diagnosis(verdict="overfitting", cause="variance", rule=rule, numbers={**seen.losses, **numbers})


def _still_falls(seen: _Seen) -> Diagnosis | None:
    if seen.last_epoch - seen.best_epoch >= window(seen.last_epoch) and seen.best_epoch != seen.last_epoch:
        return None
    if seen.earlier is None or "val_loss" not in seen.earlier:
        falls = seen.best_epoch == seen.last_epoch
    else:
        falls = seen.last["val_loss"] < (1 - _STILL_FALLING) * seen.earlier["val_loss"]
    rule = f"the best epoch is within the last tenth, over which the validation loss fell by more than {_STILL_FALLING:.0%}"
    return Diagnosis(verdict="still_improving", cause="length", rule=rule, numbers=seen.losses) if falls else None


_RULES = (_learned_nothing, _parted, _never_improved, _hardly_beats_guessing, _gapes, _still_falls)


def _good(seen: _Seen) -> Diagnosis:
    """Say what is good, and how far."""
    if seen.is_lasting:
        then = "after the best epoch both losses rose: its steps are too large to stay there"
    elif seen.has_risen:
        then = "its validation loss is high at the last epoch alone, which may be noise"
    else:
        then = "its validation loss did not rise by much after the best epoch"
    is_little = seen.learned < _HALF
    learns = f"it came {seen.learned:.0%} of the way from guessing to perfect on its training rows" if is_little else "it learned"
    rule = f"{learns}, its gap of {seen.metric} is narrow, and {then}"
    gap = seen.evaluation.get("generalization_gap")
    if gap is not None and gap["low"] > 0:
        rule += "; its loss is higher on validation rows, and chance does not explain that"
    cause: Cause = "steps" if seen.is_lasting else "bias" if is_little else "nothing"
    return Diagnosis(verdict="good_fit", cause=cause, rule=rule, numbers={**seen.losses, "learned": seen.learned})


def _learned(figures: Mapping[str, float], guess: float | None) -> float:
    if guess is None:
        return figures["train_r2"]
    return (figures["train_accuracy"] - guess) / (1 - guess)

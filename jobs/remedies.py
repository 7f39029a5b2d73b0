"""What a diagnosis suggests to try: changes of a fit's spec, each of which can be a variant of a comparison."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from data.counting import written
from data.dataset import DatasetInfo
from jobs.applicability import augmented_shape
from jobs.diagnosis import Diagnosis
from jobs.spec import JobSpec
from models.normalizations.spec import GroupNormSpec
from models.spec import CnnSpec, MlpSpec
from training.augmentations.spec import AugmentationSpec, CropSpec, SignalJitterSpec, kind_of, misfit
from training.optimizers.spec import AdamwSpec
from training.schedules.spec import ConstantSpec
from training.spec import MAX_EPOCHS

_MOST_UNITS = 16_384
_MOST_DROPOUT = 0.8
_FIRST_DROPOUT = 0.3
_FIRST_PENALTY = {"classification": 0.01, "regression": 0.1}
_WARMUP_EPOCHS = 5
_FIRST_UNITS = 64
_FAR = 11
"""Rates that differ by more are not reached by a factor of ten."""


@dataclass(frozen=True)
class Remedy:
    """A change that may help: pointers into the spec and what to set there, as a variant of the plan `comparison` has them."""

    label: str
    set: dict[str, Any]


def remedies(diagnosis: Diagnosis, spec: JobSpec, dataset: DatasetInfo) -> list[Remedy]:
    """Give what to try after a diagnosis of a fit of `spec`, its own with what its plan varied; nothing where nothing is to be mended.

    Each changes one thing, so that a comparison of them tells which of them it was that helped. What is turned to its end, or would
    change nothing, is left out.
    """
    if spec.optimizer.learning_rate == 0:  # nothing else moves a weight
        return list(_usual_rate(spec))
    match diagnosis.cause:
        case "variance":
            is_at_once = "first_val_loss" in diagnosis.numbers
            return [*(_rate(spec, 0.1) if is_at_once else ()), *_against_variance(spec, dataset)]
        case "bias":
            return list(_against_bias(spec, stopped_early=diagnosis.stopped_early))
        case "steps":
            return list(_against_large_steps(spec))
        case "length":
            return [*_longer(spec, 2), *_rate(spec, 3)]
        case "nothing":
            return []


def _against_variance(spec: JobSpec, dataset: DatasetInfo) -> Iterator[Remedy]:
    if spec.training.kept_weights == "last":
        yield Remedy("best epoch kept", {"/training/kept_weights": "best"})
    dropout = spec.network.dropout
    if _has_hidden_layers(spec) and dropout < _MOST_DROPOUT:
        more = min(_MOST_DROPOUT, round(dropout + 0.2, 2)) if dropout else _FIRST_DROPOUT
        yield Remedy(f"dropout {more:g}", {"/network/dropout": more})
    if isinstance(spec.optimizer, AdamwSpec):
        yield _grown("weight decay", "/optimizer/weight_decay", spec.optimizer.weight_decay, dataset)
    else:
        yield _grown("L2 penalty", "/regularization/l2", spec.regularization.l2, dataset)
    yield from _augmented(spec, dataset)
    yield from _scaled(spec, "half the width", 1, 2)


def _against_bias(spec: JobSpec, *, stopped_early: bool) -> Iterator[Remedy]:
    found = spec.regularization
    held = {
        "no dropout": ("/network/dropout", spec.network.dropout),
        "no L1 penalty": ("/regularization/l1", found.l1),
        "no L2 penalty": ("/regularization/l2", found.l2),
    }
    yield from (Remedy(label, {pointer: 0.0}) for label, (pointer, value) in held.items() if value)
    yield from _scaled(spec, "twice the width", 2, 1)
    yield from _rate(spec, 10)
    yield from _rate(spec, 0.1)
    yield from _usual_rate(spec)
    if not stopped_early:
        yield from _longer(spec, 3)


def _against_large_steps(spec: JobSpec) -> Iterator[Remedy]:
    yield from _rate(spec, 0.1)
    yield from _rate(spec, 0.01)
    clip = spec.training.gradient_clip_norm
    if clip is None or clip > 1:
        yield Remedy("gradient norm at most 1", {"/training/gradient_clip_norm": 1.0})
    warmup = min(_WARMUP_EPOCHS, spec.training.max_epochs - 1)
    if isinstance(spec.schedule, ConstantSpec) and spec.schedule.warmup_epochs < warmup:
        yield Remedy(f"warm-up of {warmup} epochs" if warmup > 1 else "warm-up of 1 epoch", {"/schedule/warmup_epochs": warmup})


def _has_hidden_layers(spec: JobSpec) -> bool:
    return isinstance(spec.network, CnnSpec) or bool(spec.network.hidden_units)


def _grown(name: str, pointer: str, value: float, dataset: DatasetInfo) -> Remedy:
    more = float(f"{value * 10:.3g}") if value else _FIRST_PENALTY[dataset.task]
    return Remedy(f"{name} {written(more)}", {pointer: more})


def _rate(spec: JobSpec, factor: float) -> Iterator[Remedy]:
    rate = float(f"{spec.optimizer.learning_rate * factor:.3g}")
    if 0 < rate < math.inf:
        yield Remedy(f"learning rate {written(rate)}", {"/optimizer/learning_rate": rate})


def _usual_rate(spec: JobSpec) -> Iterator[Remedy]:
    """Give the optimizer's default, where it is out of reach of a factor of ten."""
    usual, rate = type(spec.optimizer).model_fields["learning_rate"].default, spec.optimizer.learning_rate
    if not usual / _FAR < rate < usual * _FAR:
        yield Remedy(f"learning rate {written(usual)}", {"/optimizer/learning_rate": usual})


def _longer(spec: JobSpec, factor: int) -> Iterator[Remedy]:
    epochs = min(MAX_EPOCHS, spec.training.max_epochs * factor)
    if epochs > spec.training.max_epochs:
        yield Remedy(f"{epochs} epochs", {"/training/max_epochs": epochs})


def _scaled(spec: JobSpec, label: str, up: int, down: int) -> Iterator[Remedy]:
    """Widen or narrow every hidden layer. Groups of channels need not divide other widths."""
    network = spec.network
    if isinstance(network.normalization, GroupNormSpec):
        return
    if isinstance(network, MlpSpec) and not network.hidden_units:
        if up > down:
            yield Remedy(f"a hidden layer of {_FIRST_UNITS}", {"/network/hidden_units": [_FIRST_UNITS]})
        return

    def other(width: int) -> int:
        return max(1, min(_MOST_UNITS, width * up // down))

    changes: dict[str, Any] = {"/network/hidden_units": [other(width) for width in network.hidden_units]} if network.hidden_units else {}
    if isinstance(network, CnnSpec):
        blocks = [block.model_copy(update={"channels": other(block.channels)}) for block in network.blocks]
        changes["/network/blocks"] = [block.model_dump(mode="json") for block in blocks]
        is_other = tuple(blocks) != network.blocks
    else:
        is_other = tuple(changes["/network/hidden_units"]) != network.hidden_units
    if is_other:
        yield Remedy(label, changes)


def _augmented(spec: JobSpec, dataset: DatasetInfo) -> Iterator[Remedy]:
    """Add the change that leaves most labels right: shifts of images and volumes, noise on signals."""
    shape = augmented_shape(spec, dataset)
    kind = kind_of(shape)
    if kind is None or spec.regularization.augmentations:
        return
    change: AugmentationSpec = SignalJitterSpec(name="signal_jitter")
    if kind != "signal":
        change = CropSpec(name="crop", padding=max(1, min(shape[1:]) // 8))
    if misfit(change, shape) is None:
        label = "noisy signals" if kind == "signal" else "random crops"
        yield Remedy(label, {"/regularization/augmentations": [change.model_dump(mode="json")]})

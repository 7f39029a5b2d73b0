"""Fits trained whole, and with interruptions: what one does that goes on from a checkpoint."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tests.training.small import figures
from training.loop import Stack, train
from training.records import EpochRecord, Fit, FitOutcome

Curves = dict[int, list[EpochRecord]]
Outcomes = dict[int, FitOutcome]


def gather(stack: Stack, curves: Curves, outcomes: Outcomes, *, until: int | None = None) -> dict[int, bytes]:
    """Train on; where epoch `until` is whole, give the checkpoints and leave."""
    for event in train(stack):
        if isinstance(event, EpochRecord):
            curves.setdefault(event.fit, []).append(event)
        else:
            outcomes[event.fit] = event
        if until is not None and stack.is_between_epochs and stack.next_epoch == until + 1:
            return stack.checkpoint()
    return {}


def trained_whole(fits: Sequence[Fit]) -> tuple[Curves, Outcomes]:
    """Train without an interruption."""
    curves: Curves = {}
    outcomes: Outcomes = {}
    gather(Stack(fits), curves, outcomes)
    return curves, outcomes


def interrupted(fits: Sequence[Fit], at: Sequence[int]) -> tuple[Curves, Outcomes]:
    """Train, leaving after each epoch of `at` and going on with a new stack of what was live."""
    curves: Curves = {}
    outcomes: Outcomes = {}
    stack = Stack(fits)
    for epoch in at:
        kept = gather(stack, curves, outcomes, until=epoch)
        live = [fit for fit in fits if fit.number in kept]
        if not live:
            return curves, outcomes
        stack = Stack(live)
        stack.restore(kept)
    gather(stack, curves, outcomes)
    return curves, outcomes


def assert_equal(ours: tuple[Curves, Outcomes], theirs: tuple[Curves, Outcomes]) -> None:
    """Compare curves, figures, weights and outputs to the last bit; clocks aside."""
    assert ours[0].keys() == theirs[0].keys()
    assert ours[1].keys() == theirs[1].keys()
    for number, curve in ours[0].items():
        assert figures(curve) == figures(theirs[0][number])
        one, other = ours[1][number], theirs[1][number]
        plain = {"weights": None, "outputs": None}
        assert replace(one, **plain) == replace(other, **plain)
        assert same(one.outputs, other.outputs)
        assert one.weights is not None
        assert other.weights is not None
        assert one.weights.keys() == other.weights.keys()
        assert all(same(values, other.weights[name]) for name, values in one.weights.items())


def same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    return (one is None and other is None) or (
        one is not None and other is not None and one.dtype == other.dtype and np.array_equal(one, other)
    )

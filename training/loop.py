"""The one training loop: a generator of epoch records over a stack of fits.

`for event in train(stack)` gives every live fit's record of every epoch, epoch 0 (before any update) included, and a
`FitOutcome` as each fit ends or pauses. Persistence, cancelling and limits stay with the caller, who may stop at any event
and ask for the outcomes so far with `conclude`, and who may take checkpoints within the loop, between epochs:

    for event in train(stack):
        ...  # keep the event
        if stack.is_between_epochs and is_due():
            keep(stack.checkpoint())

A new stack of the same fits goes on from them after `stack.restore`, bit for bit.
"""

import math
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from training.backend import backend_of
from training.figures import RowFigures
from training.outcome import outcome_of, paused
from training.records import EpochRecord, FitOutcome, StopReason, TrainingEvent
from training.stack import Stack

__all__ = ["Stack", "conclude", "train"]

_GONE_ON_WITH = frozenset({StopReason.MAX_EPOCHS, StopReason.CANCELLED, StopReason.TIME_LIMIT})
"""After these a fit could train on: neither its patience nor its numbers are at their end."""


def train(stack: Stack) -> Iterator[TrainingEvent]:
    """Train every fit of `stack` to its end, from the stack's next epoch on."""
    yield from _take(stack)
    while stack.members:
        with backend_of(stack.weights):
            _run_epoch(stack, stack.next_epoch)
        yield from _take(stack)


def conclude(stack: Stack, reason: StopReason) -> list[FitOutcome]:
    """End what is still live, with what it has so far; a fit that had already ended keeps its own reason.

    All fits have gone through the same epochs: records of the last one that the caller did not read stay in
    `stack.unread`. The stack must not be trained further.
    """
    for member in stack.members:
        if member.ended is None:
            member.ended = reason
    _close_ended(stack)
    outcomes = [event for event in stack.unread if isinstance(event, FitOutcome)]
    stack.unread = deque(event for event in stack.unread if isinstance(event, EpochRecord))
    return outcomes


def _take(stack: Stack) -> Iterator[TrainingEvent]:
    yield from _read(stack)
    _close_ended(stack)
    yield from _read(stack)


def _read(stack: Stack) -> Iterator[TrainingEvent]:
    while stack.unread:
        yield stack.unread.popleft()


def _run_epoch(stack: Stack, epoch: int) -> None:
    began = time.perf_counter()
    tallies = [None] * len(stack.members) if epoch == 0 else stack.train_epoch(epoch)
    measured = stack.figures()
    seconds = time.perf_counter() - began
    for i, member in enumerate(stack.members):
        if member.ended is not None:  # diverged before its update: no row for this epoch
            continue
        train, val = measured[i]
        if not _is_finite(train) or not _is_finite(val):
            member.ended = StopReason.DIVERGED
            member.message = f"the evaluated loss was no longer finite in epoch {epoch}"
            continue
        tally = tallies[i]
        record = EpochRecord(
            fit=member.fit.number,
            epoch=epoch,
            train_loss=train.mean_loss,
            val_loss=None if val is None else val.mean_loss,
            train_metrics=train.metrics,
            val_metrics={} if val is None else val.metrics,
            objective=None if tally is None else tally.objective / tally.rows,
            learning_rate=None if epoch == 0 else member.schedule.rate(epoch),
            seconds=seconds,
            steps=0 if tally is None else tally.steps,
        )
        stack.remember(i, record)
        member.ended = member.due
        stack.unread.append(record)


def _close_ended(stack: Stack) -> None:
    ended = [_outcome(stack, i) for i, member in enumerate(stack.members) if member.ended is not None]
    stack.drop_ended()
    stack.unread.extend(ended)


def _outcome(stack: Stack, i: int) -> FitOutcome:
    member = stack.members[i]
    if member.ended is StopReason.PAUSED:
        return paused(member, stack.saved(i))
    with backend_of(stack.weights):
        outcome = outcome_of(member, stack.measured.alone(i))
    if member.fit.keeps_checkpoint and outcome.stop_reason in _GONE_ON_WITH:
        return replace(outcome, checkpoint=stack.saved(i))
    return outcome


def _is_finite(figures: RowFigures | None) -> bool:
    return figures is None or math.isfinite(figures.mean_loss)

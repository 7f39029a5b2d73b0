"""The loop's caller may stop at any event, and any rows may share a stack."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.small import a_fit, figures, rows, run
from training.bootstrap import resampled
from training.figures import RowFigures, r_squared
from training.loop import Stack, conclude, train
from training.records import EpochRecord, FitData, FitOutcome, Rows, StopReason, TrainingEvent
from training.seeding import keep_mask


def _taken(stack: Stack, count: int) -> list[TrainingEvent]:
    """Read `count` events and close the loop."""
    loop = train(stack)
    events = [next(loop) for _ in range(count)]
    loop.close()  # type: ignore[attr-defined]
    return events


@pytest.mark.parametrize("kept", ["best", "last"])
@pytest.mark.parametrize("read", range(1, 10))
def test_a_stack_left_in_the_middle_of_an_epoch_still_ends_at_its_end(read: int, kept: str) -> None:
    """B040, B082: kept weights are those of an epoch whose record exists, whichever event was the last one read."""
    fits = [a_fit(number=k, seed=k, training={"max_epochs": 9, "kept_weights": kept}) for k in (1, 2, 3)]
    stack = Stack(fits)
    events = _taken(stack, read)
    outcomes = conclude(stack, StopReason.CANCELLED)
    records = {(event.fit, event.epoch): event for event in [*events, *stack.unread] if isinstance(event, EpochRecord)}
    assert [outcome.fit for outcome in outcomes] == [1, 2, 3]
    assert {outcome.last_epoch for outcome in outcomes} == {(read - 1) // 3}
    for outcome in outcomes:
        assert outcome.kept_epoch is not None
        assert outcome.evaluation is not None
        record = records[outcome.fit, outcome.kept_epoch]
        assert outcome.evaluation["train"]["loss"]["value"] == record.train_loss
        assert outcome.evaluation["val"]["loss"]["value"] == record.val_loss


def test_a_fit_that_had_ended_keeps_its_own_reason() -> None:
    """B008, B022: an order to stop that comes with the last record of a fit does not rewrite how that fit ended."""
    patient = a_fit(number=1, optimizer={"name": "sgd", "learning_rate": 0}, early_stopping={"patience": 1}, training={"max_epochs": 9})
    stack = Stack([patient])
    _taken(stack, 2)
    [outcome] = conclude(stack, StopReason.CANCELLED)
    assert (outcome.status, outcome.stop_reason) == ("finished", StopReason.EARLY_STOPPING)

    wild, tame = (a_fit(number=k, classes=None, optimizer={"name": "sgd", "learning_rate": rate}) for k, rate in ((1, 1e20), (2, 1e-3)))
    stack = Stack([wild, tame])
    loop = train(stack)
    while stack.members[0].ended is None:
        next(loop)
    ended = {outcome.fit: outcome for outcome in conclude(stack, StopReason.CANCELLED)}
    assert (ended[1].status, ended[1].evaluation, ended[2].status) == ("diverged", None, "cancelled")
    json.dumps(ended[2].evaluation, allow_nan=False)


def test_outcomes_that_were_not_read_are_not_lost() -> None:
    fits = [a_fit(number=k, training={"max_epochs": 1}) for k in (1, 2, 3)]
    stack = Stack(fits)
    events = _taken(stack, 7)
    assert isinstance(events[-1], FitOutcome)
    assert [outcome.fit for outcome in conclude(stack, StopReason.CANCELLED)] == [2, 3]
    assert not stack.unread


def test_a_stack_concluded_before_its_first_epoch_has_nothing_to_keep() -> None:
    [outcome] = conclude(Stack([a_fit()]), StopReason.CANCELLED)
    assert (outcome.status, outcome.last_epoch, outcome.kept_epoch, outcome.weights, outcome.evaluation) == (
        "cancelled",
        None,
        None,
        None,
        None,
    )


def test_fits_may_share_features_and_have_targets_of_their_own() -> None:
    """B023."""
    x = rows(96, (6,)).x
    fits = []
    for k in (1, 2):
        part = Rows(x=x, y=np.random.default_rng(k).integers(0, 3, 96))
        data = FitData(task="classification", num_outputs=3, train=part, val=part, test=None)
        fits.append(a_fit(number=k, data=data, training={"max_epochs": 2}))
    curves, _ = run(*fits)
    for fit in fits:
        assert figures(curves[fit.number]) == figures(run(fit)[0][fit.number])
    assert figures(curves[1]) != figures(curves[2])


def test_rows_that_must_not_be_written_are_copied() -> None:
    part = rows(40, (6,))
    part.x.setflags(write=False)
    part.y.setflags(write=False)
    data = FitData(task="classification", num_outputs=3, train=part, val=part, test=None)
    assert len(run(a_fit(data=data, training={"max_epochs": 1}))[0][1]) == 2


def test_changing_validation_features_leaves_training_bit_identical() -> None:
    """B006: nothing of the validation rows reaches the weights."""
    fit = a_fit(
        network={"name": "mlp", "hidden_units": [8], "normalization": {"name": "batch_norm"}, "dropout": 0.2}, training={"max_epochs": 4}
    )
    assert fit.data.val is not None
    changed = replace(fit, data=replace(fit.data, val=Rows(x=fit.data.val.x * 7 + 1, y=fit.data.val.y)))
    ours, theirs = run(fit)[0][1], run(changed)[0][1]
    assert [(r.train_loss, r.objective) for r in ours] == [(r.train_loss, r.objective) for r in theirs]
    assert [r.val_loss for r in ours] != [r.val_loss for r in theirs]


@pytest.mark.parametrize("split", ["train", "test"])
def test_rows_that_no_epoch_measured_can_still_make_a_fit_diverge(split: str) -> None:
    """B011, B027: a final loss that is not finite is never stored; the fit says that it diverged."""
    part = rows(60, (6,), classes=None)
    huge = Rows(x=part.x.copy(), y=part.y.copy())
    fit = a_fit(
        classes=None,
        optimizer={"name": "sgd", "learning_rate": 0},
        training={"max_epochs": 1},
        evaluation={"resamples": 100, "max_train_rows": 10},
    )
    if split == "test":
        huge.x[7] = 3e38
        data = FitData(task="regression", num_outputs=1, train=part, val=part, test=huge)
    else:
        huge.y[:] = np.where(np.arange(60) == _unmeasured(fit.seed), 1e30, huge.y)
        data = FitData(task="regression", num_outputs=1, train=huge, val=part, test=None)
    curves, outcomes = run(
        replace(fit, spec=fit.spec.model_copy(update={"training": fit.spec.training.model_copy(update={"batch_size": 1})}), data=data)
    )
    assert (outcomes[1].status, outcomes[1].evaluation) == ("diverged", None)
    assert outcomes[1].message is not None
    assert all(math.isfinite(record.train_loss) for record in curves[1])


def _unmeasured(seed: int) -> int:
    from training.seeding import stratified_sample

    return min(set(range(60)) - set(stratified_sample(seed, np.zeros(60), 10).tolist()))


@pytest.mark.parametrize("value", [0.1, 0.3, 7.7, 123.456])
@pytest.mark.parametrize("count", [3, 7, 23])
def test_r2_of_a_constant_target_is_0_and_never_a_rounding_error(value: float, count: int) -> None:
    """B011: as scikit-learn: 0, or 1 where the constant is met exactly."""
    part = Rows(x=rows(count, (6,)).x, y=np.full(count, value))
    data = FitData(task="regression", num_outputs=1, train=part, val=part, test=None, target_scale=3.7)
    curves, outcomes = run(a_fit(data=data, training={"max_epochs": 1, "precision": "float64"}))
    assert [record.val_metrics["r2"] for record in curves[1]] == [0, 0]
    assert outcomes[1].evaluation is not None
    assert outcomes[1].evaluation["val"]["r2"] == {"value": 0, "low": 0, "high": 0}
    assert r_squared(0.0, 0.0) == 1


def test_one_row_drawn_over_and_over_has_an_r2_of_0() -> None:
    """B011: of two rows half of all resamples are one row twice."""
    measured = RowFigures(loss=np.array([0.1, 0.2]), hit=None, target=np.array([-0.3, 0.3]))
    draws = resampled(measured, 500, 0, "val")["r2"]
    assert draws.min() > -5
    assert (draws == 0).any()


@settings(deadline=None, max_examples=40)
@given(st.floats(min_value=0, max_value=1, exclude_max=True))
def test_every_dropout_probability_keeps_its_promise(probability: float) -> None:
    """B079: up to the last float before 1, where everything is dropped."""
    mask = keep_mask(torch.Generator().manual_seed(0), (20_000,), probability, torch.float64)
    kept = float((mask != 0).double().mean())
    assert kept == pytest.approx(1 - probability, abs=5 * math.sqrt(probability * (1 - probability) / 20_000) + 1e-4)
    assert set(mask.tolist()) <= {0.0, 1 / (1 - probability)}


def test_a_last_row_alone_is_normalized_by_groups_of_one_unit() -> None:
    """Such a layer puts out its shifts, whatever it is given: it is of no use, and no error."""
    network = {"name": "mlp", "hidden_units": [8], "normalization": {"name": "group_norm", "groups": 8}}
    curves, outcomes = run(a_fit(network=network, train_rows=97, training={"max_epochs": 2}))
    assert outcomes[1].status == "finished"
    assert len(curves[1]) == 3

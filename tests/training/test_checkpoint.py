"""B081: a fit that goes on from a checkpoint is bit for bit the fit that was never interrupted."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from api.techniques import members
from tests.training.resumed import Curves, Outcomes, assert_equal, gather, interrupted, trained_whole
from tests.training.small import a_fit, figures, rows
from training.export import load_safetensors, safetensors_metadata, save_safetensors
from training.loop import Stack, conclude, train
from training.optimizers.spec import OptimizerSpec
from training.records import EpochRecord, Fit, StopReason
from training.schedules.spec import ScheduleSpec

EPOCHS = 6
OPTIMIZERS: dict[str, dict[str, Any]] = {
    **{name: {"name": name} for name in ("sgd", "momentum", "nag", "adagrad", "adadelta", "rmsprop", "adam", "adamw")},
    "rmsprop, centered, momentum": {"name": "rmsprop", "centered": True, "momentum": 0.5},
}
SCHEDULES: dict[str, dict[str, Any]] = {
    "constant": {"name": "constant", "warmup_epochs": 4},
    "step": {"name": "step", "every": 2},
    "exponential": {"name": "exponential"},
    "cosine": {"name": "cosine"},
    "one_cycle": {"name": "one_cycle"},
    "reduce_on_plateau": {"name": "reduce_on_plateau", "patience": 2, "min_delta": 0.05, "factor": 0.5},
}
MLP = {"name": "mlp", "hidden_units": [16, 8]}
KINDS: dict[str, dict[str, Any]] = {
    "batch norm": {"network": {**MLP, "normalization": {"name": "batch_norm"}}},
    "dropout": {"network": {**MLP, "dropout": 0.3}},
    "average of weights": {"regularization": {"ema_decay": 0.95}},
    "average of weights, batch norm": {
        "regularization": {"ema_decay": 0.9},
        "network": {**MLP, "normalization": {"name": "batch_norm", "momentum": 0.3}},
    },
    "early stopping": {"early_stopping": {"patience": 2, "min_delta": 0.1}, "optimizer": {"name": "adam", "learning_rate": 0.01}},
    "weight noise": {"regularization": {"weight_noise": 0.05}},
    "mixup": {"regularization": {"mixup_alpha": 0.4}},
    "cutmix": {"regularization": {"cutmix_alpha": 0.7}},
    "balanced sampling": {"regularization": {"balanced_sampling": True}},
    "input noise, augmentations": {"regularization": {"input_noise": 0.1, "augmentations": [{"name": "crop"}, {"name": "flip"}]}},
    "penalties, clipping": {"regularization": {"l1": 0.01, "l2": 0.01, "max_norm": 0.9}, "training": {"gradient_clip_norm": 0.5}},
    "accumulated batches": {"training": {"batch_size": 10, "accumulate_batches": 3}},
    "last weights": {"training": {"kept_weights": "last"}},
    "float64": {"training": {"precision": "float64"}},
    "full batch": {"training": {"batch_size": "full"}},
    "cnn": {"network": {"name": "cnn", "blocks": [{"channels": 4, "pool": 2}], "normalization": {"name": "batch_norm"}, "dropout": 0.2}},
    "no validation rows": {"val_rows": 0},
    "best weights long gone": {"optimizer": {"name": "adam", "learning_rate": 0.3}, "early_stopping": {"patience": 6}},
}


def _fit(number: int = 1, *, seed: int = 0, val_rows: int = 40, weighs: bool = False, **spec: Any) -> Fit:
    """Make a fit of six epochs on 75 images, with test rows and rows that are asked for."""
    training = {"max_epochs": EPOCHS, **spec.pop("training", {})}
    fit = a_fit(
        number=number,
        seed=seed,
        shape=(1, 6, 6),
        train_rows=75,
        val_rows=val_rows,
        test_rows=20,
        **{"network": MLP, **spec, "training": training},
    )
    weights = np.linspace(0.5, 1.5, 75) if weighs else None
    return replace(fit, data=replace(fit.data, asked=rows(45, (1, 6, 6), seed=5).x, weights=weights))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_and_schedule_goes_on_as_if_never_interrupted(optimizer: str, schedule: str) -> None:
    fit = _fit(optimizer=OPTIMIZERS[optimizer], schedule=SCHEDULES[schedule], regularization={"ema_decay": 0.9})
    assert_equal(interrupted([fit], [3]), trained_whole([fit]))


@pytest.mark.parametrize("at", [[2], [0, 1, 2, 3, 4, 5]], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_fit_goes_on_as_if_never_interrupted(kind: str, at: list[int]) -> None:
    """B040: the best weights are kept whenever they came about, before the interruption or after."""
    fit = _fit(**KINDS[kind], weighs=True)
    if kind == "no validation rows":
        fit = replace(fit, data=replace(fit.data, val=None))
    assert_equal(interrupted([fit], at), trained_whole([fit]))


def test_the_kinds_above_are_what_they_are_named() -> None:
    curves, outcomes = trained_whole([_fit(**KINDS["early stopping"])])
    assert outcomes[1].stop_reason is StopReason.EARLY_STOPPING
    assert 3 < len(curves[1]) < EPOCHS + 1
    _, outcomes = trained_whole([_fit(**KINDS["best weights long gone"])])
    assert outcomes[1].kept_epoch == outcomes[1].best_epoch
    assert outcomes[1].best_epoch is not None
    assert outcomes[1].best_epoch < 4
    curves, _ = trained_whole([_fit(schedule=SCHEDULES["reduce_on_plateau"])])
    assert len({record.learning_rate for record in curves[1][1:]}) > 1
    assert set(SCHEDULES) == {one.model_fields["name"].annotation.__args__[0] for one in members(ScheduleSpec)}
    assert {one["name"] for one in OPTIMIZERS.values()} == {
        one.model_fields["name"].annotation.__args__[0] for one in members(OptimizerSpec)
    }


def _five() -> list[Fit]:
    """Five fits that differ in all that may differ; the second and fourth stop early, at epochs of their own."""
    return [
        _fit(
            k,
            seed=k,
            weighs=k == 3,
            optimizer={
                "name": "rmsprop",
                "learning_rate": [0.002, 0, 0.01, 0.1, 0.005][k - 1],
                "centered": k % 2 == 0,
                "momentum": 0.1 * k,
            },
            schedule=list(SCHEDULES.values())[k],
            network={**MLP, "dropout": 0.1 * k, "normalization": {"name": "batch_norm"}},
            regularization={"ema_decay": 0.8 + 0.02 * k, "l2": 0.001 * k, "mixup_alpha": 0.3 if k == 5 else 0.0},
            early_stopping={"patience": 2} if k in {2, 4} else None,
        )
        for k in range(1, 6)
    ]


@pytest.mark.parametrize("at", [0, 1, 3, 5])
def test_a_stack_of_five_goes_on_as_if_never_interrupted(at: int) -> None:
    fits = _five()
    assert_equal(interrupted(fits, [at]), trained_whole(fits))


def test_fits_go_on_alone_or_with_others_as_they_would_have_together() -> None:
    fits = _five()
    curves: Curves = {}
    outcomes: Outcomes = {}
    kept = gather(Stack(fits), curves, outcomes, until=1)
    assert list(kept) == [1, 2, 3, 4, 5]
    for numbers in ([1], [5, 3], [4, 2]):
        stack = Stack([fits[number - 1] for number in numbers])
        stack.restore({number: kept[number] for number in numbers})
        gather(stack, curves, outcomes)
    assert_equal((curves, outcomes), trained_whole(fits))


def test_fits_that_were_alone_go_on_together() -> None:
    fits = _five()
    curves: Curves = {}
    outcomes: Outcomes = {}
    kept: dict[int, bytes] = {}
    for fit in fits:
        kept |= gather(Stack([fit]), curves, outcomes, until=1)
    stack = Stack(fits)
    stack.restore(kept)
    gather(stack, curves, outcomes)
    assert_equal((curves, outcomes), trained_whole(fits))


def test_a_learning_rate_of_0_still_moves_nothing_after_an_interruption() -> None:
    curves, outcomes = interrupted([_fit(optimizer={"name": "adamw", "learning_rate": 0})], [2])
    assert [record.epoch for record in curves[1]] == list(range(EPOCHS + 1))
    assert len({(record.train_loss, record.val_loss) for record in curves[1]}) == 1
    assert outcomes[1].best_epoch == 0


def test_a_restored_stack_can_be_concluded_at_once() -> None:
    """B040: with the best weights so far."""
    fit = _fit(**KINDS["best weights long gone"])
    curves: Curves = {}
    kept = gather(Stack([fit]), curves, {}, until=5)
    stack = Stack([fit])
    stack.restore(kept)
    [outcome] = conclude(stack, StopReason.CANCELLED)
    losses = [record.val_loss for record in curves[1]]
    assert (outcome.status, outcome.last_epoch) == ("cancelled", 5)
    assert outcome.kept_epoch == outcome.best_epoch == int(np.argmin(np.array(losses)))
    assert outcome.kept_epoch != 5
    assert outcome.evaluation is not None
    assert outcome.evaluation["val"]["loss"]["value"] == losses[outcome.kept_epoch]


def test_a_checkpoint_is_made_between_epochs_only() -> None:
    """One made while records or outcomes are unread would go on after epochs that nobody has kept."""
    stack = Stack([_fit(1), _fit(2, training={"max_epochs": 2}), _fit(3)])
    assert not stack.is_between_epochs
    with pytest.raises(ValueError, match="between epochs"):
        stack.checkpoint()
    moments = []
    for event in train(stack):
        if stack.is_between_epochs:
            moments.append((event.fit, event.epoch if isinstance(event, EpochRecord) else None))
        else:
            with pytest.raises(ValueError, match="between epochs"):
                stack.checkpoint()
    assert moments == [(3, 0), (3, 1), (2, None), (3, 3), (3, 4), (3, 5)]


def test_checkpoints_may_be_asked_for_by_number() -> None:
    stack = Stack([_fit(1), _fit(2)])
    kept = gather(stack, {}, {}, until=1)
    assert stack.checkpoint([2]) == {2: kept[2]}
    with pytest.raises(ValueError, match=r"not live have no checkpoint: \[3\]"):
        stack.checkpoint([1, 3])


def _kept(fit: Fit, epoch: int = 2) -> bytes:
    return gather(Stack([fit]), {}, {}, until=epoch)[fit.number]


def test_checkpoints_that_do_not_fit_are_refused_and_nothing_is_changed() -> None:
    fit = _fit(optimizer={"name": "rmsprop"})
    good = _kept(fit)
    meta, arrays = safetensors_metadata(good)["checkpoint"], load_safetensors(good)
    refused = {
        "cannot be read": [b"", b"0" * 100, good[:-10], save_safetensors(arrays, {})],
        "format": [save_safetensors(arrays, {"checkpoint": meta.replace('"format":1', '"format":2')})],
        "another structure": [_kept(_fit(optimizer={"name": "adam"})), _kept(_fit(network={**MLP, "hidden_units": [16]}))],
        "of seed 7": [_kept(_fit(seed=7, optimizer={"name": "rmsprop"}))],
        "another schedule": [_kept(_fit(optimizer={"name": "rmsprop"}, schedule=SCHEDULES["reduce_on_plateau"]))],
        "other tensors": [_kept(_fit(optimizer={"name": "rmsprop", "centered": True}))],
    }
    stack = Stack([fit])
    for message, contents in refused.items():
        for content in contents:
            with pytest.raises(ValueError, match=message):
                stack.restore({1: content})
    curves: Curves = {}
    gather(stack, curves, {})
    assert figures(curves[1]) == figures(trained_whole([fit])[0][1])


def test_checkpoints_of_other_fits_or_epochs_are_refused() -> None:
    fits = [_fit(1), _fit(2)]
    early, late = (gather(Stack(fits), {}, {}, until=epoch) for epoch in (1, 2))
    with pytest.raises(ValueError, match="different epochs"):
        Stack(fits).restore({1: early[1], 2: late[2]})
    with pytest.raises(ValueError, match="cannot go on from checkpoints of"):
        Stack(fits).restore({1: early[1]})
    with pytest.raises(ValueError, match="cannot go on from checkpoints of"):
        Stack(fits[:1]).restore(early)
    begun = Stack(fits)
    next(train(begun))
    with pytest.raises(ValueError, match="has begun"):
        begun.restore(early)


def test_stopping_at_an_epoch_gives_the_beginning_of_the_longer_fit() -> None:
    """The schedule is that of all its epochs."""
    fit = _fit(schedule={"name": "cosine"})
    whole, _ = trained_whole([fit])
    curves, outcomes = trained_whole([replace(fit, stop_at=3)])
    assert figures(curves[1]) == figures(whole[1][:4])
    assert (outcomes[1].status, outcomes[1].stop_reason, outcomes[1].last_epoch) == ("finished", StopReason.MAX_EPOCHS, 3)
    assert outcomes[1].evaluation is not None
    assert_equal(trained_whole([replace(fit, stop_at=99)]), trained_whole([fit]))


@pytest.mark.parametrize("classes", [3, None])
def test_a_paused_fit_has_the_figures_of_its_best_epoch_and_goes_on(classes: int | None) -> None:
    """B040: paused twice, beside a fit that does not pause, it becomes what it would have become."""
    spec: dict[str, Any] = {"classes": classes, "optimizer": {"name": "adam", "learning_rate": 0.2}, "training": {"max_epochs": EPOCHS}}
    fit, other = a_fit(number=1, **spec), a_fit(number=2, seed=1, **spec)
    whole = trained_whole([fit, other])
    curves, outcomes = trained_whole([replace(fit, pause_at=2), other])
    for pause_at in (4, None):
        paused = outcomes[1]
        assert (paused.status, paused.stop_reason, paused.weights, paused.evaluation, paused.kept_epoch) == (
            "paused",
            StopReason.PAUSED,
            None,
            None,
            None,
        )
        assert paused.last_epoch == len(curves[1]) - 1
        assert paused.best_epoch is not None
        best = curves[1][paused.best_epoch]
        assert best.val_loss == min(record.val_loss for record in curves[1] if record.val_loss is not None)
        names = ["accuracy"] if classes else ["rmse", "r2"]
        assert paused.figures == {
            "train_loss": best.train_loss,
            "val_loss": best.val_loss,
            **{f"train_{name}": best.train_metrics[name] for name in names},
            **{f"val_{name}": best.val_metrics[name] for name in names},
        }
        assert paused.checkpoint is not None
        stack = Stack([replace(fit, pause_at=pause_at)])
        stack.restore({1: paused.checkpoint})
        gather(stack, curves, outcomes)
    assert_equal((curves, outcomes), whole)


def test_figures_of_a_pause_follow_the_fits_own_monitor() -> None:
    fit = _fit(optimizer={"name": "sgd", "learning_rate": 0.05}, early_stopping={"monitor": "val_accuracy", "patience": 9})
    curves, outcomes = trained_whole([replace(fit, pause_at=5)])
    best = outcomes[1].best_epoch
    assert best == int(np.argmax([record.val_metrics["accuracy"] for record in curves[1]]))
    assert best != int(np.argmin([record.val_loss or 0 for record in curves[1]]))
    assert outcomes[1].figures is not None
    assert outcomes[1].figures["val_loss"] == curves[1][best].val_loss


def test_without_validation_rows_a_pause_has_the_figures_of_the_last_epoch() -> None:
    fit = _fit()
    curves, outcomes = trained_whole([replace(fit, data=replace(fit.data, val=None), pause_at=2)])
    assert outcomes[1].figures == {
        "train_loss": curves[1][2].train_loss,
        "train_accuracy": curves[1][2].train_metrics["accuracy"],
    }
    assert outcomes[1].best_epoch is None


@pytest.mark.parametrize(
    ("fields", "changes", "reason"),
    [
        ({}, {"pause_at": EPOCHS}, StopReason.MAX_EPOCHS),
        ({}, {"pause_at": 2, "stop_at": 2}, StopReason.MAX_EPOCHS),
        ({}, {"pause_at": 3, "stop_at": 2}, StopReason.MAX_EPOCHS),
        (
            {"optimizer": {"name": "sgd", "learning_rate": 0}, "early_stopping": {"patience": 2}},
            {"pause_at": 2},
            StopReason.EARLY_STOPPING,
        ),
        ({"optimizer": {"name": "sgd", "learning_rate": 1e30}}, {"pause_at": 2}, StopReason.DIVERGED),
    ],
    ids=str,
)
def test_a_fit_that_ends_by_its_pause_ends_for_good(fields: dict[str, Any], changes: dict[str, int], reason: StopReason) -> None:
    _, outcomes = trained_whole([replace(_fit(**fields), **changes)])
    assert outcomes[1].stop_reason is reason
    assert outcomes[1].checkpoint is None
    assert outcomes[1].figures is None


def test_a_fit_restored_where_it_pauses_or_ends_does_so_at_once() -> None:
    """What was paused and not told of is told again, with the same checkpoint; its curve gets no second row."""
    fit = replace(_fit(), pause_at=2)
    curves, outcomes = trained_whole([fit])
    checkpoint = outcomes[1].checkpoint
    assert checkpoint is not None
    again: Curves = {}
    stack = Stack([fit])
    stack.restore({1: checkpoint})
    assert not stack.is_between_epochs
    gather(stack, again, outcomes)
    assert (again, outcomes[1].status, outcomes[1].checkpoint) == ({}, "paused", checkpoint)
    ended = replace(fit, pause_at=None, stop_at=2)
    stack = Stack([ended])
    stack.restore({1: checkpoint})
    gather(stack, again, outcomes)
    assert_equal((curves, outcomes), trained_whole([ended]))


def test_a_paused_fit_keeps_its_pause_when_the_rest_is_concluded() -> None:
    stack = Stack([replace(_fit(1), pause_at=0), _fit(2)])
    loop = train(stack)
    next(loop)
    loop.close()  # type: ignore[attr-defined]
    ended = {outcome.fit: outcome.status for outcome in conclude(stack, StopReason.CANCELLED)}
    assert ended == {1: "paused", 2: "cancelled"}

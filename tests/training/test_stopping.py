"""When a fit stops, and which weights it keeps."""

import numpy as np
import pytest

from tests.training.small import a_fit, figures, run
from training.export import load_safetensors, save_safetensors
from training.loop import Stack, conclude, train
from training.records import EpochRecord, FitOutcome, StopReason
from training.stopping.build import Stopper
from training.stopping.spec import EarlyStoppingSpec

SCRIPT = [1, 0.9, 0.91, 0.92, 0.93, 0.5]
SLOW = [1, 0.96, 0.92, 0.88, 0.84, 0.8]


def _follow(spec: EarlyStoppingSpec | None, values: list[float]) -> tuple[int, int | None]:
    """Give the last epoch and the best one."""
    stopper = Stopper(spec)
    for epoch, value in enumerate(values):
        stopper.see(epoch, value)
        if stopper.is_out_of_patience:
            return epoch, stopper.best_epoch
    return len(values) - 1, stopper.best_epoch


@pytest.mark.parametrize(("patience", "last", "best"), [(1, 2, 1), (2, 3, 1), (3, 4, 1), (4, 5, 5)])
def test_a_fit_stops_at_the_end_of_the_pth_epoch_without_improvement(patience: int, last: int, best: int) -> None:
    """B039."""
    assert _follow(EarlyStoppingSpec(patience=patience), SCRIPT) == (last, best)


def test_a_constant_value_never_improves_on_epoch_0() -> None:
    """B039."""
    assert _follow(EarlyStoppingSpec(patience=2), [1, 1, 1, 1]) == (2, 0)


@pytest.mark.parametrize(("patience", "last", "best"), [(2, 2, 0), (3, 5, 3)])
def test_min_delta_is_absolute_and_strict(patience: int, last: int, best: int) -> None:
    """B057: by the rule, with min_delta 0.1, epoch 3 (0.88) is the first to improve on 1."""
    assert _follow(EarlyStoppingSpec(patience=patience, min_delta=0.1), SLOW) == (last, best)


def test_accuracy_improves_upwards() -> None:
    """B057: the direction follows the name."""
    assert _follow(EarlyStoppingSpec(monitor="val_accuracy", patience=2), [0.1, 0.5, 0.4, 0.5, 0.9]) == (3, 1)
    assert _follow(EarlyStoppingSpec(monitor="val_rmse", patience=2), [0.1, 0.5, 0.4]) == (2, 0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_no_improvement(bad: float) -> None:
    """B022."""
    assert _follow(EarlyStoppingSpec(patience=2), [1, bad, bad, 0.5]) == (2, 0)
    assert _follow(None, [bad, bad]) == (1, None)


def test_without_early_stopping_there_is_no_hidden_stop() -> None:
    """B084: a constant loss still runs exactly max_epochs."""
    curves, outcomes = run(a_fit(optimizer={"name": "sgd", "learning_rate": 0}, training={"max_epochs": 20}))
    assert len(curves[1]) == 21
    assert outcomes[1].stop_reason is StopReason.MAX_EPOCHS


def test_a_frozen_fit_stops_after_patience_epochs() -> None:
    """B039: with learning rate 0 the rows are 0 ... patience."""
    for patience in (1, 3):
        curves, outcomes = run(
            a_fit(optimizer={"name": "sgd", "learning_rate": 0}, early_stopping={"patience": patience}, training={"max_epochs": 20})
        )
        assert [record.epoch for record in curves[1]] == list(range(patience + 1))
        assert outcomes[1].best_epoch == 0


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("monitor", ["val_loss", "val_accuracy"])
def test_best_and_stop_epochs_follow_from_the_stored_curve(seed: int, monitor: str) -> None:
    """B069, B082: the monitor is the stored figure itself, looked at once an epoch."""
    fit = a_fit(
        seed=seed,
        train_rows=60,
        network={"name": "mlp", "hidden_units": [16]},
        optimizer={"name": "adam", "learning_rate": 0.05},
        early_stopping={"monitor": monitor, "patience": 2},
        training={"max_epochs": 40},
    )
    curves, outcomes = run(fit)
    values = [record.val_loss if monitor == "val_loss" else record.val_metrics["accuracy"] for record in curves[1]]
    last, best = _follow(EarlyStoppingSpec(monitor=monitor, patience=2), [float(value) for value in values if value is not None])  # type: ignore[arg-type]
    assert (curves[1][-1].epoch, outcomes[1].best_epoch) == (last, best)
    if monitor == "val_loss":
        assert min(values) == values[best or 0]


def _kept_loss(outcome: FitOutcome) -> float:
    assert outcome.evaluation is not None
    return float(outcome.evaluation["val"]["loss"]["value"])


@pytest.mark.parametrize("ending", ["patience", "max_epochs", "cancel", "time_limit"])
@pytest.mark.parametrize(
    "network", [{"name": "mlp", "hidden_units": [16]}, {"name": "mlp", "hidden_units": [16], "normalization": {"name": "batch_norm"}}]
)
def test_the_best_epochs_weights_are_kept_whatever_ended_the_fit(ending: str, network: dict[str, object]) -> None:
    """B040: evaluating the kept weights gives that epoch's stored val_loss to the last bit, running statistics included."""
    stopping = {"patience": 2} if ending == "patience" else None
    fit = a_fit(
        train_rows=40,
        network=network,
        optimizer={"name": "adam", "learning_rate": 0.3},
        early_stopping=stopping,
        training={"max_epochs": 30 if ending == "patience" else 12, "batch_size": 8},
    )
    stack = Stack([fit])
    curve, outcomes = [], []
    for event in train(stack):
        if isinstance(event, EpochRecord):
            curve.append(event)
            if ending in {"cancel", "time_limit"} and event.epoch == 8:
                break
        else:
            outcomes.append(event)
    if not outcomes:
        outcomes = conclude(stack, StopReason.CANCELLED if ending == "cancel" else StopReason.TIME_LIMIT)
    [outcome] = outcomes
    best = min(curve, key=lambda record: record.val_loss or 0)
    assert outcome.kept_epoch == outcome.best_epoch == best.epoch
    assert best.epoch < curve[-1].epoch
    assert _kept_loss(outcome) == best.val_loss
    assert outcome.status == ("cancelled" if ending == "cancel" else "finished")


def test_the_last_weights_are_kept_where_asked_or_without_validation() -> None:
    for fields in ({"training": {"max_epochs": 6, "kept_weights": "last"}}, {"val_rows": 0, "training": {"max_epochs": 6}}):
        curves, outcomes = run(a_fit(optimizer={"name": "adam", "learning_rate": 0.1}, **fields))
        evaluation = outcomes[1].evaluation
        assert evaluation is not None
        assert (outcomes[1].kept_epoch, evaluation["train"]["loss"]["value"]) == (6, curves[1][-1].train_loss)
        assert (evaluation["val"] is None) == ("val_rows" in fields)


def test_test_rows_are_measured_once_and_drive_nothing() -> None:
    with_test, without = (run(a_fit(test_rows=rows, training={"max_epochs": 4})) for rows in (30, 0))
    assert figures(with_test[0][1]) == figures(without[0][1])
    evaluation = with_test[1][1].evaluation
    assert evaluation is not None
    assert evaluation["test"]["rows"] == 30
    assert evaluation["test_gap"]["value"] == evaluation["test"]["loss"]["value"] - evaluation["train"]["loss"]["value"]
    assert with_test[1][1].kept_epoch == without[1][1].kept_epoch


def test_every_final_figure_lies_in_its_interval() -> None:
    for classes in (3, None):
        evaluation = run(a_fit(classes=classes, test_rows=30, training={"max_epochs": 4}))[1][1].evaluation
        assert evaluation is not None
        found = [one for split in ("train", "val", "test") for one in evaluation[split].values() if isinstance(one, dict)]
        found += [evaluation[gap] for gap in ("generalization_gap", "test_gap", "accuracy_gap" if classes else "rmse_gap")]
        assert len(found) == (9 if classes else 12)
        assert all(one["low"] <= one["value"] <= one["high"] for one in found)
        train, val = (
            {name: one["value"] for name, one in evaluation[split].items() if isinstance(one, dict)} for split in ("train", "val")
        )
        for metric in ("accuracy",) if classes else ("rmse", "r2"):  # every gap is positive where validation is worse
            worse = val[metric] - train[metric] if metric == "rmse" else train[metric] - val[metric]
            assert evaluation[f"{metric}_gap"]["value"] == worse


def test_epoch_numbers_mean_the_same_everywhere() -> None:
    """B082: the curve, the outcome and the best epoch count alike, from 0."""
    curves, outcomes = run(a_fit(training={"max_epochs": 5}))
    assert [record.epoch for record in curves[1]] == [0, 1, 2, 3, 4, 5]
    assert outcomes[1].last_epoch == 5
    assert curves[1][outcomes[1].best_epoch or 0].val_loss == min(record.val_loss or 9 for record in curves[1])
    assert curves[1][0].learning_rate is None
    assert curves[1][0].objective is None


def test_kept_weights_survive_safetensors() -> None:
    network = {"name": "cnn", "blocks": [{"channels": 3, "pool": 2}], "normalization": {"name": "batch_norm"}}
    weights = run(a_fit(shape=(1, 8, 8), network=network, training={"max_epochs": 1}))[1][1].weights
    assert weights is not None
    assert set(weights) == {
        "conv1.weight",
        "conv1.bias",
        "norm1.weight",
        "norm1.bias",
        "norm1.running_mean",
        "norm1.running_var",
        "output.weight",
        "output.bias",
    }
    back = load_safetensors(save_safetensors(weights, {"job": "x"}))
    assert back.keys() == weights.keys()
    assert all(np.array_equal(back[name], weights[name]) for name in weights)

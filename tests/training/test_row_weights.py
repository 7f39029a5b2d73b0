"""Weights of training rows: each multiplies its own row's term of the objective, and nothing that is measured."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.training.small import a_fit, figures, rows, run
from training.records import Fit, FitData, FitOutcome, Rows

OBJECTIVES: dict[str, dict[str, Any]] = {
    "plain": {},
    "label_smoothing": {"label_smoothing": 0.1},
    "class_weights": {"class_weights": "balanced"},
    "mixup": {"mixup_alpha": 0.4},
    "cutmix": {"cutmix_alpha": 1.0},
    "balanced_sampling": {"balanced_sampling": True},
    "everything": {"label_smoothing": 0.1, "class_weights": [1, 2, 3], "mixup_alpha": 0.4, "balanced_sampling": True, "input_noise": 0.1},
}
SGD = {"name": "sgd", "learning_rate": 0.1}
LINEAR = {"name": "mlp", "hidden_units": [], "initializer": {"name": "orthogonal", "gain": 1e-300}}
"""From zeros, as good as."""


def _weighed(fit: Fit, weights: np.ndarray | None) -> Fit:
    return replace(fit, data=replace(fit.data, weights=weights))


def _uneven(count: int, seed: int = 0) -> np.ndarray:
    weights = np.random.default_rng(seed).exponential(size=count)
    return weights / weights.mean()


def _kept(outcome: FitOutcome) -> dict[str, np.ndarray]:
    assert outcome.weights is not None
    return outcome.weights


def _same_weights(one: FitOutcome, other: FitOutcome) -> bool:
    return all(np.array_equal(values, _kept(other)[name]) for name, values in _kept(one).items())


def _by_hand(weights: list[float], **fields: Any) -> tuple[np.ndarray, np.ndarray]:
    """Train a linear model from zeros on three rows once; give its weight and bias."""
    part = Rows(x=np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 1.0]]), y=np.array([1.0, -2.0, 0.5]))
    data = FitData(task="regression", num_outputs=1, train=part, val=None, test=None, weights=np.array(weights))
    training = {"max_epochs": 1, "precision": "float64", **fields}
    _, outcomes = run(a_fit(data=data, network=LINEAR, optimizer=SGD, training=training))
    found = {name.rsplit(".", 1)[1]: values for name, values in _kept(outcomes[1]).items()}
    return found["weight"], found["bias"]


def test_the_gradient_is_that_of_the_weighted_mean_over_the_rows() -> None:
    """From zeros: d/dw of 1/3 sum c_i (w x_i + b - y_i)^2 is -2/3 sum c_i y_i x_i."""
    weight, bias = _by_hand([0.5, 1.5, 1.0], batch_size="full")
    slope = -2 / 3 * (0.5 * 1.0 * np.array([1, 0]) + 1.5 * -2.0 * np.array([0, 2]) + 1.0 * 0.5 * np.array([3, 1]))
    assert_allclose(weight, [-0.1 * slope], rtol=1e-12)
    assert_allclose(bias, [0.1 * 2 / 3 * (0.5 * 1.0 + 1.5 * -2.0 + 1.0 * 0.5)], rtol=1e-12)


def test_accumulated_batches_have_the_gradient_of_the_whole() -> None:
    whole = _by_hand([0.5, 1.5, 1.0], batch_size="full")
    parts = _by_hand([0.5, 1.5, 1.0], batch_size=1, accumulate_batches=3)
    assert_allclose(parts[0], whole[0], rtol=1e-12)
    assert_allclose(parts[1], whole[1], rtol=1e-12)


def test_weights_act_on_batches_of_one_row() -> None:
    """B003: one row alone steps its weight times as far as without one."""
    part = Rows(x=np.array([[2.0]]), y=np.array([3.0]))
    twice = Rows(x=np.array([[2.0], [0.0]]), y=np.array([3.0, 0.0]))

    def step(data: FitData) -> float:
        training = {"max_epochs": 1, "precision": "float64", "batch_size": 1}
        _, outcomes = run(a_fit(data=data, network=LINEAR, optimizer={"name": "sgd", "learning_rate": 1e-6}, training=training))
        return float(next(values for name, values in _kept(outcomes[1]).items() if name.endswith("weight"))[0, 0])

    plain = step(FitData(task="regression", num_outputs=1, train=part, val=None, test=None))
    weighed = step(FitData(task="regression", num_outputs=1, train=twice, val=None, test=None, weights=np.array([1.75, 0.25])))
    assert weighed == pytest.approx(1.75 * plain, rel=1e-4)


@pytest.mark.parametrize("batch_size", [1, 7, 32, "full"])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_equal_weights_are_no_weights_to_the_last_bit(name: str, batch_size: int | str) -> None:
    fit = a_fit(
        shape=(1, 6, 6),
        train_rows=40,
        network={"name": "mlp", "hidden_units": [8]},
        regularization=OBJECTIVES[name],
        training={"max_epochs": 2, "batch_size": batch_size},
    )
    (plain, outcome), (ones, weighed) = run(fit), run(_weighed(fit, np.ones(40)))
    assert figures(plain[1]) == figures(ones[1])
    assert _same_weights(outcome[1], weighed[1])
    uneven, _ = run(_weighed(fit, _uneven(40)))
    assert [r.objective for r in uneven[1]] != [r.objective for r in plain[1]]


@pytest.mark.parametrize("mixup_alpha", [0.0, 0.4])
def test_equal_weights_of_numbers_are_no_weights_to_the_last_bit(mixup_alpha: float) -> None:
    fit = a_fit(classes=None, regularization={"mixup_alpha": mixup_alpha}, training={"max_epochs": 3})
    assert figures(run(fit)[0][1]) == figures(run(_weighed(fit, np.ones(96)))[0][1])
    assert figures(run(fit)[0][1]) != figures(run(_weighed(fit, _uneven(96)))[0][1])


@pytest.mark.parametrize("classes", [3, None])
def test_a_row_of_weight_0_has_no_influence(classes: int | None) -> None:
    """Whatever it holds, the network is the same; it is still among the rows that are measured."""
    fit = a_fit(classes=classes, train_rows=40, training={"max_epochs": 3, "batch_size": 8, "kept_weights": "last"})
    weights = _uneven(40)
    weights[[3, 17]] = 0
    weights /= weights.mean()
    x, y = fit.data.train.x.copy(), fit.data.train.y.copy()
    x[[3, 17]] = [[5.0], [-7.0]]
    y[[3, 17]] = y[[17, 3]] if classes is None else (y[[3, 17]] + 1) % 3
    changed = replace(fit, data=replace(fit.data, train=Rows(x=x, y=y)))
    ours, outcome = run(_weighed(fit, weights))
    theirs, other = run(_weighed(changed, weights))
    assert _same_weights(outcome[1], other[1])
    assert [(r.objective, r.val_loss) for r in ours[1]] == [(r.objective, r.val_loss) for r in theirs[1]]
    assert [r.train_loss for r in ours[1]] != [r.train_loss for r in theirs[1]]


def test_what_is_measured_has_no_weights() -> None:
    """With a learning rate of 0 every measured figure is that of the fit without weights; the objective is not."""
    fit = a_fit(optimizer={"name": "sgd", "learning_rate": 0}, training={"max_epochs": 2})
    (plain, outcome), (weighed, other) = run(fit), run(_weighed(fit, _uneven(96)))
    assert [(r.train_loss, r.val_loss, r.train_metrics) for r in plain[1]] == [
        (r.train_loss, r.val_loss, r.train_metrics) for r in weighed[1]
    ]
    assert outcome[1].evaluation == other[1].evaluation
    assert weighed[1][1].objective != plain[1][1].objective


def test_in_a_mix_the_partners_term_has_the_partners_weight() -> None:
    part = Rows(x=np.array([[1.0], [1.0]]), y=np.array([0, 1]))  # equal inputs: only the terms' weights differ
    weights = np.array([1.5, 0.5])
    data = FitData(task="classification", num_outputs=2, train=part, val=None, test=None, weights=weights)
    for seed in range(8):
        curves, outcomes = run(
            a_fit(
                data=data,
                seed=seed,
                network=LINEAR,
                optimizer=SGD,
                regularization={"mixup_alpha": 1.0},
                training={"max_epochs": 1, "precision": "float64", "batch_size": "full"},
            )
        )
        # At logits 0 every term is ln 2: whatever is mixed with what, own and partners' weights sum to 2 over both rows.
        assert curves[1][1].objective == pytest.approx(np.log(2), rel=1e-12)
        bias = next(values for name, values in _kept(outcomes[1]).items() if name.endswith("bias"))
        # Each row's label keeps the row's weight, on its own and as a partner: the step is that of the weighted labels.
        assert_allclose(bias, 0.1 * (np.array([1.5, 0.5]) / 2 - 0.5), atol=1e-12)


def test_weighed_fits_and_plain_ones_share_a_stack() -> None:
    part = rows(70, (6,))
    data = FitData(task="classification", num_outputs=3, train=part, val=rows(40, (6,), seed=2), test=None)
    fits = [
        _weighed(a_fit(number=k, seed=k, data=data, network={"name": "mlp", "hidden_units": [16]}, training={"max_epochs": 3}), weights)
        for k, weights in ((1, _uneven(70, 1)), (2, None), (3, _uneven(70, 2)))
    ]
    curves, outcomes = run(*fits)
    for fit in fits:
        alone, outcome = run(fit)
        assert figures(curves[fit.number]) == figures(alone[fit.number])
        assert _same_weights(outcomes[fit.number], outcome[fit.number])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0] * 95, "as many finite numbers"),
        ([float("nan")] * 96, "as many finite numbers"),
        ([-1.0, 3.0] * 48, "as many finite numbers"),
        ([2.0] * 96, "mean 1"),
    ],
)
def test_weights_that_are_none_are_refused(weights: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(_weighed(a_fit(), np.array(weights)))

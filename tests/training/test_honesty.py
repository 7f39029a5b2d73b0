"""What the curve says is so: evaluation mode, clean rows, sums divided once, penalties kept out."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.small import a_fit, figures, rows, run
from training.figures import RowFigures
from training.members import batches
from training.records import Fit, FitData, Rows, StopReason
from training.regularizers.build import clip_by_norm
from training.seeding import keep_mask, row_order, stratified_sample
from training.weights import Weights

FROZEN = {"name": "sgd", "learning_rate": 0}


def _numbers(x: list[list[float]], y: list[float], **spec: Any) -> Fit:
    part = Rows(x=np.array(x, dtype=np.float32), y=np.array(y))
    data = FitData(task="regression", num_outputs=1, train=part, val=part, test=None)
    return a_fit(data=data, network={"name": "mlp", "hidden_units": []}, **spec)


@pytest.mark.parametrize("normalization", [None, {"name": "batch_norm"}, {"name": "layer_norm"}])
def test_equal_rows_in_both_splits_give_a_gap_of_zero_at_every_epoch(normalization: dict[str, str] | None) -> None:
    """B001: with dropout 0.5 and any normalization, for training and validation are measured alike."""
    part = rows(75, (6,))
    data = FitData(task="classification", num_outputs=3, train=part, val=part, test=None)
    network = {"name": "mlp", "hidden_units": [16], "dropout": 0.5, "normalization": normalization}
    curves, outcomes = run(a_fit(data=data, network=network, training={"max_epochs": 6}))
    assert [record.val_loss for record in curves[1]] == [record.train_loss for record in curves[1]]
    assert outcomes[1].evaluation is not None
    assert outcomes[1].evaluation["generalization_gap"]["value"] == 0


def test_without_learning_the_loss_does_not_depend_on_batch_size_l2_or_dropout() -> None:
    """B002, B015, B084: learning rate 0 gives one constant curve of exactly max_epochs rows, whatever else is set."""
    found = set()
    for batch_size in (1, 2, 5, 32, "full"):
        for l2 in (0.0, 1.0):
            fit = a_fit(
                optimizer=FROZEN,
                network={"name": "mlp", "hidden_units": [8], "dropout": 0.3},
                regularization={"l2": l2},
                training={"max_epochs": 20, "batch_size": batch_size},
            )
            [curve] = run(fit)[0].values()
            assert len(curve) == 21
            found |= {(record.train_loss, record.val_loss) for record in curve}
    assert len(found) == 1


def test_sums_over_rows_are_divided_once() -> None:
    """B015: batch means 1, 2, 6 over 2, 2, 1 rows give 2.4; right answers 2, 2, 0 give 0.8."""
    measured = RowFigures(loss=np.array([1, 1, 2, 2, 6.0]), hit=np.array([1, 1, 1, 1, 0.0]), target=None)
    assert measured.mean_loss == pytest.approx(2.4)
    assert measured.metrics == {"accuracy": pytest.approx(0.8)}


def test_the_last_short_batch_counts_by_its_rows_in_the_objective() -> None:
    """B015, B075: the objective of an epoch weighs each batch by its rows; a short batch's gradient is the mean over the rows it has."""
    fit = _numbers([[0.0]] * 5, [1.0, 1.0, 2.0, 2.0, 6.0], optimizer=FROZEN, training={"max_epochs": 1, "batch_size": 2})
    curves, _ = run(fit)
    assert curves[1][1].objective == pytest.approx((1 + 1 + 4 + 4 + 36) / 5)
    assert curves[1][1].steps == 3


def test_a_penalty_is_in_the_objective_and_nowhere_else() -> None:
    """B002, B017: l2 0.01 on w = [3, 4] is 0.01 / 2 * 25 = 0.125, l1 0.01 is 0.07."""
    from models.base import Segments
    from models.build import build
    from models.spec import MlpSpec
    from training.regularizers.build import Penalties
    from training.regularizers.spec import RegularizationSpec

    network = build(MlpSpec(name="mlp", hidden_units=()), (2,), 1)
    layout = Segments.of(network.parameters)
    weights = torch.zeros(1, layout.width, dtype=torch.float64)
    layout.view(weights, "output.weight").copy_(torch.tensor([[[3.0, 4.0]]]))
    layout.view(weights, "output.bias").fill_(7.0)
    is_weight = Weights(network, [MlpSpec(name="mlp")], weights, torch.zeros(1, 64)).is_weight
    for spec, value, gradient in (
        (RegularizationSpec(l2=0.01), 0.125, [0.03, 0.04]),
        (RegularizationSpec(l1=0.01), 0.07, [0.01, 0.01]),
    ):
        found = torch.zeros_like(weights)
        assert Penalties([spec], is_weight).add(0, weights[0], found[0]) == pytest.approx(value)
        assert layout.view(found, "output.weight").flatten().tolist() == pytest.approx(gradient)
        assert layout.view(found, "output.bias").item() == 0


def test_one_step_of_l2_shrinks_by_lambda_w() -> None:
    """B017: rate 0.1 and no data gradient: [3, 4] becomes [2.997, 3.996]."""
    weights, gradient = torch.tensor([3.0, 4.0], dtype=torch.float64), torch.tensor([0.03, 0.04], dtype=torch.float64)
    assert (weights - 0.1 * gradient).tolist() == pytest.approx([2.997, 3.996])
    fit = a_fit(
        optimizer={"name": "sgd", "learning_rate": 0.1}, regularization={"l2": 0.5}, training={"max_epochs": 1, "batch_size": "full"}
    )
    plain = a_fit(optimizer={"name": "sgd", "learning_rate": 0.1}, training={"max_epochs": 1, "batch_size": "full"})
    assert figures(run(fit)[0][1])[0] == figures(run(plain)[0][1])[0]
    assert figures(run(fit)[0][1])[1] != figures(run(plain)[0][1])[1]


def test_biases_are_not_penalised() -> None:
    """B016: with x = 0 only the bias can learn y = 5, and l2 1 does not hold it back."""
    fit = _numbers(
        [[0.0]] * 4,
        [5.0] * 4,
        optimizer={"name": "sgd", "learning_rate": 0.2},
        regularization={"l2": 1.0},
        training={"max_epochs": 200, "batch_size": "full"},
    )
    assert run(fit)[0][1][-1].train_loss == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize(
    ("batch_size", "updates"), [("full", [(0, 10)]), (4, [(0, 4), (4, 8), (8, 10)]), (1, [(i, i + 1) for i in range(10)]), (64, [(0, 10)])]
)
def test_the_batch_size_decides_the_kind_of_descent(batch_size: int | str, updates: list[tuple[int, int]]) -> None:
    """B038, B075."""
    assert batches(10, batch_size, merges_single=False) == updates


def test_a_trailing_row_joins_the_batch_before_it_under_batch_norm() -> None:
    """B014: five rows in batches of four are one batch of five; no row is lost."""
    assert batches(5, 4, merges_single=True) == [(0, 5)]
    assert batches(9, 4, merges_single=True) == [(0, 4), (4, 9)]
    assert batches(6, 4, merges_single=True) == [(0, 4), (4, 6)]
    network = {"name": "mlp", "hidden_units": [8], "normalization": {"name": "batch_norm"}}
    curves, outcomes = run(a_fit(train_rows=5, network=network, training={"max_epochs": 3, "batch_size": 4}))
    assert [record.steps for record in curves[1]] == [0, 1, 1, 1]
    assert outcomes[1].evaluation is not None
    assert outcomes[1].evaluation["train"]["rows"] == 5


def test_a_batch_larger_than_the_rows_is_full_batch_descent() -> None:
    """B038: six rows in batches of 64 learn, exactly as in batches of six."""
    large, equal = (run(a_fit(train_rows=6, training={"max_epochs": 3, "batch_size": size}))[0][1] for size in (64, 6))
    assert figures(large) == figures(equal)
    assert large[1].train_loss != large[2].train_loss != 0


def test_full_batch_descent_does_not_depend_on_the_order_of_rows() -> None:
    """B075."""
    assert row_order(0, 1, 10).tolist() != row_order(1, 1, 10).tolist()
    fit = a_fit(training={"max_epochs": 3, "batch_size": "full"})
    assert [record.steps for record in run(fit)[0][1]] == [0, 1, 1, 1]


def test_row_order_does_not_depend_on_the_batch_size_but_on_seed_and_epoch() -> None:
    orders = [row_order(seed, epoch, 50).tolist() for seed, epoch in ((0, 1), (0, 1), (0, 2), (1, 1))]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert orders[0] != orders[3]
    assert sorted(orders[0]) == list(range(50))


def test_momentum_has_its_effect_from_the_second_step_on() -> None:
    """B086: with full batches the first epoch is equal for momentum 0 and 0.9, the second is not."""
    curves = [
        run(a_fit(optimizer={"name": "momentum", "learning_rate": 0.1, "momentum": m}, training={"max_epochs": 2, "batch_size": "full"}))[
            0
        ][1]
        for m in (0.0, 0.9)
    ]
    assert curves[0][1].train_loss == curves[1][1].train_loss
    assert curves[0][2].train_loss != curves[1][2].train_loss


def test_momentum_zero_is_gradient_descent() -> None:
    """B086: no hidden factor (1 - momentum)."""
    momentum = a_fit(optimizer={"name": "momentum", "learning_rate": 0.1, "momentum": 0.0}, training={"max_epochs": 3})
    sgd = a_fit(optimizer={"name": "sgd", "learning_rate": 0.1}, training={"max_epochs": 3})
    assert figures(run(momentum)[0][1]) == figures(run(sgd)[0][1])


def test_clipping_is_by_the_global_norm_and_leaves_short_gradients_alone() -> None:
    """B077: [3, 4] with norm 5 clipped to 1 is [0.6, 0.8]."""
    gradient = torch.tensor([3.0, 4.0], dtype=torch.float64)
    clip_by_norm(gradient, 1.0)
    assert gradient.tolist() == pytest.approx([0.6, 0.8])
    clip_by_norm(gradient, 2.0)
    assert gradient.tolist() == pytest.approx([0.6, 0.8])


def test_clipping_to_almost_nothing_stops_plain_descent() -> None:
    """B077: after backward and before the step: SGD stands still, Adam (whose steps are normalised) does not."""
    spans = []
    for optimizer in ({"name": "sgd"}, {"name": "adam", "epsilon": 1e-20}):
        [curve] = run(a_fit(optimizer=optimizer, training={"max_epochs": 3, "gradient_clip_norm": 1e-9}))[0].values()
        spans.append(max(r.train_loss for r in curve) - min(r.train_loss for r in curve))
    assert spans[0] < 1e-6
    assert spans[1] > 1e-3


def test_dropout_drops_with_probability_p_and_rescales_the_rest() -> None:
    """B079: p = 0.25: a quarter is 0, the rest 1 / 0.75."""
    mask = keep_mask(torch.Generator().manual_seed(1), (200, 500), 0.25, torch.float64)
    assert sorted(set(mask.flatten().tolist())) == pytest.approx([0, 1.33333], abs=1e-5)
    assert (mask == 0).double().mean().item() == pytest.approx(0.25, abs=0.01)
    assert mask.mean().item() == pytest.approx(1.0, abs=0.02)


def test_batch_norm_keeps_running_statistics_as_documented() -> None:
    """B080: one batch [0, 10] with momentum 0.1: mean 0.5, variance 0.9 + 0.1 * 50 = 5.9; the batch itself is divided by sqrt(25)."""
    from models.normalizations.build import normalize
    from models.normalizations.spec import BatchNormSpec

    own = {"norm1.weight": torch.ones(1), "norm1.bias": torch.zeros(1)}
    buffers = {"norm1.running_mean": torch.zeros(1), "norm1.running_var": torch.ones(1)}
    out = normalize(BatchNormSpec(name="batch_norm"), "norm1", torch.tensor([[0.0], [10.0]]), own, buffers, is_training=True)
    assert out.flatten().tolist() == pytest.approx([-1, 1], abs=1e-5)
    assert buffers["norm1.running_mean"].item() == pytest.approx(0.5)
    assert buffers["norm1.running_var"].item() == pytest.approx(5.9)


def test_a_fit_that_diverges_keeps_its_finite_rows_and_says_so() -> None:
    """B022: learning rate 1e20 on an unbounded target: no row that is not finite, no NaN ever the best."""
    curves, outcomes = run(a_fit(classes=None, optimizer={"name": "sgd", "learning_rate": 1e20}, training={"max_epochs": 50}))
    outcome = outcomes[1]
    assert (outcome.status, outcome.stop_reason) == ("diverged", StopReason.DIVERGED)
    assert outcome.evaluation is None
    assert outcome.message is not None
    assert "no longer finite" in outcome.message
    assert len(curves[1]) < 4
    assert all(math.isfinite(record.train_loss) for record in curves[1])
    assert outcome.best_epoch in {record.epoch for record in curves[1]}
    assert outcome.weights is not None
    assert all(np.isfinite(values).all() for values in outcome.weights.values())


def test_regression_losses_are_in_original_units() -> None:
    part = rows(60, (4,), classes=None)
    plain, scaled = (
        run(
            a_fit(
                data=FitData(task="regression", num_outputs=1, train=part, val=part, test=None, target_scale=scale),
                training={"max_epochs": 2},
            )
        )[0][1]
        for scale in (1.0, 10.0)
    )
    assert [r.train_loss for r in scaled] == pytest.approx([100 * r.train_loss for r in plain])
    assert [r.train_metrics["rmse"] for r in scaled] == pytest.approx([10 * r.train_metrics["rmse"] for r in plain])
    assert [r.train_metrics["r2"] for r in scaled] == pytest.approx([r.train_metrics["r2"] for r in plain])
    assert [r.objective for r in scaled] == [r.objective for r in plain]


def test_more_training_rows_than_measured_use_a_fixed_stratified_sample() -> None:
    y = np.repeat([0, 1, 2], [700, 200, 100])
    chosen = stratified_sample(0, y, 100)
    assert np.bincount(y[chosen]).tolist() == [70, 20, 10]
    assert np.array_equal(chosen, stratified_sample(0, y, 100))
    assert len(set(chosen.tolist())) == 100
    _, outcomes = run(a_fit(train_rows=200, evaluation={"resamples": 100, "max_train_rows": 50}, training={"max_epochs": 1}))
    assert outcomes[1].evaluation is not None
    assert (outcomes[1].evaluation["train_rows_per_epoch"], outcomes[1].evaluation["train"]["rows"]) == (50, 200)


def test_precision_changes_rounding_and_not_the_draws() -> None:
    single, double = (run(a_fit(training={"max_epochs": 1, "precision": precision}))[0][1] for precision in ("float32", "float64"))
    assert single[0].train_loss == pytest.approx(double[0].train_loss, rel=1e-5)
    assert single[0].train_loss != double[0].train_loss


KNOBS: dict[str, dict[str, Any]] = {
    "hidden_units": {"network": {"name": "mlp", "hidden_units": [9]}},
    "activation": {"network": {"name": "mlp", "hidden_units": [8], "activation": "tanh"}},
    "gelu": {"network": {"name": "mlp", "hidden_units": [8], "activation": "gelu"}},
    "batch_norm": {"network": {"name": "mlp", "hidden_units": [8], "normalization": {"name": "batch_norm"}}},
    "batch_norm momentum": {"network": {"name": "mlp", "hidden_units": [8], "normalization": {"name": "batch_norm", "momentum": 0.5}}},
    "batch_norm epsilon": {"network": {"name": "mlp", "hidden_units": [8], "normalization": {"name": "batch_norm", "epsilon": 0.1}}},
    "layer_norm": {"network": {"name": "mlp", "hidden_units": [8], "normalization": {"name": "layer_norm"}}},
    "layer_norm epsilon": {"network": {"name": "mlp", "hidden_units": [8], "normalization": {"name": "layer_norm", "epsilon": 0.1}}},
    "dropout": {"network": {"name": "mlp", "hidden_units": [8], "dropout": 0.2}},
    "initializer": {"network": {"name": "mlp", "hidden_units": [8], "initializer": {"name": "he_normal"}}},
    "learning_rate": {"optimizer": {"name": "adam", "learning_rate": 0.01}},
    "beta1": {"optimizer": {"name": "adam", "beta1": 0.5}},
    "beta2": {"optimizer": {"name": "adam", "beta2": 0.9}},
    "epsilon": {"optimizer": {"name": "adam", "epsilon": 0.1}},
    "sgd": {"optimizer": {"name": "sgd"}},
    "momentum": {"optimizer": {"name": "momentum"}},
    "momentum's momentum": {"optimizer": {"name": "momentum", "momentum": 0.5}},
    "batch_size": {"training": {"max_epochs": 3, "batch_size": 16}},
    "gradient_clip_norm": {"training": {"max_epochs": 3, "gradient_clip_norm": 0.01}},
    "l1": {"regularization": {"l1": 0.1}},
    "l2": {"regularization": {"l2": 0.1}},
    "max_train_rows": {"evaluation": {"resamples": 100, "max_train_rows": 20}},
}


def test_every_knob_changes_the_curve() -> None:
    """B044: nothing that is accepted is silently unused, and no two settings are the same thing."""
    base: dict[str, Any] = {"network": {"name": "mlp", "hidden_units": [8]}, "training": {"max_epochs": 3}}
    found = {"base": figures(run(a_fit(**base))[0][1]), "seed": figures(run(a_fit(**base, seed=1))[0][1])}
    for name, change in KNOBS.items():
        found[name] = figures(run(a_fit(**{**base, **change}))[0][1])
    assert len({tuple(curve) for curve in found.values()}) == len(found)


def test_changing_validation_rows_leaves_the_training_curve_bit_identical() -> None:
    """B006: the second cheap check, on arrays: nothing of the validation rows reaches the training."""
    network = {"name": "mlp", "hidden_units": [16], "dropout": 0.2, "normalization": {"name": "batch_norm"}}
    found = []
    for seed in (5, 6):
        data = FitData(task="classification", num_outputs=3, train=rows(75, (6,)), val=rows(40, (6,), seed=seed), test=None)
        found.append(run(a_fit(data=data, network=network, training={"max_epochs": 6}))[0][1])
    for name in ("train_loss", "objective", "train_metrics"):
        assert [getattr(record, name) for record in found[0]] == [getattr(record, name) for record in found[1]]
    assert [record.val_loss for record in found[0]] != [record.val_loss for record in found[1]]

"""Regularizers by hand, and honest curves under all of them."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from data.builtin import load
from tests.training.small import a_fit, figures, rows, run
from training.augmentations.build import augment
from training.augmentations.spec import (
    CropSpec,
    EraseSpec,
    FlipSpec,
    HsvSpec,
    JitterSpec,
    RotateSpec,
    ScaleSpec,
    SignalShiftSpec,
    TranslateSpec,
)
from training.inputs import Batch
from training.loop import Stack
from training.losses.build import smoothed_row_losses
from training.losses.spec import CrossEntropySpec
from training.members import slots
from training.mixing import Mix, mixed
from training.objective import objective
from training.records import FitData, Rows
from training.regularizers.spec import RegularizationSpec
from training.weighting import BalancedRows, class_weights

ENTROPY = CrossEntropySpec(name="cross_entropy")
FROZEN = {"name": "sgd", "learning_rate": 0}
EVERYTHING: dict[str, Any] = {
    "l1": 0.1, "l2": 0.1, "label_smoothing": 0.2, "mixup_alpha": 0.5, "input_noise": 0.5, "weight_noise": 0.3,
    "class_weights": [1, 5, 2], "balanced_sampling": True, "ema_decay": 0.9, "augmentations": [{"name": "flip"}, {"name": "rotate"}, {"name": "erase"}],
}  # fmt: skip


@pytest.mark.parametrize(("logits", "smoothing", "expected"), [((2.0, 0.0), 0.0, 0.126928), ((2.0, 0.0), 0.1, 0.226928)])
def test_label_smoothing_by_hand(logits: tuple[float, float], smoothing: float, expected: float) -> None:
    """B004: the target of two classes at 0.1 is [0.95, 0.05]."""
    found = smoothed_row_losses(ENTROPY, torch.tensor([logits], dtype=torch.float64), torch.tensor([0]), smoothing)
    assert found.item() == pytest.approx(expected, abs=1e-6)


def test_three_classes_share_the_smoothing() -> None:
    """B004: [0.93333, 0.03333, 0.03333]."""
    logits = torch.tensor([[1.0, 0.0, -1.0]], dtype=torch.float64)
    target = torch.tensor([[1 - 0.1 + 0.1 / 3, 0.1 / 3, 0.1 / 3]], dtype=torch.float64)
    expected = -(target * torch.log_softmax(logits, 1)).sum()
    assert smoothed_row_losses(ENTROPY, logits, torch.tensor([0]), 0.1).item() == pytest.approx(expected.item(), abs=1e-12)


def _losses(outputs: list[list[float]], y: list[int], mix: Mix | None, **regularization: Any) -> list[float]:
    classes = len(outputs[0])
    member = Stack([a_fit(classes=classes, regularization=regularization)]).members[0]
    if member.class_weights is not None:
        member.class_weights = torch.tensor([1.0, 3.0][:classes], dtype=torch.float64)
    batch = Batch(torch.zeros(1, len(y), 1), torch.tensor([y]), [mix], None)
    found: list[float] = objective([member], torch.tensor([outputs], dtype=torch.float64), batch, 1.0)[0][0].tolist()
    return found


def test_a_class_weight_multiplies_the_smoothed_loss_of_its_rows() -> None:
    """B003, B004: logits 0, 0 and y = 0 with weights 1, 3 and smoothing 0.1: 1 * ln 2."""
    found = _losses([[0.0, 0.0], [0.0, 0.0]], [0, 1], None, label_smoothing=0.1, class_weights=[1, 3])
    assert found == pytest.approx([math.log(2), 3 * math.log(2)])


def test_mixed_losses_by_hand() -> None:
    """B005: 0.7 of class 0 and 0.3 of class 1 at logits (2, 0): 0.72693."""
    found = _losses([[2.0, 0.0], [2.0, 0.0]], [0, 1], Mix(torch.tensor([1, 0]), 0.7), mixup_alpha=1.0)
    assert found[0] == pytest.approx(0.726928, abs=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("field", ["mixup_alpha", "cutmix_alpha"])
def test_batches_of_any_length_are_mixed_within_themselves(count: int, field: str) -> None:
    """B032: the partner is a permutation of the actual batch; a single row stays as it is."""
    x = torch.rand(count, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    spec = RegularizationSpec.model_validate({field: 1.0})
    out, mix = mixed(spec, x, np.random.default_rng(3), torch.Generator().manual_seed(3))
    if count == 1:
        assert mix is None
        assert out is x
        return
    assert mix is not None
    assert sorted(mix.partner.tolist()) == list(range(count))
    share = mix.share
    if field == "mixup_alpha":
        torch.testing.assert_close(out, share * x + (1 - share) * x[mix.partner])
    else:  # the share is recomputed from the area that was pasted
        own = ((out == x) | (x == x[mix.partner])).double().mean(dim=(1, 2, 3))
        moved = mix.partner != torch.arange(count)
        assert own[moved].tolist() == pytest.approx([share] * int(moved.sum()), abs=1e-9)


@pytest.mark.parametrize("regularization", [{"mixup_alpha": 0.4}, {"cutmix_alpha": 1.0}])
@pytest.mark.parametrize("train_rows", [5, 7])
def test_short_last_batches_train_mixed(regularization: dict[str, float], train_rows: int) -> None:
    """B032: 7 rows in batches of 4, and 5 rows whose last batch is one row."""
    fit = a_fit(shape=(1, 6, 6), train_rows=train_rows, regularization=regularization, training={"max_epochs": 2, "batch_size": 4})
    assert run(fit)[1][1].status == "finished"


def test_mixup_still_reaches_every_training_row() -> None:
    """B005: the accuracy of a curve is measured on clean rows."""
    fit = a_fit(regularization={"mixup_alpha": 0.2}, training={"max_epochs": 150})
    assert max(record.train_metrics["accuracy"] for record in run(fit)[0][1]) == 1.0


def test_class_weights_have_mean_one_over_the_training_rows() -> None:
    """B003: they act at every batch size, for nothing is divided by the weights of a batch."""
    labels = np.array([0] * 8 + [1] * 2)
    assert class_weights("balanced", labels, 2).tolist() == pytest.approx([10 / 16, 10 / 4])
    assert class_weights((1.0, 100.0), labels, 2)[labels].mean() == pytest.approx(1)
    curves = [
        figures(run(a_fit(classes=2, regularization=spec, training={"max_epochs": 2, "batch_size": 1}))[0][1])
        for spec in ({}, {"class_weights": [1, 100]})
    ]
    assert curves[0][1:] != curves[1][1:]


def test_the_curve_does_not_know_class_weights_or_batches_when_nothing_moves() -> None:
    """B003: learning rate 0, weights, batch size 1 against full: one loss."""
    found = set()
    for batch_size in (1, "full"):
        fit = a_fit(optimizer=FROZEN, regularization={"class_weights": [1, 2, 30]}, training={"max_epochs": 1, "batch_size": batch_size})
        found |= {(record.train_loss, record.val_loss) for record in run(fit)[0][1]}
    assert len(found) == 1


def test_balanced_epochs_hold_classes_equally_often_in_the_mean() -> None:
    labels = np.array([0] * 900 + [1] * 90 + [2] * 10)
    order = BalancedRows(labels).order(0, 1)
    counts = np.bincount(labels[order.numpy()])
    assert len(order) == 1000
    assert all(abs(count - 1000 / 3) < 60 for count in counts)
    assert not torch.equal(order, BalancedRows(labels).order(0, 2))


@pytest.mark.parametrize(
    "network",
    [{"name": "mlp", "hidden_units": [8], "dropout": 0.5}, {"name": "cnn", "dropout": 0.3, "normalization": {"name": "layer_norm"}}],
)
def test_without_learning_everything_stochastic_leaves_curves_constant_and_weights_bit_equal(network: dict[str, Any]) -> None:
    """B042, B072: evaluation is clean, and noise on weights is taken off to the last bit."""
    fit = a_fit(
        shape=(3, 8, 8), network=network, optimizer=FROZEN, regularization=EVERYTHING, training={"max_epochs": 4, "kept_weights": "last"}
    )
    start = Stack([fit]).weights.arrays(0)
    curves, outcomes = run(fit)
    assert len({(record.train_loss, record.val_loss) for record in curves[1]}) == 1
    assert len({record.objective for record in curves[1][1:]}) == 4
    kept = outcomes[1].weights
    assert kept is not None
    assert all(np.array_equal(values, kept[name]) for name, values in start.items())


@pytest.mark.parametrize("field", ["input_noise", "weight_noise"])
def test_noise_of_0_is_no_noise_and_every_batch_has_its_own(field: str) -> None:
    """B072."""
    plain, zero, some = (
        figures(run(a_fit(regularization=spec, training={"max_epochs": 2}))[0][1]) for spec in ({}, {field: 0}, {field: 0.1})
    )
    assert plain == zero
    assert plain != some


def test_max_norm_bounds_every_unit() -> None:
    fit = a_fit(
        regularization={"max_norm": 0.5},
        optimizer={"name": "sgd", "learning_rate": 0.5},
        training={"max_epochs": 5, "kept_weights": "last"},
    )
    kept = run(fit)[1][1].weights
    assert kept is not None
    norms = np.concatenate([np.linalg.norm(values, axis=1) for name, values in kept.items() if values.ndim == 2])
    assert norms.max() <= 0.5 * (1 + 1e-6)
    assert norms.max() > 0.49


def test_an_average_of_weights_is_what_is_measured_and_kept() -> None:
    """One full-batch update: d = min(0.5, 2 / 11), so the average is 9 / 11 of the way to the new weights."""
    full = {"max_epochs": 1, "batch_size": "full", "precision": "float64", "kept_weights": "last"}
    plain = a_fit(training=full)
    start = Stack([plain]).weights.arrays(0)
    moved, averaged = (run(fit)[1][1].weights for fit in (plain, a_fit(training=full, regularization={"ema_decay": 0.5})))
    assert moved is not None
    assert averaged is not None
    for name, values in start.items():
        np.testing.assert_allclose(averaged[name], values + (moved[name] - values) * 9 / 11, rtol=1e-12, atol=1e-15)


def test_accumulated_batches_are_one_larger_batch() -> None:
    accumulated = a_fit(train_rows=96, training={"max_epochs": 3, "batch_size": 16, "accumulate_batches": 2, "precision": "float64"})
    larger = a_fit(train_rows=96, training={"max_epochs": 3, "batch_size": 32, "precision": "float64"})
    ours, theirs = run(accumulated)[0][1], run(larger)[0][1]
    assert [record.steps for record in ours] == [record.steps for record in theirs]
    assert [record.val_loss for record in ours] == pytest.approx([record.val_loss for record in theirs], rel=1e-10)


def test_the_last_update_of_an_epoch_may_have_fewer_batches() -> None:
    found = slots([(0, 4), (4, 8), (8, 10)], 2)
    assert [(slot.update_rows, slot.opens, slot.closes) for slot in found] == [(8, True, False), (8, False, True), (2, True, True)]


IMAGES = torch.rand(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_a_flip_is_its_own_inverse_and_acts_with_probability_p() -> None:
    """B083: each row by itself, with probability p."""
    flipped = augment([FlipSpec(name="flip", p=0.5)], IMAGES, torch.Generator().manual_seed(1))
    changed = (flipped != IMAGES).flatten(1).any(1)
    assert 16 < int(changed.sum()) < 48
    assert torch.equal(flipped[changed], IMAGES[changed].flip(-1))


def test_a_crop_moves_by_whole_positions() -> None:
    out = augment([CropSpec(name="crop", padding=1)], IMAGES[:, :, :, :], torch.Generator().manual_seed(1))
    padded = torch.nn.functional.pad(IMAGES, [1, 1, 1, 1])
    for row, image in zip(out, padded, strict=True):
        assert any(torch.equal(row, image[:, i : i + 8, j : j + 8]) for i in range(3) for j in range(3))


def test_warps_of_nothing_change_nothing_and_a_quarter_turn_is_exact() -> None:
    from training.augmentations.build import _rotated

    torch.testing.assert_close(_rotated(IMAGES, torch.zeros(64)), IMAGES, rtol=0, atol=1e-5)
    turned = _rotated(IMAGES, torch.full((64,), math.pi / 2))
    torch.testing.assert_close(turned, IMAGES.rot90(1, (2, 3)), rtol=0, atol=1e-5)
    tiny = [
        RotateSpec(name="rotate", degrees=1e-6),
        ScaleSpec(name="scale", low=1 - 1e-7, high=1 + 1e-7),
        TranslateSpec(name="translate", fraction=1e-8),
    ]
    torch.testing.assert_close(augment(tiny, IMAGES, torch.Generator().manual_seed(0)), IMAGES, rtol=0, atol=1e-4)


def test_colors_stay_in_their_range_and_grays_keep_their_hue() -> None:
    source = torch.Generator().manual_seed(2)
    strong = [HsvSpec(name="hsv", hue=0.5, saturation=1, value=0.5), JitterSpec(name="jitter", brightness=0.5, contrast=0.9)]
    out = augment(strong, IMAGES, source)
    assert out.min() >= 0
    assert out.max() <= 1
    grays = IMAGES[:, :1].expand(-1, 3, -1, -1)
    turned = augment([HsvSpec(name="hsv", hue=0.5, saturation=1, value=0)], grays, source)
    torch.testing.assert_close(turned, grays, rtol=0, atol=1e-6)


def test_an_erased_area_has_the_size_that_was_asked_for() -> None:
    images = torch.full((400, 1, 20, 20), 2.0)
    out = augment([EraseSpec(name="erase", low=0.1, high=0.3, p=1.0)], images, torch.Generator().manual_seed(0))
    share = (out != 2.0).double().mean(dim=(1, 2, 3))
    assert share.mean().item() == pytest.approx(0.2, abs=0.02)
    assert share.min() > 0.05
    assert share.max() < 0.4


def test_a_shifted_signal_keeps_its_values() -> None:
    signals = torch.arange(20.0).expand(8, 2, 20).contiguous()
    out = augment([SignalShiftSpec(name="signal_shift", fraction=0.25)], signals, torch.Generator().manual_seed(0))
    assert torch.equal(out.sort(dim=2).values, signals)
    assert not torch.equal(out, signals)


def test_labels_that_tell_left_from_right_are_learned_unless_flips_are_asked_for() -> None:
    """B083: a class is which half is brighter."""
    dataset = load("bright_half")
    x, y = dataset.x.astype(np.float32) - 0.45, dataset.y
    data = FitData(task="classification", num_outputs=2, train=Rows(x=x[:300], y=y[:300]), val=Rows(x=x[300:], y=y[300:]), test=None)
    accuracies = []
    for augmentations in ([], [{"name": "flip", "p": 0.5}]):
        fit = a_fit(
            data=data,
            network={"name": "mlp", "hidden_units": []},
            regularization={"augmentations": augmentations},
            training={"max_epochs": 40, "kept_weights": "last"},
        )
        accuracies.append(run(fit)[0][1][-1].val_metrics["accuracy"])
    assert accuracies[0] == 1.0
    assert accuracies[1] < 0.85


def test_a_smoothed_fit_reaches_below_the_floor_of_its_own_objective() -> None:
    """B004: two classes at 0.1 have an objective of at least 0.19852; the validation loss is not smoothed and tends to -ln 0.95."""
    part = rows(200, (2,), classes=2)
    y = (part.x[:, 0] > 0).astype(np.int64)
    x = part.x + np.where(y == 1, 3.0, -3.0)[:, None].astype(np.float32)
    data = FitData(task="classification", num_outputs=2, train=Rows(x=x, y=y), val=Rows(x=x, y=y), test=None)
    fit = a_fit(data=data, regularization={"label_smoothing": 0.1}, training={"max_epochs": 60})
    last = run(fit)[0][1][-1]
    assert last.objective is not None
    assert last.objective >= 0.19851
    assert last.val_loss == pytest.approx(-math.log(0.95), abs=0.02)

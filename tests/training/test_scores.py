"""Final figures by hand, and intervals that hold what they promise."""

import math

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics

from tests.training.small import a_fit, run
from training.bootstrap import interval, resampled
from training.figures import RowFigures
from training.scores import baseline_loss, calibration_error, reliability, scores


def test_scores_of_a_small_table_by_hand() -> None:
    """Five rows, classes 0, 0, 1, 1, 2 named 0, 1, 1, 1, 0."""
    named = np.array([0, 1, 1, 1, 0])
    figures = RowFigures(loss=np.ones(5), hit=np.array([1.0, 0, 1, 1, 0]), target=None, outputs=np.eye(3)[named] * 9.0)
    found = scores(figures, np.array([0, 0, 1, 1, 2]), ("a", "b", "c"))
    assert found["confusion_matrix"] == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert [one["recall"] for one in found["per_class"]] == [0.5, 1.0, 0.0]
    assert [one["precision"] for one in found["per_class"]] == [0.5, pytest.approx(2 / 3), None]
    assert found["macro_f1"] == pytest.approx((0.5 + 0.8 + 0) / 3)


def test_the_auc_of_one_class_is_not_defined() -> None:
    figures = RowFigures(loss=np.ones(2), hit=np.ones(2), target=None, outputs=np.array([[2.0, 0], [1, 0]]))
    assert scores(figures, np.array([0, 0]), None)["roc_auc"] is None
    assert scores(figures, np.array([0, 1]), None)["roc_auc"] == 1.0


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_the_auc_is_that_of_scikit_learn(classes: int) -> None:
    """Each class against the rest, ties and all."""
    draws = np.random.default_rng(classes)
    labels = np.concatenate([np.arange(classes), draws.integers(0, classes, 200)])
    logits = np.round(draws.normal(size=(len(labels), classes)), 1)
    found = scores(RowFigures(loss=labels, hit=labels, target=None, outputs=logits), labels, None)["roc_auc"]
    said = softmax(logits, axis=1)
    own = [metrics.roc_auc_score(labels == one, said[:, one]) for one in range(classes)]
    assert found == pytest.approx(own[1] if classes == 2 else np.mean(own), abs=1e-12)


def test_the_bins_of_the_reliability_diagram_add_up_to_the_calibration_error() -> None:
    generator = np.random.default_rng(0)
    confidence = generator.uniform(0.1, 1.0, 500)
    hit = generator.uniform(size=500) < confidence**2
    bins = reliability(hit, confidence)
    assert sum(one["rows"] for one in bins) == 500
    assert sum(one["rows"] * one["accuracy"] for one in bins) == pytest.approx(hit.sum())
    apart = sum(one["rows"] * abs(one["accuracy"] - one["confidence"]) for one in bins) / 500
    assert apart == pytest.approx(calibration_error(hit, confidence))
    assert [one["confidence"] for one in bins] == sorted(one["confidence"] for one in bins)
    assert reliability(np.array([1, 0]), np.array([0.9, 0.9])) == [{"confidence": pytest.approx(0.9), "accuracy": 0.5, "rows": 2}]


def test_calibration_error_by_hand() -> None:
    """Two rows said with 0.9, one right; two with 0.6, both right: (0.4 + 0.4) / 2."""
    assert calibration_error(np.array([1, 0, 1, 1]), np.array([0.9, 0.9, 0.6, 0.6])) == pytest.approx(0.4)


def test_the_baseline_knows_class_shares_or_the_mean() -> None:
    assert baseline_loss(np.array([0, 0, 0, 1]), np.array([0, 1]), 2, 1.0) == pytest.approx(-(math.log(0.75) + math.log(0.25)) / 2)
    assert baseline_loss(np.array([1.0, 3.0]), np.array([2.0, 5.0]), None, 2.0) == pytest.approx(4.5 * 4)


@pytest.mark.parametrize(("rows", "classes", "present"), [(539, 10, 10), (30, 10, 4), (7, 3, 1), (50, 2, 2), (300, 101, 90)])
def test_figures_by_class_are_scikit_learns_to_the_last_bit(rows: int, classes: int, present: int) -> None:
    draws = np.random.default_rng(rows)
    labels, logits = draws.integers(0, present, rows), draws.normal(size=(rows, classes)).round(1)
    found = scores(RowFigures(loss=labels, hit=labels, target=None, outputs=logits), labels, None)
    named, known = softmax(logits, axis=1).argmax(axis=1), np.arange(classes)
    by_class = metrics.precision_recall_fscore_support(labels, named, labels=known, zero_division=np.nan)
    assert found["macro_f1"] == metrics.f1_score(labels, named, labels=np.unique(labels), average="macro", zero_division=0)
    if classes > 100:
        assert (found["per_class"], found["confusion_matrix"]) == (None, None)
        return
    for name, values in zip(("precision", "recall", "f1", "rows"), by_class, strict=True):
        assert [one[name] for one in found["per_class"]] == [None if np.isnan(value) else value for value in values]
    assert found["confusion_matrix"] == metrics.confusion_matrix(labels, named, labels=known).tolist()


def test_every_split_has_its_scores() -> None:
    evaluation = run(a_fit(test_rows=30, training={"max_epochs": 2}))[1][1].evaluation
    assert evaluation is not None
    for split in ("train", "val", "test"):
        assert {"macro_f1", "roc_auc", "expected_calibration_error", "per_class", "confusion_matrix", "baseline_loss"} <= evaluation[
            split
        ].keys()
        assert sum(map(sum, evaluation[split]["confusion_matrix"])) == evaluation[split]["rows"]
    numbers = run(a_fit(classes=None, training={"max_epochs": 2}))[1][1].evaluation
    assert numbers is not None
    assert {"rmse", "mae", "r2"} <= numbers["val"].keys()


def test_intervals_cover_at_their_nominal_rate() -> None:
    """Losses from a known distribution: 95 % intervals of the mean hold it in about 95 of 100 samples, those of accuracy too."""
    draws = np.random.default_rng(0)
    inside = {"loss": 0, "accuracy": 0}
    samples = 400
    for seed in range(samples):
        figures = RowFigures(loss=draws.exponential(1.0, 300), hit=(draws.uniform(size=300) < 0.8).astype(float), target=None)
        found = resampled(figures, 400, seed, "val")
        for name, truth in (("loss", 1.0), ("accuracy", 0.8)):
            bounds = interval(0.0, found[name])
            inside[name] += bounds["low"] <= truth <= bounds["high"]
    # 400 intervals of rate 0.95 hold it 380 +- 4.4 times; the percentile interval of a skewed mean a little less often.
    assert all(0.91 * samples <= count <= 0.98 * samples for count in inside.values()), inside

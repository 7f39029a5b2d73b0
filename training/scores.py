"""Further figures of the kept weights, from their outputs on all rows of a split: one value each, the same as scikit-learn's."""

import math
from typing import Any

import numpy as np
from scipy.special import softmax
from scipy.stats import rankdata

from training.figures import RowFigures

_BINS = 15
_MAX_CLASSES = 100
"""With more classes the tables by class would outgrow everything else that is stored."""


def scores(figures: RowFigures, labels: np.ndarray, class_labels: tuple[str, ...] | None) -> dict[str, Any]:
    """Score classes: macro F1, ROC AUC, expected calibration error with its bins, precision and recall by class, confusion matrix.

    `labels` [n] are the true classes, `figures.outputs` [n, K] logits. What is not defined (the AUC of rows of a single
    class, the precision of a class never named) is None. Figures by class come from one count of pairs: scikit-learn's
    functions count anew for each, and check what they are given for longer than a small network trains an epoch.
    """
    if figures.outputs is None:
        raise ValueError("figures without outputs")
    probabilities = softmax(figures.outputs, axis=1)
    named, num_classes = probabilities.argmax(axis=1), probabilities.shape[1]
    right = np.bincount(labels[labels == named], minlength=num_classes)
    rows, guesses = np.bincount(labels, minlength=num_classes), np.bincount(named, minlength=num_classes)
    f1 = _share(2 * right, rows + guesses)
    found: dict[str, Any] = {
        "macro_f1": float(f1[rows > 0].mean()),
        "roc_auc": _roc_auc(labels, probabilities),
        "expected_calibration_error": calibration_error(labels == named, probabilities.max(axis=1)),
        "reliability": reliability(labels == named, probabilities.max(axis=1)),
        "per_class": None,
        "confusion_matrix": None,
    }
    if num_classes <= _MAX_CLASSES:
        names = class_labels or tuple(str(one) for one in range(num_classes))
        precision, recall = _share(right, guesses), _share(right, rows)
        found["per_class"] = [
            {
                "label": names[k],
                "rows": int(rows[k]),
                "precision": finite_or_none(precision[k]),
                "recall": finite_or_none(recall[k]),
                "f1": finite_or_none(f1[k]),
            }
            for k in range(num_classes)
        ]
        pairs = np.bincount(labels * num_classes + named, minlength=num_classes**2)
        found["confusion_matrix"] = pairs.reshape(num_classes, num_classes).tolist()
    return found


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide counts; NaN where there is nothing to divide by."""
    shares: np.ndarray = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return shares


def calibration_error(hit: np.ndarray, confidence: np.ndarray, bins: int = _BINS) -> float:
    """Mean distance of accuracy from confidence over equal bins of confidence, weighted by their rows (Guo et al. 2017).

    `hit` [n] tells where the named class was right, `confidence` [n] its probability.
    """
    place = _bin_of(confidence, bins)
    apart = np.bincount(place, weights=hit, minlength=bins) - np.bincount(place, weights=confidence, minlength=bins)
    return float(np.abs(apart).sum() / len(hit))


def reliability(hit: np.ndarray, confidence: np.ndarray, bins: int = _BINS) -> list[dict[str, float]]:
    """Accuracy beside mean confidence of every bin of confidence that has rows: a reliability diagram (DeGroot & Fienberg 1983).

    Weighted by `rows`, their distances are the expected calibration error.
    """
    place = _bin_of(confidence, bins)
    rows, sure, right = np.bincount(place, minlength=bins), np.bincount(place, confidence, bins), np.bincount(place, hit, bins)
    return [
        {"confidence": float(sure[i] / rows[i]), "accuracy": float(right[i] / rows[i]), "rows": int(rows[i])} for i in np.flatnonzero(rows)
    ]


def _bin_of(confidence: np.ndarray, bins: int) -> np.ndarray:
    """Give the bin of each confidence: equal ones, each with its upper edge."""
    found: np.ndarray = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return found


def baseline_loss(train: np.ndarray, labels: np.ndarray, num_classes: int | None, scale: float) -> float:
    """Loss on `labels` of knowing nothing but the training targets `train`: their class shares, or their mean.

    A class that no training row has counts as half a row.
    """
    if num_classes is None:
        return float(((labels - train.mean()) ** 2).mean()) * scale**2
    counts = np.maximum(np.bincount(train, minlength=num_classes), 0.5)
    return float(-np.log(counts / counts.sum())[labels].mean())


def _roc_auc(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Area under the ROC curve; over more than two classes the mean of each against the rest, where all are present.

    It is the share of pairs of a row of the class and one of the rest that are in order, ties counting half: from ranks
    (Mann & Whitney 1947) for all classes at once, for jobs of many fits spend most of their time here otherwise.
    """
    present, counts = np.unique(labels, return_counts=True)
    if len(present) < max(2, probabilities.shape[1]):
        return None
    ranks = rankdata(probabilities, axis=0)
    own = np.array([ranks[labels == one, one].sum() for one in present])
    areas = (own - counts * (counts + 1) / 2) / (counts * (len(labels) - counts))
    return float(areas[1] if len(present) == 2 else areas.mean())


def finite_or_none(value: float) -> float | None:
    """Give what can be stored: None for NaN and infinities."""
    return float(value) if math.isfinite(value) else None

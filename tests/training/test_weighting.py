"""Balanced class weights, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from training.weighting import class_weights


def test_balanced_weights_by_hand() -> None:
    """B070: 90 and 10 rows weigh 0.55556 and 5."""
    assert class_weights("balanced", np.repeat([0, 1], [90, 10]), 2).tolist() == pytest.approx([0.55556, 5.0], abs=1e-5)
    assert class_weights("balanced", np.repeat([1, 0], [90, 10]), 2).tolist() == pytest.approx([5.0, 0.55556], abs=1e-5)


def test_an_absent_class_weighs_nothing() -> None:
    """B070: 0, never infinite; those that are present weigh as if it were not there."""
    found = class_weights("balanced", np.repeat([0, 2], [90, 10]), 4)
    assert found.tolist() == pytest.approx([0.55556, 0, 5.0, 0], abs=1e-5)


def test_given_weights_of_an_absent_class_stay_finite() -> None:
    """B070."""
    found = class_weights((1.0, 7.0, 3.0), np.repeat([0, 2], [5, 5]), 3)
    assert found[[0, 0, 2, 2]].mean() == pytest.approx(1)
    assert np.isfinite(found).all()


@given(labels=st.lists(st.integers(0, 5), min_size=1, max_size=80))
def test_balanced_weights_are_scikit_learns_and_have_mean_one(labels: list[int]) -> None:
    """B070: whatever classes are there."""
    y = np.array(labels)
    found, present = class_weights("balanced", y, 6), np.unique(y)
    assert found[present].tolist() == pytest.approx(compute_class_weight("balanced", classes=present, y=y).tolist())
    assert found[y].mean() == pytest.approx(1)
    assert found[np.setdiff1d(np.arange(6), present)].tolist() == [0] * (6 - len(present))

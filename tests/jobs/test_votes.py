"""Ensembles answer by the same rules wherever they are asked (B064)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.plans.ensembles import figures
from jobs.plans.votes import Vote, combined

CLASSES = np.array([[[0.6, 0.4, 0.0]], [[0.5, 0.0, 0.5]]])


def test_a_soft_vote_averages_probabilities_over_all_classes() -> None:
    """B064."""
    assert combined(CLASSES, "soft", None) == pytest.approx(np.array([[0.55, 0.2, 0.25]]))


def test_a_tied_hard_vote_names_the_lowest_class() -> None:
    """B064."""
    members = np.array([[[0.1, 0.2, 0.7]], [[0.2, 0.7, 0.1]]])
    shares = combined(members, "hard", None)
    assert shares.tolist() == [[0.0, 0.5, 0.5]]
    assert shares.argmax(axis=1).tolist() == [1]


def test_an_ensembles_loss_is_that_of_the_averaged_probability() -> None:
    """B064: members that give the right class .9 and .1 have a mean loss of 1.2040, their average one of .6931."""
    members = np.array([[[0.9, 0.1]], [[0.1, 0.9]]])
    y = np.array([0])
    together = figures(combined(members, "soft", None), y, is_classes=True)
    assert together is not None
    assert together["loss"] == pytest.approx(0.6931, abs=5e-5)
    alone = [figures(one, y, is_classes=True) for one in members]
    assert np.mean([one["loss"] for one in alone if one]) == pytest.approx(1.2040, abs=5e-5)


def test_votes_are_weighted() -> None:
    assert combined(CLASSES, "soft", [3.0, 1.0]) == pytest.approx(np.array([[0.575, 0.3, 0.125]]))
    members = np.array([[[1.0, 0.0]], [[0.0, 1.0]], [[0.0, 1.0]]])
    assert combined(members, "hard", [3.0, 1.0, 1.0]) == pytest.approx(np.array([[0.6, 0.4]]))
    assert combined(np.array([[[1.0]], [[5.0]]]), "mean", [3.0, 1.0]).tolist() == [[2.0]]


def test_a_weighted_median_is_the_smallest_value_that_holds_half_of_the_weight() -> None:
    """Drucker (1997): 1 has weight .5 of 4, 2 with it 2, which is half."""
    members = np.array([[[7.0]], [[2.0]], [[1.0]], [[9.0]]])
    assert combined(members, "median", [1.0, 1.5, 0.5, 1.0]).tolist() == [[2.0]]
    assert combined(members, "median", [1.0, 1.4, 0.5, 1.1]).tolist() == [[7.0]]
    assert combined(members, "median", None).tolist() == [[2.0]]


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [0.0, 0.0]])
def test_weights_that_cannot_be_shares_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="as many weights"):
        combined(CLASSES, "soft", weights)


@given(
    vote=st.sampled_from(["soft", "hard", "mean", "median"]),
    members=st.integers(1, 6),
    rows=st.integers(1, 5),
    seed=st.integers(0, 999),
    scale=st.floats(0.01, 100),
)
def test_a_vote_is_a_mixture_and_its_weights_have_no_unit(vote: Vote, members: int, rows: int, seed: int, scale: float) -> None:
    draws = np.random.default_rng(seed)
    is_classes = vote in {"soft", "hard"}
    outputs = draws.dirichlet(np.ones(3), (members, rows)) if is_classes else draws.normal(size=(members, rows, 1))
    weights = draws.uniform(0.1, 1, members)
    found = combined(outputs, vote, weights.tolist())
    assert found == pytest.approx(combined(outputs, vote, (weights * scale).tolist()))
    if is_classes:
        assert found.sum(axis=1) == pytest.approx(np.ones(rows))
    else:
        assert (found >= outputs.min(axis=0) - 1e-12).all()
        assert (found <= outputs.max(axis=0) + 1e-12).all()

"""Boosting: SAMME and AdaBoost.R2 on errors made by hand (B066), and for real."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import AdaBoostClassifier
from sklearn.tree import DecisionTreeClassifier

from data import builtin
from data.dataset import Array, Dataset
from jobs.materialize import materialize
from jobs.plans.boosting.problems import problems
from jobs.plans.boosting.rules import r2, row_weights, samme
from jobs.plans.boosting.spec import BoostingPlanSpec
from jobs.plans.fits import FitResult, PlannedFit
from jobs.states import FailureKind, FitStatus
from tests.factories import a_dataset, is_finite
from tests.plans import Ran, Trainer, real, resolved, run, scripted

ALL = {"name": "holdout", "val_fraction": 0}
FIVE = a_dataset(np.arange(5.0)[:, None], [0, 1, 0, 1, 0], name="five")


def _boosted(dataset: Dataset, trainer: Trainer, split: dict[str, Any] | None = None, **fields: Any) -> Ran:
    return run(resolved(dataset, plan={"name": "boosting", **fields}, split=split or ALL).spec, dataset, trainer)


def _wrong_about(dataset: Dataset, wrong: Callable[[int], list[int]]) -> Trainer:
    """Answer with a row's class, or the next one for rows that a round gets wrong."""

    def says(fit: PlannedFit, asked: Array) -> Array:
        named = (dataset.y[asked] + np.isin(asked, wrong(int(fit.place["member"])))) % dataset.info.num_outputs
        return np.eye(dataset.info.num_outputs)[named] * 0.8 + 0.1

    return scripted(lambda _: 0.5, says)


def _share(error: float, n: int = 10) -> tuple[Array, Array]:
    """Rows of equal share, of which so many are wrong."""
    return np.full(n, 1 / n), np.arange(n) < round(error * n)


@pytest.mark.parametrize(("error", "classes", "alpha"), [(0.2, 2, 1.38629), (0.2, 3, 2.07944), (0.6, 3, 0.28768)])
def test_a_members_vote_is_that_of_samme(error: float, classes: int, alpha: float) -> None:
    """B066."""
    found = samme(*_share(error), classes, 1.0)
    assert found.error == pytest.approx(error)
    assert found.alpha == pytest.approx(alpha, abs=5e-6)
    assert samme(*_share(error), classes, 0.5).alpha == pytest.approx(alpha / 2, abs=5e-6)


def test_the_one_wrong_row_of_five_weighs_half_in_the_next_round() -> None:
    """B066."""
    found = samme(np.full(5, 0.2), np.arange(5) == 3, 2, 1.0)
    assert found.shares is not None
    assert found.shares == pytest.approx([0.125, 0.125, 0.125, 0.5, 0.125])
    assert row_weights(found.shares).mean() == pytest.approx(1, abs=1e-7)


@pytest.mark.parametrize(("error", "classes"), [(0.5, 2), (0.9, 2), (0.7, 3), (1.0, 3)])
def test_a_member_no_better_than_chance_has_no_vote(error: float, classes: int) -> None:
    """B066: the bound is 1 - 1/K, not one half."""
    found = samme(*_share(error), classes, 1.0)
    assert found.alpha is None
    assert found.shares is None
    assert samme(np.full(9, 1 / 9), np.arange(9) < 6, 3, 1.0).alpha is None  # exactly 2/3, but for rounding


def test_a_member_without_error_has_vote_1_and_ends_it() -> None:
    """B066."""
    for found in (samme(*_share(0), 2, 1.0), r2(np.full(3, 1 / 3), np.zeros(3), 0.5)):
        assert (found.error, found.alpha, found.shares) == (0, 1.0, None)


def test_the_smallest_error_gives_a_finite_vote() -> None:
    """B066: (1 - e) / e would overflow."""
    tiny = 5e-324
    for found in (samme(np.array([1.0, tiny]), np.array([False, True]), 2, 10.0), r2(np.array([1.0, tiny]), np.array([0.0, 1.0]), 10.0)):
        assert found.alpha == pytest.approx(10 * -math.log(tiny))
        assert found.shares is not None
        assert np.isfinite(found.shares).all()


def test_a_regressors_vote_and_weights_are_those_of_drucker() -> None:
    """Errors 0, 1, 1, 2 give L = 0, .5, .5, 1 of mean .5 at equal shares: the bound. With the last one weighing less, .4."""
    errors = np.array([0.0, 1.0, 1.0, 2.0])
    assert r2(np.full(4, 0.25), errors, 1.0).alpha is None
    found = r2(np.array([0.4, 0.2, 0.2, 0.2]), errors, 1.0)
    assert found.error == pytest.approx(0.4)
    assert found.alpha == pytest.approx(math.log(0.6 / 0.4))
    beta = 0.4 / 0.6
    raised = np.array([0.4 * beta, 0.2 * math.sqrt(beta), 0.2 * math.sqrt(beta), 0.2])
    assert found.shares == pytest.approx(raised / raised.sum())
    slower = r2(np.array([0.4, 0.2, 0.2, 0.2]), errors, 0.5)
    raised = np.array([0.4 * beta**0.5, 0.2 * beta**0.25, 0.2 * beta**0.25, 0.2])
    assert slower.shares == pytest.approx(raised / raised.sum())


@given(seed=st.integers(0, 9999), rows=st.integers(2, 30), classes=st.integers(2, 5), rate=st.floats(0.01, 10), rounds=st.integers(1, 40))
def test_shares_stay_shares_whatever_members_do(seed: int, rows: int, classes: int, rate: float, rounds: int) -> None:
    """B066: no NaN, no underflow to nothing."""
    draws = np.random.default_rng(seed)
    of_classes = of_numbers = np.full(rows, 1 / rows)
    for _ in range(rounds):
        verdict = samme(of_classes, draws.uniform(size=rows) < draws.uniform(0, 0.6), classes, rate)
        if verdict.shares is not None:
            of_classes = verdict.shares
        verdict = r2(of_numbers, draws.exponential(size=rows) ** 3, rate)
        if verdict.shares is not None:
            of_numbers = verdict.shares
        for shares in (of_classes, of_numbers):
            assert np.isfinite(shares).all()
            assert (shares >= 0).all()
            assert shares.sum() == pytest.approx(1)
            assert row_weights(shares).mean() == pytest.approx(1, abs=1e-6)


@given(seed=st.integers(0, 9999), rows=st.integers(2, 40), rounds=st.integers(1, 8))
def test_the_training_error_of_two_classes_is_below_its_bound(seed: int, rows: int, rounds: int) -> None:
    """Freund & Schapire (1997): at most the product of 2 sqrt(e (1 - e)) over rounds."""
    draws = np.random.default_rng(seed)
    shares, margin, bound = np.full(rows, 1 / rows), np.zeros(rows), 1.0
    for _ in range(rounds):
        is_wrong = draws.uniform(size=rows) < 0.35
        verdict = samme(shares, is_wrong, 2, 1.0)
        if verdict.shares is None or verdict.alpha is None:
            break
        margin += verdict.alpha * np.where(is_wrong, -1, 1)
        bound *= 2 * math.sqrt(verdict.error * (1 - verdict.error))
        shares = verdict.shares
    assert (margin < -1e-9).mean() <= bound + 1e-9


def test_votes_and_errors_are_those_of_scikit_learn() -> None:
    """Its stumps answer here as members: every round must find its weighted error and vote."""
    wine = builtin.load("wine")
    reference = AdaBoostClassifier(DecisionTreeClassifier(max_depth=1), n_estimators=6, learning_rate=0.7, random_state=0).fit(
        wine.x, wine.y
    )
    answers = np.stack([one.predict(wine.x) for one in reference.estimators_])
    trainer = scripted(lambda _: 0.5, lambda fit, asked: np.eye(3)[answers[int(fit.place["member"]) - 1][asked]])
    result = _boosted(wine, trainer, members=6, learning_rate=0.7).result
    assert [one["error"] for one in result["rounds"]] == pytest.approx(reference.estimator_errors_.tolist())
    assert [one["alpha"] for one in result["rounds"]] == pytest.approx(reference.estimator_weights_.tolist())
    staged = [float(score) for score in reference.staged_score(wine.x, wine.y)]
    assert [one["train"]["accuracy"] for one in result["rounds"]] == pytest.approx(staged)
    assert result["model"] == {"fits": [1, 2, 3, 4, 5, 6], "vote": "hard", "weights": [one["alpha"] for one in result["rounds"]]}


def test_the_next_member_is_trained_on_the_raised_weights() -> None:
    """B066, through the plan: one of five rows wrong."""
    ran = _boosted(FIVE, _wrong_about(FIVE, lambda member: [3] if member == 1 else [0]), members=3)
    weights = []
    for fit in ran.planned.values():
        rows = fit.rows()
        assert rows.weights is not None
        weights.append(dict(zip(rows.train.tolist(), rows.weights, strict=True)))
        made = materialize(fit, FIVE).fit.data
        assert made.weights is not None
        assert made.weights.tolist() == rows.weights.tolist()
    assert weights[0] == dict.fromkeys(range(5), 1.0)
    assert weights[1] == pytest.approx({0: 0.625, 1: 0.625, 2: 0.625, 3: 2.5, 4: 0.625})
    assert ran.result["rounds"][0]["effective_rows"] == 5
    assert ran.result["rounds"][1]["effective_rows"] == pytest.approx(25 / (4 * 0.625**2 + 2.5**2))
    assert len({fit.seed for fit in ran.planned.values()}) == 3


def test_what_later_rounds_may_add_shrinks_to_nothing() -> None:
    ran = _boosted(FIVE, _wrong_about(FIVE, lambda member: [member - 1]), members=3)
    steps = ran.planned[1].steps_planned
    assert [(one.later_fits, one.later_steps) for one in ran.rounds] == [(2, 2 * steps), (1, steps), (0, 0)]
    assert ran.result["ended"] == "all_rounds"


def test_a_perfect_member_ends_it_and_earlier_ones_stay() -> None:
    """B066."""
    result = _boosted(FIVE, _wrong_about(FIVE, lambda member: [3] if member == 1 else []), members=4).result
    assert result["ended"] == "no_error"
    assert [one["alpha"] for one in result["rounds"]] == pytest.approx([1.38629, 1.0], abs=5e-6)
    assert result["model"]["fits"] == [1, 2]


def test_a_member_no_better_than_chance_is_dropped() -> None:
    """B066: in round 2 row 3 holds half of the weight."""
    result = _boosted(FIVE, _wrong_about(FIVE, lambda _: [3]), members=4).result
    assert result["ended"] == "no_better_than_chance"
    assert [one["alpha"] for one in result["rounds"]] == [pytest.approx(1.38629, abs=5e-6), None]
    assert result["rounds"][1]["train"] is None
    assert result["model"] == {"fits": [1], "vote": None, "weights": None}


def test_a_first_member_no_better_than_chance_is_kept_alone() -> None:
    result = _boosted(FIVE, _wrong_about(FIVE, lambda _: [0, 1, 2]), members=4).result
    assert result["ended"] == "no_better_than_chance"
    assert [one["alpha"] for one in result["rounds"]] == [1.0]
    assert result["model"]["fits"] == [1]
    assert result["train"]["accuracy"]["value"] == pytest.approx(0.4)


def test_only_classes_that_are_present_count() -> None:
    """B066: three labels, of which the training rows have two; an error of one half is chance."""
    parts = [0, 0, 0, 0, 1, 1]
    rare = a_dataset(np.arange(6.0)[:, None], [0, 1, 0, 1, 2, 2], parts=parts, name="rare")
    result = _boosted(rare, _wrong_about(rare, lambda _: [0, 1]), split={"name": "predefined"}, members=3).result
    assert result["num_classes"] == 2
    assert result["ended"] == "no_better_than_chance"


@pytest.mark.parametrize("fails_at", [1, 3])
def test_a_member_that_diverges_ends_it_with_the_earlier_ones(fails_at: int) -> None:
    def trainer(fit: PlannedFit) -> FitResult:
        found = _wrong_about(FIVE, lambda member: [member - 1])(fit)
        if fit.number == fails_at:
            return replace(found, status=FitStatus.DIVERGED, evaluation=None, outputs=None, message="it grew")
        return found

    end = _boosted(FIVE, trainer, members=5).conclusion
    if fails_at == 1:
        assert (end.result, end.failure, end.message) == (None, FailureKind.DIVERGED, "it grew")
        return
    assert end.result is not None
    assert end.result["ended"] == "member_did_not_finish"
    assert end.result["model"]["fits"] == [1, 2]
    assert [one["status"] for one in end.result["fits"]] == ["finished", "finished", "diverged"]
    assert is_finite(end.result)


def test_numbers_are_the_weighted_median_of_members() -> None:
    numbers = a_dataset(np.arange(8.0)[:, None], np.arange(8.0), name="numbers")
    split = {"name": "holdout", "val_fraction": 0.25, "test_fraction": 0.25}

    def says(fit: PlannedFit, asked: Array) -> Array:
        errors = np.random.default_rng(fit.number).exponential(size=8) ** 2
        return (numbers.y + errors)[asked][:, None]

    ran = _boosted(numbers, scripted(lambda _: 0.5, says), split=split, members=3)
    result = ran.result
    assert result["algorithm"] == "AdaBoost.R2"
    assert result["num_classes"] is None
    kept = {one["fit"]: one["alpha"] for one in result["rounds"] if one["alpha"] is not None}
    assert len(kept) > 1
    test = ran.planned[1].rows().asked[-2:]  # type: ignore[index]  # it asks
    middle = []
    for row in test:
        ordered = sorted((says(ran.planned[number], np.array([row]))[0, 0], alpha) for number, alpha in kept.items())
        reached = np.cumsum([alpha for _, alpha in ordered])
        middle.append(ordered[int((reached >= reached[-1] / 2).argmax())][0])
    assert result["test"]["loss"]["value"] == pytest.approx(((np.array(middle) - numbers.y[test]) ** 2).mean())
    assert result["model"]["vote"] == "median"


def test_members_keep_the_last_epoch_unless_early_stopping_is_asked_for() -> None:
    split = {"name": "holdout", "val_fraction": 0.4}
    for early, kept in ((None, "last"), ({"patience": 2}, "best")):
        spec = resolved(FIVE, plan={"name": "boosting"}, split=split, early_stopping=early)
        assert spec.first_round.fits[0].spec.training.kept_weights == kept


def test_boosting_needs_one_division() -> None:
    plan = BoostingPlanSpec.model_validate({"name": "boosting"})
    spec = resolved(builtin.load("iris"), split={"name": "k_fold", "folds": 3}).spec.model_copy(update={"plan": plan})
    assert [(one.pointer, one.code) for one in problems(spec, builtin.load("iris"))] == [("/split", "needs_one_division")]


def test_boosting_shallow_networks_lowers_the_training_error_round_by_round() -> None:
    wine = builtin.load("wine")
    spec = resolved(
        wine,
        plan={"name": "boosting", "members": 8},
        network={"name": "mlp", "hidden_units": [2]},
        optimizer={"name": "adam", "learning_rate": 0.03},
        training={"max_epochs": 3, "batch_size": 16},
        split={"name": "holdout", "val_fraction": 0.1},
        evaluation={"resamples": 100},
    ).spec
    ran = run(spec, wine, real(wine))
    errors = [1 - one["train"]["accuracy"] for one in ran.result["rounds"] if one["train"]]
    assert all(after <= before + 1e-12 for before, after in itertools.pairwise(errors))
    assert errors[-1] < errors[0] / 3
    assert is_finite(ran.result)
    assert run(spec, wine, real(wine)).result == ran.result


def test_boosting_of_separable_rows_ends_without_a_number_that_is_none() -> None:
    """B066."""
    x = np.concatenate([np.arange(-10.0, -5), np.arange(5.0, 10)])[:, None]
    apart = a_dataset(x, np.repeat([0, 1], 5), name="apart")
    spec = resolved(
        apart,
        plan={"name": "boosting", "members": 5},
        split=ALL,
        training={"max_epochs": 40},
        optimizer={"name": "adam", "learning_rate": 0.1},
    ).spec
    result = run(spec, apart, real(apart)).result
    assert result["ended"] == "no_error"
    assert is_finite(result)

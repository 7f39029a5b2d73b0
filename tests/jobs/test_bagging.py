"""Bagging: draws, the vote, the out-of-bag score (B024, B064, B065)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from data import builtin
from data.dataset import Array, Dataset
from data.splits.build import Division
from jobs.plans.bagging.plan import member_rows
from jobs.plans.bagging.problems import problems
from jobs.plans.bagging.spec import BaggingPlanSpec
from jobs.plans.fits import FitResult, PlannedFit
from jobs.states import FailureKind, FitStatus
from tests.factories import a_dataset, is_finite
from tests.plans import Ran, Trainer, real, resolved, run, scripted
from training.derivation import derive

TEN = a_dataset(np.arange(10.0)[:, None], np.arange(10) % 2, name="ten")
HALF = {"name": "holdout", "val_fraction": 0.2, "test_fraction": 0.2, "stratify": False}


def _bagged(dataset: Dataset, trainer: Trainer, split: dict[str, Any] | None = None, **fields: Any) -> Ran:
    spec = resolved(dataset, plan={"name": "bagging", **fields}, split=split or HALF).spec
    return run(spec, dataset, trainer)


def _saying(says: Callable[[PlannedFit, Array], Array]) -> Trainer:
    return scripted(lambda _: 0.5, says)


def _probabilities(right: Array) -> Array:
    return np.stack([1 - right, right], axis=1)


def _codes(name: str, **fields: Any) -> list[tuple[str, str]]:
    dataset = (
        a_dataset(np.arange(20.0)[:, None], np.arange(20) % 2)
        if name == "classes"
        else a_dataset(np.arange(20.0)[:, None], np.arange(20.0))
    )
    split = fields.pop("split", {"name": "holdout"})
    spec = resolved(dataset, split=split).spec
    plan = BaggingPlanSpec.model_validate({"name": "bagging", **fields})
    return [(one.pointer, one.code) for one in problems(spec.model_copy(update={"plan": plan}), dataset)]


def test_members_have_seeds_and_draws_of_their_own_and_a_job_repeats() -> None:
    """B024."""
    first, again = (_bagged(TEN, _saying(lambda _, asked: _probabilities(asked * 0.05)), members=8) for _ in range(2))
    fits = list(first.planned.values())
    assert len({fit.seed for fit in fits}) == 8
    assert len({fit.row_hash for fit in fits}) == 8
    assert [fit.row_hash for fit in again.planned.values()] == [fit.row_hash for fit in fits]
    assert first.result == again.result


@pytest.mark.parametrize(("rows", "share"), [(10, 0.651), (100, 0.634)])
def test_the_share_of_distinct_rows_is_that_of_draws_with_replacement(rows: int, share: float) -> None:
    """B024: 1 - (1 - 1/n)^n."""
    all_rows, none = np.arange(rows), np.arange(0)
    spec = BaggingPlanSpec.model_validate({"name": "bagging"})
    drawn = [member_rows(spec, Division(train=all_rows, val=none, test=none), derive(0, "member", i, "rows")).train for i in range(1000)]
    assert all(len(one) == rows for one in drawn)
    assert np.mean([len(np.unique(one)) / rows for one in drawn]) == pytest.approx(share, abs=0.01)


def test_a_member_is_asked_about_left_out_validation_and_test_rows_and_trains_on_no_other() -> None:
    ran = _bagged(TEN, _saying(lambda _, asked: _probabilities(asked * 0.05)), members=3)
    for fit in ran.planned.values():
        rows = fit.rows()
        assert rows.asked is not None
        assert len(rows.test) == 0
        assert set(rows.train) | set(rows.asked) == set(range(10))
        assert not set(rows.train) & set(rows.asked)
        assert len(set(rows.asked)) == len(rows.asked)


def test_only_members_that_did_not_draw_a_row_answer_for_it_out_of_the_bag() -> None:
    """B065: recomputed row by row."""

    def says(fit: PlannedFit, asked: Array) -> Array:
        return _probabilities(np.random.default_rng(fit.number).uniform(0.1, 0.9, 10)[asked])

    ran = _bagged(TEN, _saying(says), members=6)
    losses = []
    for row in resolved(TEN, split=HALF).divisions[0].train:
        voting = [fit for fit in ran.planned.values() if row not in fit.rows().train]
        if voting:
            losses.append(-np.log(np.mean([says(fit, np.array([row]))[0, row % 2] for fit in voting])))
    score = ran.result["out_of_bag"]
    assert score["rows"] == len(losses)
    assert score["figures"]["loss"]["value"] == pytest.approx(np.mean(losses))


def test_rows_without_a_vote_are_not_scored_and_coverage_says_so() -> None:
    """B065."""
    ran = _bagged(TEN, _saying(lambda _, asked: _probabilities(np.full(len(asked), 0.2))), members=2)
    drawn = [set(fit.rows().train.tolist()) for fit in ran.planned.values()]
    train = set(resolved(TEN, split=HALF).divisions[0].train.tolist())
    voted = train - (drawn[0] & drawn[1])
    assert ran.result["out_of_bag"]["rows"] == len(voted) < len(train)
    assert ran.result["out_of_bag"]["coverage"] == len(voted) / len(train)
    assert ran.result["not_drawn"] is None


def test_no_row_with_a_vote_gives_null() -> None:
    """B065: one finished member of a draw that has every row."""
    two = a_dataset(np.zeros((2, 1)), np.arange(2.0), name="two")
    spec = resolved(two, plan={"name": "bagging", "members": 12}, split={"name": "holdout", "val_fraction": 0}).spec
    asked_all = next(
        fit.number for fit in run(spec, two, scripted(lambda _: 0.5, _zeros)).planned.values() if len(set(fit.rows().train)) == 2
    )

    def trainer(fit: PlannedFit) -> FitResult:
        found = scripted(lambda _: 0.5, _zeros)(fit)
        return found if fit.number == asked_all else replace(found, status=FitStatus.DIVERGED, evaluation=None)

    result = run(spec, two, trainer).result
    assert result["out_of_bag"] == {"rows": 0, "coverage": 0.0, "figures": None}
    assert result["model"] == {"fits": [asked_all], "vote": None, "weights": None}
    assert result["val"] is result["test"] is result["disagreement"] is None
    assert result["curve"] == []
    assert len(result["left_out"]) == 11


def _zeros(_: PlannedFit, asked: Array) -> Array:
    return np.zeros((len(asked), 1))


def test_the_loss_of_the_ensemble_is_that_of_the_averaged_answer() -> None:
    """B064."""

    def says(fit: PlannedFit, asked: Array) -> Array:
        right = 0.9 if fit.place["member"] == 1 else 0.1
        return _probabilities(np.where(asked % 2 == 1, right, 1 - right))

    result = _bagged(TEN, _saying(says), members=2).result
    for part in ("val", "test"):
        assert result[part]["loss"]["value"] == pytest.approx(0.6931, abs=5e-5)
        assert result["mean_member"][part]["loss"] == pytest.approx(1.2040, abs=5e-5)
        assert result["loss_gain"][part]["value"] == pytest.approx(1.2040 - 0.6931, abs=1e-4)
    assert result["disagreement"] == 1
    assert [line["label"] for line in result["standings"]] == ["ensemble", "member 1", "member 2"]
    assert [point["val"]["loss"] for point in result["curve"]] == pytest.approx([0.1054, 0.6931], abs=5e-5)


def test_a_hard_vote_counts_named_classes_and_has_no_loss() -> None:
    def says(fit: PlannedFit, asked: Array) -> Array:
        return _probabilities(np.where((asked % 2 == 1) == (fit.place["member"] != 3), 0.6, 0.0))

    soft, hard = (_bagged(TEN, _saying(says), members=3, vote=vote).result for vote in ("soft", "hard"))
    assert set(hard["val"]) == {"accuracy"}
    assert hard["val"]["accuracy"]["value"] == 1
    assert soft["val"]["accuracy"]["value"] < 1
    assert hard["loss_gain"] == {"val": None, "test": None}
    assert hard["model"]["vote"] == hard["vote"] == "hard"


def test_of_numbers_the_mean_votes_and_the_gain_is_the_ambiguity() -> None:
    """Krogh & Vedelsby (1995): error of the mean = mean error - mean squared distance from the mean."""
    numbers = a_dataset(np.arange(30.0)[:, None], np.arange(30.0) + 1000, name="numbers")

    def answer(fit: PlannedFit, asked: Array) -> Array:
        return (asked + 1000 + np.random.default_rng(fit.number).normal(0, 2, 30)[asked])[:, None]

    ran = _bagged(numbers, _saying(answer), members=5)
    val = ran.planned[1].rows().val
    answers = np.stack([answer(fit, val)[:, 0] for fit in ran.planned.values()])
    result = ran.result
    assert result["vote"] == result["model"]["vote"] == "mean"
    assert result["val"]["loss"]["value"] == pytest.approx(((answers.mean(axis=0) - numbers.y[val]) ** 2).mean())
    assert result["disagreement"] == pytest.approx(answers.var(axis=0).mean())
    assert result["loss_gain"]["val"]["value"] == pytest.approx(result["disagreement"])
    assert set(result["val"]) == {"loss", "rmse", "r2"}


def test_draws_without_replacement_are_distinct_and_their_score_is_not_called_out_of_bag() -> None:
    """B065."""
    ran = _bagged(TEN, _saying(lambda _, asked: _probabilities(asked * 0.05)), members=4, bootstrap=False, sample_fraction=0.5)
    assert all(len(set(fit.rows().train)) == len(fit.rows().train) == 3 for fit in ran.planned.values())
    assert ran.result["out_of_bag"] is None
    assert ran.result["not_drawn"]["rows"] > 0


def test_members_that_cannot_vote_are_left_out_and_named() -> None:
    def trainer(fit: PlannedFit) -> FitResult:
        found = _saying(lambda _, asked: _probabilities(np.full(len(asked), 0.2)))(fit)
        if fit.number == 2:
            return replace(found, status=FitStatus.DIVERGED, evaluation=None, outputs=None)
        if fit.number == 3:
            return replace(found, outputs=lambda: np.full((len(fit.rows().asked), 2), np.nan))  # type: ignore[arg-type]  # it asks
        return found

    result = _bagged(TEN, trainer, members=4).result
    assert result["left_out"] == [2, 3]
    assert result["model"]["fits"] == [1, 4]
    assert [fit["status"] for fit in result["fits"]] == ["finished", "diverged", "finished", "finished"]
    assert is_finite(result)


def test_a_job_of_which_no_member_finishes_fails_with_its_first_ones_reason() -> None:
    def trainer(fit: PlannedFit) -> FitResult:
        return replace(scripted(lambda _: 0.5)(fit), status=FitStatus.DIVERGED, evaluation=None, message=f"member {fit.number}")

    end = _bagged(TEN, trainer, members=3).conclusion
    assert (end.result, end.failure, end.message) == (None, FailureKind.DIVERGED, "member 1")


def test_what_bagging_cannot_do_is_refused() -> None:
    assert _codes("classes") == []
    assert _codes("classes", split={"name": "k_fold", "folds": 3}) == [("/split", "needs_one_division")]
    assert _codes("numbers", vote="hard") == [("/plan/vote", "does_not_apply")]
    assert _codes("classes", bootstrap=False) == [("/plan/bootstrap", "no_effect")]
    assert _codes("classes", bootstrap=False, sample_fraction=0.99) == [("/plan/sample_fraction", "no_effect")]
    assert _codes("classes", bootstrap=False, sample_fraction=0.5) == []


def test_a_class_that_a_draw_lacks_keeps_its_column() -> None:
    """B064."""
    rare = a_dataset(np.arange(12.0)[:, None], [0, 1] * 5 + [0, 2], name="rare")
    spec = resolved(
        rare,
        plan={"name": "bagging", "members": 6},
        split={"name": "holdout", "val_fraction": 0.2, "stratify": False},
        training={"max_epochs": 1},
        network={"name": "mlp", "hidden_units": [2]},
        evaluation={"resamples": 100},
    ).spec
    ran = run(spec, rare, real(rare))
    assert any(2 not in rare.y[fit.rows().train] for fit in ran.planned.values())
    assert len(ran.result["model"]["fits"]) == 6


def test_labels_without_meaning_score_one_half_out_of_the_bag() -> None:
    """B065: coin flips."""
    draws = np.random.default_rng(5)
    coins = a_dataset(draws.normal(size=(300, 4)), draws.integers(0, 2, 300), name="coins")
    spec = resolved(
        coins,
        plan={"name": "bagging", "members": 8},
        split={"name": "holdout", "val_fraction": 0.1},
        network={"name": "mlp", "hidden_units": [16]},
        optimizer={"name": "adam", "learning_rate": 0.01},
        training={"max_epochs": 10, "batch_size": 32, "kept_weights": "last"},
        evaluation={"resamples": 200},
    ).spec
    result = run(spec, coins, real(coins)).result
    accuracy = result["out_of_bag"]["figures"]["accuracy"]
    assert accuracy["low"] < 0.5 < accuracy["high"]
    assert np.mean([fit["train"]["accuracy"] for fit in result["fits"]]) > 0.6  # in the bag they look better than they are


def test_bagging_beats_its_mean_member_on_digits() -> None:
    digits = builtin.load("digits")
    spec = resolved(
        digits,
        plan={"name": "bagging", "members": 8},
        network={"name": "mlp", "hidden_units": [16]},
        optimizer={"name": "adam", "learning_rate": 0.01},
        training={"max_epochs": 4, "batch_size": 64},
        evaluation={"resamples": 100},
    ).spec
    result = run(spec, digits, real(digits)).result
    assert result["val"]["accuracy"]["value"] > result["mean_member"]["val"]["accuracy"]
    assert result["loss_gain"]["val"]["low"] > 0

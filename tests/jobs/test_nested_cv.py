"""Nested cross-validation measures a search on rows that the search has not seen."""

from typing import Any

import numpy as np
import pytest

from data.dataset import Dataset
from jobs.limits import Limits
from jobs.plans.fits import FitResult, PlannedFit
from jobs.plans.nested_cv.problems import problems
from jobs.plans.nested_cv.spec import NestedCvPlanSpec
from jobs.problems import SpecProblems
from jobs.spec import JobSpec
from jobs.states import FailureKind, FitStatus
from tests.factories import a_dataset
from tests.plans import real, resolved, run, scripted

DRAWS = np.random.default_rng(0)
X = DRAWS.normal(size=(60, 3))
ROWS = a_dataset(X, (X[:, 0] > 0).astype(int))
A, B = 0.1, 0.2
SPACE = {"/optimizer/learning_rate": {"values": [A, B]}}
OUTER = {"name": "k_fold", "folds": 3}
INNER = {"name": "k_fold", "folds": 2}


def _spec(dataset: Dataset = ROWS, *, search: dict[str, Any] | None = None, inner: dict[str, Any] | None = None, **fields: Any) -> JobSpec:
    plan = {"name": "nested_cv", "inner_split": inner or INNER, "search": {"space": SPACE, **(search or {})}}
    return resolved(dataset, **{"split": OUTER, "training": {"max_epochs": 4}, "plan": plan, **fields}).spec


def _rate(fit: PlannedFit) -> float:
    return float(fit.spec.optimizer.learning_rate)


def _is_inner(fit: PlannedFit) -> bool:
    return fit.num_rows["val"] > 0


def test_the_outer_score_is_that_of_the_inner_choice_and_not_of_what_is_best_outside() -> None:
    """B031. A has an accuracy of 0.6 on the outer fold and B 0.9, and the inner folds choose A: the outer score is 0.6."""
    losses = {(A, True): 0.2, (B, True): 0.3, (A, False): 0.4, (B, False): 0.1}
    spec = _spec(search={"metric": "val_accuracy"})
    result = run(spec, ROWS, scripted(lambda fit: losses[_rate(fit), _is_inner(fit)])).result
    assert [one["outer_score"] for one in result["folds"]] == pytest.approx([0.6] * 3)
    assert [one["inner_score"] for one in result["folds"]] == pytest.approx([0.8] * 3)
    assert result["outer_score"]["mean"] == pytest.approx(0.6)
    assert result["optimism"]["mean"] == pytest.approx(0.2)
    assert [(one["settings"], one["count"]) for one in result["chosen"]] == [({"/optimizer/learning_rate": A}, 3)]


def test_the_optimism_of_a_loss_is_outer_minus_inner() -> None:
    losses = {(A, True): 0.2, (B, True): 0.3, (A, False): 0.5, (B, False): 0.1}
    result = run(_spec(), ROWS, scripted(lambda fit: losses[_rate(fit), _is_inner(fit)])).result
    assert result["optimism"]["mean"] == pytest.approx(0.3)
    assert "on average the inner score was 0.3 too optimistic" in result["sentence"]


@pytest.mark.parametrize(
    "outer",
    [
        OUTER,
        {"name": "k_fold", "folds": 3, "test_fraction": 0.2},
        {"name": "time_series", "folds": 3},
        {"name": "holdout", "test_fraction": 0.2},
    ],
)
@pytest.mark.parametrize("inner", [INNER, {"name": "time_series", "folds": 2}, {"name": "holdout"}])
@pytest.mark.parametrize(
    "search", [{}, {"halving": {"factor": 2, "first_epochs": 1}}, {"method": "bayesian", "candidates": 2, "at_once": 1}]
)
def test_no_fit_of_a_search_sees_rows_that_it_is_measured_on(outer: dict[str, Any], inner: dict[str, Any], search: dict[str, Any]) -> None:
    """B031."""
    spec = _spec(inner=inner, search=search, split=outer)
    folds = resolved(ROWS, split=outer).divisions
    seen: list[tuple[PlannedFit, dict[str, np.ndarray]]] = []
    trainer = scripted(_rate)

    def watched(fit: PlannedFit) -> FitResult:
        rows = fit.rows()
        seen.append((fit, {"train": rows.train, "val": rows.val, "test": rows.test}))
        found = trainer(fit)
        known = {epoch: figures for other in earlier.get(fit.number, []) for epoch, figures in other.rungs.items()}
        found = FitResult(**{**vars(found), "rungs": {**known, **found.rungs}})
        earlier.setdefault(fit.number, []).append(found)
        return found

    earlier: dict[int, list[FitResult]] = {}
    ran = run(spec, ROWS, watched)
    measuring = [fit for fit, rows in seen if len(rows["test"])]
    assert len(measuring) == len(folds)
    for i, fold in enumerate(folds, start=1):
        mine = [(fit, rows) for fit, rows in seen if fit.place["fold"] == i]
        searched = [rows for fit, rows in mine if fit not in measuring]
        assert searched
        for rows in searched:
            together = np.concatenate([rows["train"], rows["val"]])
            assert np.isin(together, fold.train).all()
            assert len(np.intersect1d(rows["train"], rows["val"])) == 0
            assert len(rows["val"]) > 0
        [last] = [rows for fit, rows in mine if fit in measuring]
        assert np.array_equal(last["train"], fold.train)
        assert np.array_equal(last["test"], fold.val)
        assert not any(np.isin(rows[part], fold.test).any() for _, rows in mine for part in rows)
    assert ran.result["model"] is None


def test_outer_folds_are_searched_at_the_same_time_and_what_is_to_come_ends_at_nothing() -> None:
    ran = run(_spec(), ROWS, scripted(_rate))
    assert [len(one.fits) for one in ran.rounds] == [3 * 2 * 2, 3]
    assert [(one.later_fits, one.later_steps) for one in ran.rounds] == [(3, 3 * 2 * 4), (0, 0)]
    first, last = ran.rounds[0].fits[0], ran.rounds[1].fits[2]
    assert (first.label, first.place) == ("fold 1, learning_rate=0.1, inner fold 1", {"fold": 1, "candidate": 1, "inner_fold": 1})
    assert (last.label, last.place) == ("fold 3, learning_rate=0.1", {"fold": 3, "candidate": 1})
    assert first.origin == "/plan/search/space"


def test_the_choice_is_fitted_to_the_median_best_epoch_of_its_inner_fits() -> None:
    def trainer(fit: PlannedFit) -> FitResult:
        found = scripted(_rate)(fit)
        return FitResult(**{**vars(found), "best_epoch": 2 + int(fit.place.get("inner_fold", 0))})

    ran = run(_spec(), ROWS, trainer)
    assert [fit.stop_at for fit in ran.rounds[1].fits] == [4, 4, 4]  # of 3 and 4, halves up
    assert all(fit.num_rows["val"] == 0 for fit in ran.rounds[1].fits)


def test_folds_that_choose_differently_are_counted() -> None:
    def loss(fit: PlannedFit) -> float:
        return abs(_rate(fit) - (A if fit.place["fold"] == 1 else B))

    result = run(_spec(), ROWS, scripted(loss)).result
    assert [(one["label"], one["count"]) for one in result["chosen"]] == [("learning_rate=0.2", 2), ("learning_rate=0.1", 1)]
    assert "learning_rate=0.2 is chosen 2 of 3 times" in result["sentence"]


def test_the_outer_rows_are_pooled_where_their_outputs_are_known() -> None:
    def outputs(_: PlannedFit, rows: np.ndarray) -> np.ndarray:
        return np.column_stack([1 - ROWS.y[rows], ROWS.y[rows]]) * 0.8 + 0.1

    result = run(_spec(), ROWS, scripted(_rate, outputs)).result
    assert result["pooled"]["rows"] == 60
    assert result["pooled"]["accuracy"]["value"] == 1
    assert result["pooled"]["loss"]["value"] == pytest.approx(-np.log(0.9))
    assert run(_spec(), ROWS, scripted(_rate)).result["pooled"] is None


def _lost(fit: PlannedFit) -> FitResult:
    return FitResult(
        number=fit.number, status=FitStatus.DIVERGED, row_hash=fit.row_hash, best_epoch=0, kept_epoch=None, evaluation=None, message="gone"
    )


def test_an_inner_fit_that_diverges_only_loses() -> None:
    ran = run(_spec(), ROWS, lambda fit: _lost(fit) if fit.number == 1 else scripted(_rate)(fit))
    assert [one["choice"]["chosen"] for one in ran.result["folds"]] == [2, 1, 1]


def test_an_outer_fit_that_diverges_fails_the_job() -> None:
    ran = run(_spec(), ROWS, lambda fit: scripted(_rate)(fit) if _is_inner(fit) or fit.place["fold"] != 2 else _lost(fit))
    assert ran.conclusion.failure is FailureKind.DIVERGED
    assert ran.conclusion.message == "gone"


def test_an_outer_fold_without_a_choice_fails_the_job() -> None:
    ran = run(_spec(), ROWS, lambda fit: _lost(fit) if fit.place["fold"] == 2 else scripted(_rate)(fit))
    assert ran.conclusion.failure is FailureKind.DIVERGED


def test_a_search_over_random_labels_scores_chance_and_had_believed_to_be_better() -> None:
    """B031. Several settings, few rows and labels that nothing explains: the inner score is the best of luck.

    An interval of 95 % misses chance now and then: of the seeds 0 to 7 of this case, one does (0); all are optimistic.
    """
    draws = np.random.default_rng(3)
    noise = a_dataset(draws.normal(size=(60, 4)), draws.permutation(np.arange(60) % 2))
    space = {"/optimizer/learning_rate": {"values": [0.3, 0.1, 0.03]}, "/network/hidden_units": {"values": [[4], [16]]}}
    spec = _spec(
        noise,
        inner={"name": "holdout"},
        search={"space": space, "metric": "val_accuracy"},
        training={"max_epochs": 3, "batch_size": 20},
        evaluation={"resamples": 100},
    )
    result = run(spec, noise, real(noise)).result
    pooled = result["pooled"]["accuracy"]
    assert pooled["low"] <= 0.5 <= pooled["high"]
    assert result["outer_score"]["low"] <= 0.5 <= result["outer_score"]["high"]
    assert result["optimism"]["mean"] > 0


def _found(dataset: Dataset = ROWS, limits: Limits | None = None, **fields: Any) -> list[tuple[str, str]]:
    plan = {"name": "nested_cv", "inner_split": fields.pop("inner", INNER), "search": {"space": SPACE, **fields.pop("search", {})}}
    spec = resolved(dataset, **{"split": OUTER, "training": {"max_epochs": 4}, **fields}).spec
    spec = spec.model_copy(update={"plan": NestedCvPlanSpec.model_validate(plan)})
    return [(one.pointer, one.code) for one in problems(spec, dataset, limits)]


def test_a_sound_plan_has_no_problems_and_a_wrong_one_is_refused_where_it_is_wrong() -> None:
    assert _found() == []
    assert _found(inner={"name": "holdout"}) == []
    assert _found(inner={"name": "holdout", "val_fraction": 0}) == [("/plan/inner_split/val_fraction", "needs_validation")]
    assert _found(inner={**INNER, "test_fraction": 0.1}) == [("/plan/inner_split/test_fraction", "no_effect")]
    assert _found(split={"name": "holdout", "val_fraction": 0}) == [("/split", "needs_validation")]
    assert _found(inner={"name": "holdout"}, search={"choose": "one_standard_error"}) == [("/plan/search/choose", "needs_folds")]
    assert _found(limits=Limits(max_fits=15)) == []
    assert _found(limits=Limits(max_fits=14)) == [("/plan/search/space", "too_many_fits")]
    assert _found(search={"metric": "val_rmse"}) == [("/plan/search/metric", "does_not_apply")]
    assert _found(search={"method": "bayesian", "candidates": 3}) == [("/plan/search/candidates", "too_few_settings")]
    plateau = {"/schedule": {"values": [{"name": "reduce_on_plateau", "patience": 1}]}}
    assert _found(search={"space": plateau}) == [("/plan/search", "needs_validation")]
    [(pointer, _)] = _found(inner={"name": "k_fold", "folds": 50})
    assert pointer.startswith("/plan/inner_split")


def test_r2_does_not_choose_where_inner_validation_targets_have_no_variation() -> None:
    numbers = a_dataset(np.arange(9.0)[:, None], np.arange(9.0))
    assert _found(numbers, inner={"name": "k_fold", "folds": 3}, search={"metric": "val_r2"}) == []
    assert _found(numbers, inner={"name": "k_fold", "folds": 6}, search={"metric": "val_r2"}) == [("/plan/search/metric", "does_not_apply")]
    assert _found(numbers, inner={"name": "k_fold", "folds": 6}) == []


def test_a_candidate_that_cannot_be_trained_is_refused_at_its_axis() -> None:
    with pytest.raises(SpecProblems) as refused:
        _spec(search={"space": {"/network/hidden_units": {"values": [[4], [0]]}}})
    assert [one.pointer for one in refused.value.problems] == ["/plan/search/space/~1network~1hidden_units"]

"""The plan search: what is tried, what is chosen, and what the test rows are measured by."""

from typing import Any

import numpy as np
import pytest

from data.dataset import Dataset
from jobs.limits import Limits
from jobs.plans.fits import FitResult, PlannedFit
from jobs.plans.search.problems import problems
from jobs.plans.search.spec import SearchPlanSpec, SearchSpec
from jobs.problems import SpecProblems
from jobs.spec import JobSpec
from jobs.states import FailureKind, FitStatus
from tests.factories import a_dataset
from tests.plans import Trainer, real, resolved, run, scripted

RATES = {"/optimizer/learning_rate": {"values": [0.3, 0.1, 0.01]}}
FOLDS = {"name": "k_fold", "folds": 3}
RANGE = {"/optimizer/learning_rate": {"low": 1e-4, "high": 1.0, "log": True}}


def _rows(count: int = 60, classes: int = 2) -> Dataset:
    draws = np.random.default_rng(0)
    x = draws.normal(size=(count, 3))
    return a_dataset(x, (x[:, 0] > 0).astype(int) + (classes - 2) * (x[:, 1] > 0))


ROWS = _rows()


def _search(space: dict[str, Any], dataset: Dataset = ROWS, **fields: Any) -> Any:
    plan = {"name": "search", "space": space, **fields.pop("plan", {})}
    return resolved(dataset, **{"split": FOLDS, "training": {"max_epochs": 3}, "plan": plan, **fields}).spec


def _rate(fit: PlannedFit) -> float:
    return float(fit.spec.optimizer.learning_rate)


def _by_rate(losses: dict[float, list[float]]) -> Trainer:
    """Give each setting's fits the losses listed, fold by fold."""
    return scripted(lambda fit: losses[_rate(fit)][int(fit.place.get("fold", 1)) - 1])


LOSSES = {0.3: [0.2, 0.3, 0.4], 0.1: [0.1, 0.2, 0.3], 0.01: [0.5, 0.1, 0.6]}


def test_every_candidate_is_fitted_on_every_division_with_the_jobs_seed_and_named_by_what_is_set() -> None:
    space = {**RATES, "/regularization/l2": {"values": [0, 0.01]}}
    ran = run(spec := _search(space), ROWS, scripted(_rate))
    fits = [fit for fit in ran.planned.values() if "fold" in fit.place]
    assert len(fits) == 3 * 2 * 3
    assert {fit.seed for fit in fits} == {spec.seed}
    assert fits[3].label == "learning_rate=0.3, l2=0.01, fold 1"
    assert fits[3].place == {"candidate": 2, "fold": 1}
    assert fits[3].origin == "/plan/space"
    assert fits[3].overrides == {"/optimizer/learning_rate": 0.3, "/regularization/l2": 0.01}


def test_the_best_mean_over_folds_is_chosen_and_its_figures_are_by_hand() -> None:
    result = run(_search(RATES), ROWS, _by_rate(LOSSES)).result
    assert result["choice"] | {"settings": None, "best_epoch": None} == {
        "chosen": 2, "best": 2, "rule": "best", "standard_error": None, "threshold": None, "within": [2], "settings": None, "best_epoch": None,
    }  # fmt: skip
    first = result["candidates"][0]
    assert first["score"]["mean"] == pytest.approx(0.3)
    assert first["score"]["std"] == pytest.approx(0.1)
    assert first["values"] == [0.2, 0.3, 0.4]
    assert first["fits"] == [1, 2, 3]
    assert first["generalization_gap"] == pytest.approx(0.1)
    assert "learning_rate=0.1 is chosen" in result["sentence"]


def test_an_accuracy_is_chosen_upwards() -> None:
    spec = _search(RATES, plan={"metric": "val_accuracy"})
    result = run(spec, ROWS, _by_rate(LOSSES)).result
    assert result["choice"]["chosen"] == 2
    assert result["candidates"][1]["values"] == pytest.approx([0.9, 0.8, 0.7])


def test_of_equal_candidates_the_first_is_chosen() -> None:
    assert run(_search(RATES), ROWS, scripted(lambda _: 0.5)).result["choice"]["chosen"] == 1


def _one_error(losses: dict[str, list[float]], settings: dict[str, dict[str, Any]], **plan: Any) -> dict[str, Any]:
    """Run settings named by their width and l2 under the one-standard-error rule."""
    space = {pointer: {"values": values} for pointer, values in settings.items()}
    spec = _search(space, plan={"choose": "one_standard_error", **plan})
    return run(
        spec,
        ROWS,
        scripted(
            lambda fit: losses[f"{fit.spec.network.hidden_units[0]} {fit.spec.regularization.l2:g}"][int(fit.place.get("fold", 1)) - 1]
        ),  # type: ignore[union-attr]
    ).result


def test_one_standard_error_chooses_the_fewest_parameters_among_what_is_as_good() -> None:
    """The best candidate's s is 0.1 over 3 folds: the threshold is 0.3 + 0.1 / sqrt(3) = 0.35774."""
    losses = {"64 0": [0.2, 0.3, 0.4], "16 0": [0.35, 0.35, 0.35], "4 0": [0.36, 0.36, 0.36]}
    result = _one_error(losses, {"/network/hidden_units": [[64], [16], [4]]})  # type: ignore[dict-item]
    choice = result["choice"]
    assert (choice["best"], choice["chosen"], choice["within"]) == (1, 2, [1, 2])
    assert choice["standard_error"] == pytest.approx(0.1 / np.sqrt(3))
    assert choice["threshold"] == pytest.approx(0.3577350)
    assert "by the rule of one standard error among 2 candidates within it" in result["sentence"]


def test_one_standard_error_prefers_the_strongest_l2_and_then_the_first() -> None:
    losses = {"8 0": [0.2, 0.3, 0.4], "8 0.1": [0.31, 0.31, 0.31], "8 0.01": [0.305, 0.305, 0.305]}
    space: dict[str, Any] = {"/network/hidden_units": [[8]], "/regularization/l2": [0, 0.1, 0.01]}
    assert _one_error(losses, space)["choice"]["chosen"] == 2
    losses["8 0.1"] = [0.36, 0.36, 0.36]
    assert _one_error(losses, space)["choice"]["chosen"] == 3
    same = {"8 0": [0.2, 0.3, 0.4], "9 0": [0.2, 0.3, 0.4]}
    assert _one_error(same, {"/network/hidden_units": [[8], [9]]})["choice"]["chosen"] == 1  # type: ignore[dict-item]


def test_one_standard_error_of_an_accuracy_is_below_the_best() -> None:
    losses = {"64 0": [0.2, 0.3, 0.4], "16 0": [0.35, 0.35, 0.35], "4 0": [0.36, 0.36, 0.36]}
    choice = _one_error(losses, {"/network/hidden_units": [[64], [16], [4]]}, metric="val_accuracy")["choice"]  # type: ignore[dict-item]
    assert (choice["best"], choice["chosen"]) == (1, 2)
    assert choice["threshold"] == pytest.approx(0.7 - 0.1 / np.sqrt(3))


def test_the_test_rows_are_measured_once_by_the_refit_alone() -> None:
    spec = _search(RATES, split={"name": "holdout", "test_fraction": 0.2}, evaluation={"resamples": 100})
    train, seen = real(ROWS), []

    def watched(fit: PlannedFit) -> FitResult:
        rows = fit.rows()
        seen.append((fit.label, len(rows.test), np.intersect1d(np.concatenate([rows.train, rows.val]), test)))
        return train(fit)

    [division] = resolved(ROWS, split={"name": "holdout", "test_fraction": 0.2}).divisions
    test = division.test
    ran = run(spec, ROWS, watched)
    assert [label for label, size, _ in seen if size] == ["refit"]
    assert all(len(shared) == 0 for _, _, shared in seen)
    refit = ran.planned[4]
    assert np.array_equal(np.sort(refit.rows().train), np.setdiff1d(np.arange(60), test))
    measured = [one["label"] for one in ran.result["fits"] if one["test"] is not None]
    assert measured == ["refit"]
    assert ran.result["refit"]["test"]["loss"]["low"] <= ran.result["refit"]["test"]["loss"]["value"]
    assert ran.result["model"] == {"fits": [4], "vote": None, "weights": None}
    assert ran.results[4].kept_epoch == ran.result["choice"]["best_epoch"]
    assert "12 rows" in ran.result["sentence"]


def test_the_refit_goes_to_the_median_best_epoch() -> None:
    epochs = iter([1, 2, 3])

    def trainer(fit: PlannedFit) -> FitResult:
        found = scripted(lambda _: 0.5)(fit)
        return found if "fold" not in fit.place else FitResult(**{**vars(found), "best_epoch": next(epochs)})

    ran = run(_search({"/optimizer/learning_rate": {"values": [0.1]}}), ROWS, trainer)
    assert ran.planned[4].stop_at == 2
    assert ran.planned[4].spec.early_stopping is None
    assert ran.result["choice"]["best_epoch"] == 2


def test_without_a_refit_a_single_division_leaves_the_chosen_fit_and_folds_none() -> None:
    losses = {0.3: [0.3], 0.1: [0.1], 0.01: [0.2]}
    alone = run(_search(RATES, split={"name": "holdout", "test_fraction": 0.1}, plan={"refit": False}), ROWS, _by_rate(losses))
    assert alone.result["model"]["fits"] == [2]
    assert alone.result["refit"] is None
    assert all(fit.num_rows["test"] == 0 for fit in alone.planned.values())
    folds = run(_search(RATES, plan={"refit": False}), ROWS, _by_rate(LOSSES))
    assert folds.result["model"] is None
    assert len(folds.planned) == 9


def _diverging(rates: set[float], fold: int, inner: Trainer) -> Trainer:
    def trainer(fit: PlannedFit) -> FitResult:
        if _rate(fit) in rates and fit.place.get("fold") == fold:
            found = {"number": fit.number, "status": FitStatus.DIVERGED, "row_hash": fit.row_hash, "best_epoch": 0, "kept_epoch": None}
            return FitResult(**found, evaluation=None, message="no longer finite in epoch 1")  # type: ignore[arg-type]
        return inner(fit)

    return trainer


def test_a_candidate_with_a_diverged_fit_never_wins() -> None:
    ran = run(_search(RATES), ROWS, _diverging({0.1}, 3, _by_rate(LOSSES)))
    assert ran.result["choice"]["chosen"] == 1
    failed = ran.result["candidates"][1]
    assert (failed["status"], failed["score"], failed["message"]) == ("failed", None, "no longer finite in epoch 1")
    assert failed["values"] == [0.1, 0.2, None]


def test_a_search_without_a_candidate_that_finished_fails_as_its_fits_did() -> None:
    ran = run(_search(RATES), ROWS, _diverging({0.3, 0.1, 0.01}, 2, _by_rate(LOSSES)))
    assert ran.conclusion.result is None
    assert ran.conclusion.failure is FailureKind.DIVERGED


def test_a_refit_that_diverges_leaves_what_was_found() -> None:
    def trainer(fit: PlannedFit) -> FitResult:
        return _diverging({0.1}, 1, scripted(lambda _: 0.1))(fit) if "fold" in fit.place else _lost(fit)

    def _lost(fit: PlannedFit) -> FitResult:
        return FitResult(
            number=fit.number,
            status=FitStatus.DIVERGED,
            row_hash=fit.row_hash,
            best_epoch=0,
            kept_epoch=None,
            evaluation=None,
            message="why",
        )

    result = run(_search(RATES), ROWS, trainer).result
    assert result["model"] is None
    assert "refit on all rows but the test rows diverged" in result["sentence"]


def test_what_is_to_come_is_bounded_and_ends_at_nothing() -> None:
    """40 training rows in batches of 32 are 2 steps for 3 epochs; all 60 rows are 2 as well."""
    plan = {"method": "bayesian", "candidates": 10, "at_once": 4}
    space = {**RANGE, "/training/batch_size": {"values": [32, 20]}}
    ran = run(_search(space, plan=plan), ROWS, scripted(_rate))
    assert [one.later_fits for one in ran.rounds] == [19, 7, 1, 0]
    assert [one.later_steps for one in ran.rounds] == [6 * 3 * 6 + 9, 2 * 3 * 6 + 9, 9, 0]
    for i, one in enumerate(ran.rounds):
        after = [fit for later in ran.rounds[i + 1 :] for fit in later.fits]
        assert len(after) <= one.later_fits
        assert sum(fit.steps_planned for fit in after) <= one.later_steps


def test_an_outer_pointer_is_set_before_what_leads_into_it() -> None:
    space = {"/optimizer/learning_rate": {"values": [0.1, 0.2]}, "/optimizer": {"values": [{"name": "sgd"}, {"name": "nag"}]}}
    ran = run(_search(space), ROWS, scripted(_rate))
    found = {(fit.spec.optimizer.name, _rate(fit)) for fit in ran.planned.values()}
    assert found == {("sgd", 0.1), ("sgd", 0.2), ("nag", 0.1), ("nag", 0.2)}


BAYESIAN = {"method": "bayesian", "candidates": 16, "at_once": 4}


def test_bayesian_candidates_are_the_same_on_replay_and_others_by_another_seed() -> None:
    spec = _search(RANGE, plan=BAYESIAN, split={"name": "holdout"})
    ran, again = run(spec, ROWS, scripted(_rate)), run(spec, ROWS, scripted(_rate))
    assert ran.result == again.result
    assert [len(one.fits) for one in ran.rounds] == [4] * 4 + [1]
    assert run(spec.model_copy(update={"seed": 1}), ROWS, scripted(_rate)).result["candidates"] != ran.result["candidates"]


def test_bayesian_trains_a_setting_once_however_often_it_is_proposed() -> None:
    ran = run(_search({"/optimizer/learning_rate": {"values": [i / 20 for i in range(1, 17)]}}, plan=BAYESIAN), ROWS, scripted(_rate))
    tried = [one["settings"]["/optimizer/learning_rate"] for one in ran.result["candidates"]]
    assert len(set(tried)) == len(tried) < 16
    assert len(ran.planned) == len(tried) * 3 + 1


def test_a_proposal_that_cannot_be_trained_counts_as_failed() -> None:
    """Two groups divide the widths 4 and 8, which are the corners, but neither 5 nor 7."""
    space = {"/network/hidden_units/0": {"low": 4, "high": 8, "integer": True}, **RANGE}
    network = {"name": "mlp", "hidden_units": [4], "normalization": {"name": "group_norm", "groups": 2}}
    fields: dict[str, Any] = {"plan": {**BAYESIAN, "candidates": 10}, "network": network}
    assert _found(space, **fields) == []
    ran = run(_search(space, **fields), ROWS, scripted(lambda fit: 1 / float(fit.spec.network.hidden_units[0])))
    by_width = {one["settings"]["/network/hidden_units/0"]: one for one in ran.result["candidates"]}
    assert {5, 7} & set(by_width)
    for width, one in by_width.items():
        is_sound = width % 2 == 0
        assert (one["status"], len(one["fits"])) == (("finished", 3) if is_sound else ("failed", 0))
        assert is_sound or "group" in one["message"]
    assert [fit.number for fit in ran.planned.values()] == list(range(1, len(ran.planned) + 1))


def _unchecked(space: dict[str, Any], dataset: Dataset = ROWS, **fields: Any) -> JobSpec:
    """Resolve all but the plan."""
    plan = SearchPlanSpec.model_validate({"name": "search", "space": space, **fields.pop("plan", {})})
    spec = resolved(dataset, **{"split": FOLDS, "training": {"max_epochs": 3}, **fields}).spec
    return spec.model_copy(update={"plan": plan})


def _found(space: dict[str, Any] = RATES, dataset: Dataset = ROWS, limits: Limits | None = None, **fields: Any) -> list[tuple[str, str]]:
    return [(one.pointer, one.code) for one in problems(_unchecked(space, dataset, **fields), dataset, limits)]


@pytest.mark.parametrize(
    ("space", "plan", "problem"),
    [
        (RATES, {"candidates": 3}, ("/plan/candidates", "no_effect")),
        (RATES, {"at_once": 2}, ("/plan/at_once", "no_effect")),
        (RATES, {"metric": "val_r2"}, ("/plan/metric", "does_not_apply")),
        (RATES, {"method": "random"}, ("/plan/candidates", "too_few_settings")),
        (RATES, {"method": "bayesian", "candidates": 4}, ("/plan/candidates", "too_few_settings")),
        (RANGE, {"method": "bayesian", "candidates": 201}, ("/plan/candidates", "too_many_candidates")),
        (RANGE, {"method": "bayesian", "halving": {}}, ("/plan/halving", "does_not_apply")),
        (RATES, {"halving": {"first_epochs": 3}}, ("/plan/halving", "no_effect")),
        ({"/optimizer/learning_rate": {"values": [1]}}, {"halving": {}}, ("/plan/halving", "no_effect")),
        ({"/training/max_epochs": {"values": [2, 3]}}, {"halving": {}}, ("/plan/halving", "does_not_apply")),
        ({"/optimizer/learning_rate": {"values": [1, 2, 1.0]}}, {}, ("/plan/space/~1optimizer~1learning_rate/values/2", "repeated")),
        (RANGE, {}, ("/plan/space/~1optimizer~1learning_rate", "needs_values")),
        ({"/schedule": {"values": [{"name": "reduce_on_plateau", "patience": 1}]}}, {}, ("/plan/refit", "needs_validation")),
    ],
)  # fmt: skip
def test_what_a_search_cannot_be_is_refused_where_it_is_asked_for(space: dict[str, Any], plan: dict[str, Any], problem: Any) -> None:
    assert _found(space, plan=plan) == [problem]


def test_a_sound_search_has_no_problems() -> None:
    assert _found() == []
    assert _found(RANGE, plan={"method": "random", "halving": {"first_epochs": 1}}) == []
    assert _found(RANGE, plan={"method": "bayesian"}) == []
    assert _found(plan={"method": "bayesian", "candidates": 3}) == []
    assert _found(plan={"choose": "one_standard_error"}) == []


def test_a_search_needs_validation_rows_and_one_standard_error_folds() -> None:
    assert _found(split={"name": "holdout", "val_fraction": 0}) == [("/plan", "needs_validation")]
    assert _found(split={"name": "holdout"}, plan={"choose": "one_standard_error"}) == [("/plan/choose", "needs_folds")]


@pytest.mark.parametrize(
    ("folds", "y", "named"), [(12, np.arange(12.0), "in fold 1 "), (3, np.repeat([0.0, 1, 2], 4), "in fold 1 "), (3, np.arange(12.0), "")]
)
def test_r2_does_not_choose_where_validation_targets_have_no_variation(folds: int, y: np.ndarray, named: str) -> None:
    numbers = a_dataset(np.arange(12.0)[:, None], y, groups=np.arange(12) if folds == 12 else np.repeat([0, 1, 2], 4))
    split = {"name": "k_fold", "folds": folds, "by": "group"}
    found = list(problems(_unchecked(RATES, numbers, plan={"metric": "val_r2"}, split=split), numbers))
    assert [(one.pointer, one.code) for one in found] == [("/plan/metric", "does_not_apply")] * bool(named)
    assert all(named in one.message for one in found)


def test_a_huge_grid_is_refused_before_it_is_made() -> None:
    many = {"values": list(range(1, 1001))}
    huge = {"/optimizer/learning_rate": many, "/regularization/l2": many, "/regularization/l1": many, "/network/hidden_units/0": many}
    [problem] = problems(_unchecked(huge), ROWS)
    assert (problem.pointer, problem.code) == ("/plan/space", "too_many_fits")
    assert _found(limits=Limits(max_fits=10)) == []
    assert _found(limits=Limits(max_fits=9)) == [("/plan/space", "too_many_fits")]
    plan = {"method": "random", "candidates": 400}
    assert _found(RANGE, plan=plan) == [("/plan/candidates", "too_many_fits")]


def test_a_candidate_that_cannot_be_trained_is_refused_at_its_axis_and_named() -> None:
    space = {"/network/hidden_units": {"values": [[4], [0], [-1]]}, **RATES}
    with pytest.raises(SpecProblems) as refused:
        _search(space)
    assert {one.pointer for one in refused.value.problems} == {"/plan/space/~1network~1hidden_units"}
    assert "hidden_units=[0], learning_rate=0.3" in str(refused.value)


@pytest.mark.parametrize("plan", [{}, {"method": "bayesian", "candidates": 4}])
def test_rules_between_fields_hold_for_every_candidate(plan: dict[str, Any]) -> None:
    space = {"/network/hidden_units": {"values": [[4], []]}, "/network/dropout": {"values": [0.0, 0.5]}}
    found = list(problems(_unchecked(space, plan=plan), ROWS))
    assert [(one.pointer, one.code) for one in found] == [("/plan/space/~1network~1dropout", "no_effect")]
    assert "hidden_units=[], dropout=0.5" in found[0].message


def test_a_corner_that_no_network_can_be_built_for_is_refused() -> None:
    space = {"/network/hidden_units/0": {"low": 0, "high": 8, "integer": True}}
    network = {"name": "mlp", "hidden_units": [4]}
    assert _found(space, network=network, plan={"method": "bayesian", "candidates": 9}) == [
        ("/plan/space/~1network~1hidden_units~10", "greater_than_equal")
    ]


@pytest.mark.parametrize("axis", [{"low": 1, "high": 1}, {"low": 0, "high": 1, "log": True}, {"low": 0.5, "high": 2, "integer": True}, {"values": []}, {"values": [1], "low": 0}, {}])  # fmt: skip
def test_an_axis_that_holds_no_numbers_is_refused(axis: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        SearchSpec.model_validate({"space": {"/a": axis}})


def test_pointers_lead_only_to_what_may_vary() -> None:
    with pytest.raises(SpecProblems) as refused:
        _search({"/split/val_fraction": {"values": [0.1]}})
    assert [(one.pointer, one.code) for one in refused.value.problems] == [("/plan/space/~1split~1val_fraction", "cannot_vary")]

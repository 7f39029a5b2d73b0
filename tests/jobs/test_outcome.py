"""What a job concluded with, from the real result of each plan."""

from typing import Any

import pytest

from jobs.plans.conclusions import read_result, readable
from jobs.plans.outcome import Figure, Outcome, outcome_of
from tests.reports import PLANS, reported


def _read(name: str, task: str = "numbers") -> tuple[dict[str, Any], Outcome]:
    result = reported(name, task)[1]
    return result, outcome_of(read_result(result))


def _fit(result: dict[str, Any], number: int) -> dict[str, Any]:
    return next(fit for fit in result["fits"] if fit["number"] == number)


def _mean(result: dict[str, Any], found: Outcome, part: str = "val") -> float:
    return sum(_fit(result, number)[part]["loss"] for number in found.fits) / len(found.fits)


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("task", ["classes", "numbers"])
def test_its_fits_are_fits_of_the_job_and_every_plan_has_figures_under_the_names_of_curves(name: str, task: str) -> None:
    result, found = _read(name, task)
    assert found.fits
    assert {fit["number"] for fit in result["fits"]} >= set(found.fits)
    assert found.of
    metrics = {"loss", "accuracy"} if task == "classes" else {"loss", "rmse", "r2"}
    gaps = {"generalization_gap", *(f"{metric}_gap" for metric in metrics - {"loss"})}
    assert set(found.figures) <= {f"{part}_{metric}" for part in ("train", "val", "test") for metric in metrics} | gaps
    if (
        "boosting" not in name and "bagging" not in name and name != "nested_cv"
    ):  # a vote's gap is of no network, an outer fold has no inner figures
        assert gaps <= set(found.figures)
    assert set(found.figures) & {"val_loss", "val_accuracy", "test_loss"}


def test_of_one_fit_the_figures_are_its_own_with_their_intervals() -> None:
    result, found = _read("fit")
    assert (found.fits, found.of) == ([result["fit"]], "its fit")
    assert found.figures["val_loss"] == Figure(result["val"]["loss"]["value"], result["val"]["loss"]["low"], result["val"]["loss"]["high"])
    assert found.figures["generalization_gap"].value == result["generalization_gap"]["value"]


def test_of_folds_the_figures_are_means_and_the_test_figures_the_refits() -> None:
    result, found = _read("folds")
    assert found.of == "mean over 3 folds"
    assert found.fits == [fit["number"] for fit in result["fits"] if fit["val"]]
    assert result["fit"] not in found.fits
    assert found.figures["val_loss"].value == pytest.approx(_mean(result, found))
    assert found.figures["val_loss"].low == result["summary"]["val_loss"]["low"]


def test_of_a_comparison_they_are_the_best_variants() -> None:
    result, found = _read("comparison")
    best = result["variants"][0]
    assert (found.fits, found.of) == (best["fits"], f"variant {best['label']}, mean over 2 folds")
    assert found.figures["val_loss"].value == best["val_loss"]["value"] == pytest.approx(_mean(result, found))


def test_of_a_search_they_are_the_chosen_candidates_and_the_test_figures_the_refits() -> None:
    result, found = _read("search")
    chosen = next(one for one in result["candidates"] if one["number"] == result["choice"]["chosen"])
    assert (found.fits, found.of) == (chosen["fits"], f"candidate {chosen['number']}, mean over 2 folds")
    assert found.figures["val_loss"].value == chosen["score"]["mean"]
    assert found.figures["train_loss"].value == pytest.approx(_mean(result, found, "train"))
    assert found.figures["generalization_gap"].value == pytest.approx(chosen["generalization_gap"])


def test_of_nested_cross_validation_validation_is_that_of_the_outer_rows() -> None:
    result, found = _read("nested_cv")
    assert found.of == "the choices, mean over 2 outer folds; validation: the outer rows"
    assert found.figures["val_loss"].value == result["outer_score"]["mean"]
    assert found.figures["val_r2"].value == pytest.approx(sum(fold["outer"]["r2"]["value"] for fold in result["folds"]) / 2)


@pytest.mark.parametrize(("name", "task"), [("bagging", "numbers"), ("boosting", "classes")])
def test_of_an_ensemble_they_are_those_of_the_vote(name: str, task: str) -> None:
    result, found = _read(name, task)
    assert (found.fits, found.of) == (
        result["model"]["fits"],
        f"the vote of {len(result['model']['fits'])} members".replace("1 members", "1 member"),
    )
    metric = "accuracy" if task == "classes" else "r2"
    assert found.figures[f"val_{metric}"].value == result["val"][metric]["value"]
    assert ("val_loss" in found.figures) is ("loss" in result["val"])


def test_of_a_learning_curve_they_are_those_of_the_most_rows() -> None:
    result, found = _read("learning_curve")
    assert (found.fits, found.of) == (result["points"][-1]["fits"], "100 % of the rows, mean over 2 folds")
    assert found.figures["val_loss"].value == result["points"][-1]["val_loss"]["value"]


def test_of_bias_and_variance_they_are_those_of_the_setting_with_the_least_error() -> None:
    result, found = _read("axis of complexity")
    best = result["points"][result["best"]]
    assert found.of == f"{best['label']}, mean over 2 resamples"
    assert all(_fit(result, number)["label"].startswith(f"{best['label']}, resample") for number in found.fits)
    assert found.figures["val_loss"].value == pytest.approx(_mean(result, found))


def test_a_result_of_another_shape_is_none_and_no_fault() -> None:
    assert readable({"plan": "comparison", "best": "gone"}) is None
    assert readable({"plan": "no plan of today"}) is None
    assert readable(None) is None


def test_results_of_before_a_fit_could_have_folds_are_read() -> None:
    result = reported("fit", "numbers")[1]
    old = {name: value for name, value in result.items() if name not in {"sentence", "fits", "divisions", "summary"}}
    assert outcome_of(read_result(old)).figures["val_loss"].value == result["val"]["loss"]["value"]

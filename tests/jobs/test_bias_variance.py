"""Bias and variance: the terms add up, by hand and for any numbers; what the fits see; the U curve."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import builtin
from data.dataset import Array, Dataset
from jobs.plans.bias_variance.problems import problems
from jobs.plans.bias_variance.spec import BiasVariancePlanSpec
from jobs.plans.bias_variance.terms import squared_terms, zero_one_terms
from jobs.plans.fits import FitResult, PlannedFit
from jobs.problems import SpecProblems
from jobs.states import FailureKind, FitStatus
from tests.factories import a_dataset, is_finite
from tests.plans import Ran, Trainer, real, resolved, run, scripted

SINE = builtin.load("noisy_sine")
WIDTHS = {"/network/hidden_units": {"values": [[1], [2], [4]]}}


def _ran(dataset: Dataset, trainer: Trainer, **fields: Any) -> Ran:
    return run(resolved(dataset, plan={"name": "bias_variance", **fields}).spec, dataset, trainer)


def _saying(says: Callable[[PlannedFit, Array], Array]) -> Trainer:
    return scripted(lambda _: 0.5, says)


def _codes(plan: dict[str, Any], **fields: Any) -> list[tuple[str, str]]:
    spec = resolved(SINE, **fields).spec
    asked = BiasVariancePlanSpec.model_validate({"name": "bias_variance", **plan})
    return [(one.pointer, one.code) for one in problems(spec.model_copy(update={"plan": asked}), SINE)]


def test_squared_terms_by_hand() -> None:
    """Two predictors 1 and 3 of a target 5 whose truth is 4: the mean is 2."""
    terms = squared_terms(np.array([[1.0], [3.0]]), np.array([5.0]), np.array([4.0]))
    assert terms.model_dump(exclude={"loss"}) == {
        "error": 10.0,  # (16 + 4) / 2
        "variance": 1.0,
        "bias_squared_plus_noise": 9.0,
        "bias_squared": 4.0,
        "noise": 1.0,
        "cross_term": 4.0,  # 2 (5 - 4) (4 - 2)
    }


@given(
    seed=st.integers(0, 99999), resamples=st.integers(2, 20), rows=st.integers(1, 30), size=st.floats(1e-3, 1e3), off=st.floats(-1e3, 1e3)
)
def test_squared_terms_add_up_to_the_error(seed: int, resamples: int, rows: int, size: float, off: float) -> None:
    draws = np.random.default_rng(seed)
    truth = draws.normal(off, size, rows)
    y, answers = truth + draws.normal(0, size, rows), draws.normal(off, size, (resamples, rows))
    found = squared_terms(answers, y, truth)
    assert found.bias_squared is not None
    assert found.noise is not None
    assert found.cross_term is not None
    tolerance = 1e-9 * max(1.0, found.error)
    assert abs(found.variance + found.bias_squared_plus_noise - found.error) < tolerance
    assert abs(found.variance + found.bias_squared + found.noise + found.cross_term - found.error) < tolerance
    assert squared_terms(answers, y, None).bias_squared is None


def test_zero_one_terms_by_hand() -> None:
    """Domingos (2000), five predictors of three classes on four rows.

    Row 1 (class 0): 0 0 0 1 2, main 0, right: deviates 2/5, costs 2/5. Row 2 (class 2): 1 1 1 2 0, main 1, wrong: deviates
    2/5, right 1/5. Row 3 (class 1): 0 0 1 1 2, main 0 by the tie, wrong: deviates 3/5, right 2/5. Row 4 (class 1): all 1.
    Errors are 2/5, 4/5, 3/5, 0.
    """
    named = np.array([[0, 1, 0, 1], [0, 1, 0, 1], [0, 1, 1, 1], [1, 2, 1, 1], [2, 0, 2, 1]])
    found = zero_one_terms(named, np.array([0, 2, 1, 1]), 3)
    assert found.error == pytest.approx(0.45)
    assert found.bias == pytest.approx(0.5)
    assert found.variance == pytest.approx(0.35)
    assert found.variance_unbiased == pytest.approx(0.1)
    assert found.variance_biased == pytest.approx(0.15)


@given(seed=st.integers(0, 99999), resamples=st.integers(2, 12), rows=st.integers(1, 20), classes=st.integers(2, 5))
def test_zero_one_terms_add_up_to_the_error(seed: int, resamples: int, rows: int, classes: int) -> None:
    draws = np.random.default_rng(seed)
    named, y = draws.integers(0, classes, (resamples, rows)), draws.integers(0, classes, rows)
    found = zero_one_terms(named, y, classes)
    assert found.bias + found.variance_unbiased - found.variance_biased == pytest.approx(found.error, abs=1e-12)
    if classes == 2:
        assert found.variance == pytest.approx(found.variance_unbiased + found.variance_biased)


def test_resamples_differ_and_are_shared_by_all_values_of_the_axis() -> None:
    """B024."""
    ran = _ran(SINE, _saying(lambda _, asked: np.zeros((len(asked), 1))), resamples=4, axis=WIDTHS)
    fits = list(ran.planned.values())
    assert len(ran.rounds) == 1
    assert [fit.place for fit in fits[4:6]] == [{"resample": 1, "value": "[2]"}, {"resample": 2, "value": "[2]"}]
    assert len({fit.seed for fit in fits}) == len({fit.row_hash for fit in fits}) == 4
    for fit in fits:
        rows = fit.rows()
        assert fit.row_hash == fits[(fit.number - 1) % 4].row_hash
        assert fit.seed == fits[(fit.number - 1) % 4].seed
        assert len(rows.train) == 350
        assert 0.55 < len(np.unique(rows.train)) / 350 < 0.72
        assert np.array_equal(rows.val, fits[0].rows().val)
        assert not set(rows.train) & set(rows.val)
        assert len(rows.test) == 0
    assert {fit.label for fit in fits} >= {"hidden_units [4], resample 3"}


def test_the_evaluation_rows_choose_no_epoch() -> None:
    ran = _ran(SINE, _saying(lambda _, asked: np.zeros((len(asked), 1))), resamples=2)
    assert {fit.spec.training.kept_weights for fit in ran.planned.values()} == {"last"}
    assert _codes({}, early_stopping={"patience": 3}) == [("/early_stopping", "excludes")]
    assert _codes({}, schedule={"name": "reduce_on_plateau", "patience": 1}) == [("/schedule", "excludes")]
    pointer = "/plan/axis/~1early_stopping/values"
    stopped = {"/early_stopping": {"values": [None, {"patience": 3}]}}
    assert _codes({"axis": stopped}) == [(f"{pointer}/1", "excludes")]
    assert _codes({"axis": {"/training/kept_weights": {"values": ["best", "last"]}}})[0][1] == "cannot_vary"


def test_what_cannot_be_measured_or_varied_is_refused() -> None:
    assert _codes({"axis": WIDTHS}) == []
    assert _codes({}, split={"name": "holdout", "val_fraction": 0}) == [("/split", "needs_validation")]
    assert _codes({}, split={"name": "k_fold", "folds": 3}) == [("/split", "needs_one_division")]
    axis = {"/network/hidden_units": {"values": [[1], [0], [1]]}}
    assert _codes({"axis": axis}) == [
        ("/plan/axis/~1network~1hidden_units/values/1", "greater_than_equal"),
        ("/plan/axis/~1network~1hidden_units/values/2", "repeated"),
    ]
    assert _codes({"axis": {"/split": {"values": [1, 2]}}}) == [("/plan/axis/~1split", "cannot_vary")]
    assert _codes({"axis": {"/network/hidden_unit": {"values": [[1], [2]]}}}) == [("/plan/axis/~1network~1hidden_unit", "extra_forbidden")]


def test_the_result_is_made_of_the_answers() -> None:
    def says(fit: PlannedFit, asked: Array) -> Array:
        return (np.sin(2 * np.pi * SINE.x[asked]) + float(fit.place["resample"]) - 2) * len(str(fit.place["value"]))

    result = _ran(SINE, _saying(says), resamples=3, axis={"/network/hidden_units": {"values": [[10], [1]]}}).result
    wide, narrow = (point["terms"] for point in result["points"])
    assert narrow["variance"] == pytest.approx(9 * 2 / 3)
    assert wide["variance"] == pytest.approx(16 * 2 / 3)
    assert narrow["error"] == pytest.approx(narrow["variance"] + narrow["bias_squared_plus_noise"], abs=1e-9)
    assert narrow["noise"] == pytest.approx(0.04, rel=0.3)
    assert (result["best"], result["axis"], result["model"]) == (1, "/network/hidden_units", None)
    assert result["points"][1]["fit_errors"]["mean"] == pytest.approx(narrow["error"])
    band = result["points"][1]["band"]
    assert len(band["x"]) == 150
    assert band["x"] == sorted(band["x"])
    assert band["truth"] == pytest.approx(np.sin(2 * np.pi * np.array(band["x"])).tolist())
    assert band["mean"] == pytest.approx([3 * one for one in band["truth"]])
    assert band["std"] == pytest.approx([3 * (2 / 3) ** 0.5] * 150)
    assert is_finite(result)


def test_a_band_has_at_most_200_rows_and_needs_a_single_feature() -> None:
    plain = _saying(lambda _, asked: np.zeros((len(asked), 1)))
    spec = resolved(SINE, plan={"name": "bias_variance", "resamples": 2}, split={"name": "holdout", "val_fraction": 0.9}).spec
    band = run(spec, SINE, plain).result["points"][0]["band"]
    assert len(band["x"]) == 200
    assert band["x"] == sorted(band["x"])
    diabetes = _ran(builtin.load("diabetes"), plain, resamples=2).result["points"][0]
    assert diabetes["band"] is None
    assert diabetes["terms"]["bias_squared"] is None


def test_classes_are_decomposed_by_what_is_named() -> None:
    iris = builtin.load("iris")
    result = _ran(iris, _saying(lambda fit, asked: np.eye(3)[(iris.y[asked] + (fit.number == 1)) % 3]), resamples=4).result
    [point] = result["points"]
    assert point["terms"] == pytest.approx(
        {"loss": "zero_one", "error": 0.25, "bias": 0.0, "variance": 0.25, "variance_unbiased": 0.25, "variance_biased": 0.0}
    )
    assert "mean 0-1 loss is 0.25" in result["sentence"]


def test_every_fit_is_needed() -> None:
    def trainer(fit: PlannedFit) -> FitResult:
        found = _saying(lambda _, asked: np.zeros((len(asked), 1)))(fit)
        return replace(found, status=FitStatus.DIVERGED, evaluation=None, message="it grew") if fit.number == 3 else found

    end = _ran(SINE, trainer, resamples=4).conclusion
    assert (end.result, end.failure, end.message) == (None, FailureKind.DIVERGED, "it grew")


def test_the_noiseless_sine_is_known_and_no_part_of_the_content() -> None:
    assert SINE.truth is not None
    assert np.std(SINE.y - SINE.truth) == pytest.approx(0.2, rel=0.1)
    assert SINE.info.content_hash == a_dataset(SINE.x, SINE.y).info.content_hash
    assert builtin.load("diabetes").truth is None


def test_fits_that_are_trained_add_up_to_the_error_that_they_measured() -> None:
    spec = resolved(
        SINE,
        plan={"name": "bias_variance", "resamples": 3},
        network={"name": "mlp", "hidden_units": [4]},
        training={"max_epochs": 3, "precision": "float64"},
        evaluation={"resamples": 100},
    ).spec
    result = run(spec, SINE, real(SINE)).result
    terms = result["points"][0]["terms"]
    measured = np.mean([fit["val"]["loss"] for fit in result["fits"]])
    assert terms["variance"] + terms["bias_squared_plus_noise"] == pytest.approx(terms["error"], abs=1e-9)
    assert terms["error"] == pytest.approx(measured, rel=1e-9)


def test_against_width_the_error_on_the_noisy_sine_is_a_u() -> None:
    """Too narrow networks are off on average, too wide ones scatter: thirty training rows."""
    spec = resolved(
        SINE,
        plan={"name": "bias_variance", "resamples": 4, "axis": {"/network/hidden_units": {"values": [[1, 1], [8, 8], [128, 128]]}}},
        network={"name": "mlp", "activation": "tanh"},
        optimizer={"name": "adam", "learning_rate": 0.05},
        training={"max_epochs": 100, "batch_size": 8},
        split={"name": "holdout", "val_fraction": 0.94},
        evaluation={"resamples": 100},
        seed=1,
    ).spec
    result = run(spec, SINE, real(SINE)).result
    narrow, middle, wide = (point["terms"] for point in result["points"])
    assert narrow["error"] > middle["error"] < wide["error"]
    assert narrow["bias_squared"] > middle["bias_squared"]
    assert narrow["variance"] < middle["variance"] < wide["variance"]
    assert result["best"] == 1
    assert "on both sides of it the error is larger" in result["sentence"]


def test_more_answers_than_are_held_at_once_are_refused() -> None:
    rows = np.zeros((250_000, 1)) + np.arange(250_000)[:, None]
    with pytest.raises(SpecProblems, match="answers on the validation rows") as found:
        resolved(
            a_dataset(rows, np.arange(250_000) % 7 / 7),
            split={"name": "holdout", "val_fraction": 0.8},
            plan={"name": "bias_variance", "resamples": 1000},
        )
    assert [problem.code for problem in found.value.problems] == ["too_many_answers"]

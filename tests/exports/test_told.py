"""Settings, moments and points, before any tool sees them."""

import datetime as dt

from holdout.exports.told import flattened, moments, points, settings_of, slices
from tests.handed_on import SPEC, STARTED, a_told_job


def test_a_fits_settings_are_the_spec_with_what_its_plan_set_otherwise() -> None:
    job, fits, _ = a_told_job(("a", "b"))
    settings = settings_of(job, fits["items"][1])
    assert settings["optimizer"] == {"name": "sgd", "learning_rate": 0.5}
    assert settings["network"]["hidden_units"] == [16, 4]
    assert settings["metadata"] == {"a/b": "c"}
    assert "plan" not in settings
    assert job["spec"] == SPEC == settings_of(job)
    assert SPEC["network"]["hidden_units"] == [16, 8]


def test_settings_are_flat_and_lists_are_values() -> None:
    flat = dict(flattened(SPEC))
    assert flat["optimizer.learning_rate"] == 0.001
    assert flat["network.hidden_units"] == [16, 8]
    assert (flat["metadata"], flat["regularization.augmentations"]) == ({}, [])


def test_moments_are_the_start_and_the_time_that_epochs_took() -> None:
    job, _, curves = a_told_job()
    start = dt.datetime.fromisoformat(STARTED).timestamp()
    assert moments(job, curves["fits"][0]) == [start + 0.5, start + 0.75, start + 0.75]
    assert moments({**job, "started_at": None}, {"epoch": [0]}) == [dt.datetime.fromisoformat(job["created_at"]).timestamp()]


def test_what_is_missing_is_no_point() -> None:
    curve = a_told_job()[2]["fits"][0]
    assert list(points(curve, "val_loss")) == [(0, 2.2), (2, 1 / 3)]
    assert list(points(curve, "val_rmse")) == []


def test_slices_hold_every_value_once() -> None:
    assert [list(one) for one in slices(range(5), 2)] == [[0, 1], [2, 3], [4]]

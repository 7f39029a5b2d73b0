"""Two numbers for what a job came to, from the result of each plan."""

from typing import Any

import pytest

from jobs.plans.outcome import outcome_of

SUMMARY = {"val_loss": {"mean": 0.3}, "generalization_gap": {"mean": 0.1}}


@pytest.mark.parametrize(
    ("result", "val_loss", "gap"),
    [
        ({"plan": "fit", "val": {"loss": {"value": 0.2}}, "generalization_gap": {"value": 0.05}, "summary": SUMMARY}, 0.2, 0.05),
        ({"plan": "fit", "val": None, "generalization_gap": None, "summary": SUMMARY}, 0.3, 0.1),  # folds, and a refit without validation rows
        ({"plan": "fit"}, None, None),
        ({"plan": "comparison", "best": "b", "variants": [{"label": "a"}, {"label": "b", "val_loss": {"value": 0.4}, "summary": SUMMARY}]}, 0.4, 0.1),
        ({"plan": "comparison", "best": None, "variants": [{"label": "a", "val_loss": None, "summary": None}]}, None, None),
        ({"plan": "search", "metric": "val_loss", "choice": {"chosen": 2}, "candidates": [{"number": 2, "score": {"mean": 0.5}, "generalization_gap": -0.1}]}, 0.5, -0.1),
        ({"plan": "search", "metric": "val_accuracy", "choice": {"chosen": 2}, "candidates": [{"number": 2, "score": {"mean": 0.9}, "generalization_gap": 0}]}, None, 0),
        ({"plan": "nested_cv", "metric": "val_loss", "outer_score": {"mean": 0.6}}, 0.6, None),
        ({"plan": "bagging", "val": {"loss": {"value": 0.7}}}, 0.7, None),
        ({"plan": "boosting", "val": {"accuracy": 0.9}}, None, None),
        ({"plan": "boosting", "val": {"loss": 12.5}}, 12.5, None),
        ({"plan": "bias_variance", "points": []}, None, None),
        ({"plan": "learning_curve", "points": [{"val_loss": {"value": 9}}, {"val_loss": {"value": 0.8}, "summary": SUMMARY}]}, 0.8, 0.1),
        ({"plan": "learning_curve", "points": []}, None, None),
    ],
)  # fmt: skip
def test_what_a_job_came_to_is_read_from_its_result(result: dict[str, Any], val_loss: float | None, gap: float | None) -> None:
    assert outcome_of(result) == {"val_loss": val_loss, "generalization_gap": gap}


def test_a_job_without_a_result_came_to_nothing_yet() -> None:
    assert outcome_of(None) is None

"""What a job came to in two numbers, whatever its plan: for lists and comparisons of jobs."""

from collections.abc import Mapping
from typing import Any


def outcome_of(result: Mapping[str, Any] | None) -> dict[str, float | None] | None:
    """Give validation loss and generalization gap of what a job concluded with; None before it has a result.

    Of a fit its kept weights', over folds the mean, of a comparison the best variant's, of a search the chosen candidate's inner score,
    of nested cross-validation the outer score, of an ensemble the vote's, of a learning curve those of the most rows. None where a plan
    has no such number: a vote of classes has no loss, bias and variance are of no single network.
    """
    if result is None:
        return None
    found = _of_plan(result)
    return {"val_loss": _number(found.get("val_loss")), "generalization_gap": _number(found.get("generalization_gap"))}


def _of_plan(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give what has the two figures, under their names."""
    match result.get("plan"):
        case "comparison":
            best: Mapping[str, Any] = next((one for one in result["variants"] if one["label"] == result["best"]), {})
            return {**(best.get("summary") or {}), "val_loss": best.get("val_loss")}
        case "learning_curve":
            last = result["points"][-1] if result["points"] else {}
            return {**(last.get("summary") or {}), "val_loss": last.get("val_loss")}
        case "search":
            chosen: Mapping[str, Any] = next((one for one in result["candidates"] if one["number"] == result["choice"]["chosen"]), {})
            return {"val_loss": _loss(result, chosen.get("score")), "generalization_gap": chosen.get("generalization_gap")}
        case "nested_cv":
            return {"val_loss": _loss(result, result.get("outer_score"))}
        case _:
            val = result.get("val") or {}
            summary = result.get("summary") or {}
            return {
                "val_loss": val.get("loss", summary.get("val_loss")),
                "generalization_gap": result.get("generalization_gap") or summary.get("generalization_gap"),
            }


def _loss(result: Mapping[str, Any], score: Any) -> Any:
    return score if result.get("metric") == "val_loss" else None


def _number(found: Any) -> float | None:
    """Read a number, the value of an interval, or the mean of a spread."""
    if isinstance(found, Mapping):
        found = found.get("value", found.get("mean"))
    return None if found is None else float(found)

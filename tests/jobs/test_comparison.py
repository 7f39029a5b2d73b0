"""The plan `comparison`: what variants share, and who wins."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from data import builtin
from data.dataset import Array
from jobs.materialize import materialize
from jobs.plans.comparison.problems import problems
from jobs.plans.fits import FitResult, PlannedFit
from jobs.plans.origins import located
from jobs.problems import Problem
from jobs.spec import JobSpec
from jobs.states import FailureKind, FitStatus
from tests.factories import a_dataset
from tests.plans import Trainer, real, resolved, run, scripted
from training.inputs import order_of
from training.loop import train
from training.records import EpochRecord
from training.stack import Stack

IRIS = builtin.load("iris")
TWENTY = a_dataset(np.arange(20.0)[:, None], np.arange(20) % 2, name="twenty")
FOLDS = {"name": "k_fold", "folds": 2, "by": "random"}
OPTIMIZERS = ("sgd", "momentum", "adam", "rmsprop")


def _plan(**sets: dict[str, Any]) -> dict[str, Any]:
    return {"name": "comparison", "variants": [{"label": label, "set": value} for label, value in sets.items()]}


def _named(*names: str) -> dict[str, Any]:
    return _plan(**{name: {"/optimizer": {"name": name}} for name in names})


def _sure(confidence: dict[str, Callable[[Array], Array]]) -> Callable[[PlannedFit, Array], Array]:
    """Give the true class of row r the probability confidence[variant](r)."""

    def outputs(fit: PlannedFit, rows: Array) -> Array:
        right = confidence[str(fit.place["variant"])](rows)
        return np.where(np.arange(2) == TWENTY.y[rows][:, None], right[:, None], 1 - right[:, None])

    return outputs


def _flat(value: float) -> Callable[[Array], Array]:
    return lambda rows: np.full(len(rows), value)


def _ending(trainer: Trainer, number: int, status: FitStatus) -> Trainer:
    def ended(fit: PlannedFit) -> FitResult:
        if fit.number != number:
            return trainer(fit)
        return FitResult(
            number=number, status=status, row_hash=fit.row_hash, best_epoch=0, kept_epoch=None, evaluation=None, message="no longer finite"
        )

    return ended


def _losses(**losses: float) -> Callable[[PlannedFit], float]:
    return lambda fit: losses[str(fit.place["variant"])]


def test_variants_start_from_the_same_network_and_see_rows_in_the_same_order() -> None:
    plan = _named(*OPTIMIZERS)
    plan["variants"].append({"label": "large batches", "set": {"/training/batch_size": 50, "/training/max_epochs": 3}})
    job = resolved(IRIS, plan=plan, training={"max_epochs": 2, "batch_size": 16})
    fits = job.first_round.fits
    assert [fit.spec.optimizer.name for fit in fits] == [*OPTIMIZERS, "adam"]
    assert [fit.spec.training.batch_size for fit in fits] == [16, 16, 16, 16, 50]
    assert [fit.origin for fit in fits] == [f"/plan/variants/{i}/set" for i in range(5)]
    assert {(fit.row_hash, fit.seed, fit.label == fit.place["variant"]) for fit in fits} == {(fits[0].row_hash, 0, True)}
    starts, lasts, orders = [], [], []
    for fit in fits:
        stack = Stack([materialize(fit, IRIS).fit])
        orders.append([order_of(stack.members[0], epoch).tolist() for epoch in (1, 2)])
        curve = [event for event in train(stack) if isinstance(event, EpochRecord)]
        starts.append((curve[0].epoch, curve[0].train_loss, curve[0].val_loss, *curve[0].val_metrics.values()))
        lasts.append(curve[-1].train_loss)
    assert set(starts) == {starts[0]}
    assert len(set(lasts)) == 5
    assert all(order == orders[0] for order in orders)
    assert sorted(orders[0][0]) == list(range(105))
    assert orders[0][0] != orders[0][1]


def test_real_optimizers_are_compared_on_folds() -> None:
    job = resolved(
        IRIS, plan=_plan(still={"/optimizer": {"name": "sgd", "learning_rate": 0.0}}, adam={}), split=FOLDS, training={"max_epochs": 8}
    )
    ran = run(job.spec, IRIS, real(IRIS))
    best, other = ran.result["variants"]
    assert (best["label"], best["rank"], other["rank"]) == ("adam", 1, 2)
    assert other["is_distinguishable"] is True
    assert other["difference"]["value"] == pytest.approx(other["val_loss"]["value"] - best["val_loss"]["value"])
    assert other["difference"]["low"] < other["difference"]["value"] < other["difference"]["high"]
    assert [fit["label"] for fit in ran.result["fits"]] == ["still, fold 1", "still, fold 2", "adam, fold 1", "adam, fold 2"]


def test_the_lowest_mean_loss_wins_and_is_the_model() -> None:
    job = resolved(TWENTY, plan=_named("sgd", "adam", "nag"), split={"name": "holdout", "val_fraction": 0.5, "test_fraction": 0.2})
    sure = {"sgd": _flat(0.6), "adam": _flat(0.9), "nag": lambda rows: np.where(rows % 4 < 2, 0.95, 0.85)}
    ran = run(job.spec, TWENTY, scripted(_losses(sgd=0.5, adam=0.1, nag=0.11), _sure(sure)))
    best, second, third = ran.result["variants"]
    assert [(one["rank"], one["label"], one["fits"]) for one in (best, second, third)] == [
        (1, "adam", [2]),
        (2, "nag", [3]),
        (3, "sgd", [1]),
    ]
    assert (ran.result["best"], ran.result["model"]["fits"]) == ("adam", [2])
    assert (best["difference"], best["is_distinguishable"], best["why"]) == (None, None, None)
    assert (second["is_distinguishable"], third["is_distinguishable"]) == (False, True)
    assert third["difference"] == pytest.approx({"value": 0.4, "low": 0.4, "high": 0.4})
    assert third["summary"]["val_loss"] == {"mean": 0.5, "std": None, "low": None, "high": None, "count": 1}
    assert ran.result["sentence"] == "adam is best: validation loss 0.1 [0.1, 0.1]; nag is not distinguishable from it; sgd is worse"
    assert all(fit.num_rows["test"] == 0 for fit in ran.planned.values())
    assert ran.result["divisions"][0]["num_rows"]["test"] == 4


def test_the_interval_of_a_difference_is_that_of_rows_drawn_in_pairs() -> None:
    """Losses that vary between rows but go together are told apart, as two intervals of their own could not be."""
    job = resolved(TWENTY, plan=_named("sgd", "adam"), split=FOLDS)
    hard = {"sgd": lambda rows: 0.05 + 0.04 * rows, "adam": lambda rows: 1.1 * (0.05 + 0.04 * rows)}
    ran = run(job.spec, TWENTY, scripted(_losses(sgd=0.5, adam=0.4), _sure(hard)))
    apart = ran.result["variants"][1]["difference"]
    assert (apart["low"], apart["high"]) == pytest.approx((0.1, 0.1))


def test_an_interval_contains_its_difference_and_a_single_row_tells_nothing_apart() -> None:
    """Losses as stored and those of single rows differ by rounding: draws are about the difference of those that are shown."""
    job = resolved(TWENTY, plan=_named("sgd", "adam"))
    sure = {"sgd": _flat(0.6), "adam": _flat(0.9)}
    apart = run(job.spec, TWENTY, scripted(_losses(sgd=0.3, adam=0.1), _sure(sure))).result["variants"][1]["difference"]
    assert apart["low"] <= apart["value"] <= apart["high"]
    one = resolved(TWENTY, plan=_named("sgd", "adam"), split={"name": "holdout", "val_fraction": 0.05, "shuffle": False})
    assert [fit.num_rows["val"] for fit in one.first_round.fits] == [1, 1]
    result = run(one.spec, TWENTY, scripted(_losses(sgd=0.3, adam=0.1), _sure(sure))).result
    best, other = result["variants"]
    assert (best["is_distinguishable"], other["difference"], other["is_distinguishable"]) == (None, None, False)
    assert result["sentence"].endswith("sgd is not distinguishable from it")


def test_divisions_count_alike_whatever_their_size() -> None:
    job = resolved(a_dataset(np.arange(7.0)[:, None], np.arange(7) % 2, name="seven"), plan=_named("sgd", "adam"), split=FOLDS)
    assert [fit.num_rows["val"] for fit in job.first_round.fits] == [4, 3, 4, 3]

    def loss(fit: PlannedFit) -> float:
        return 0.3 if fit.place["variant"] == "adam" else float(fit.place["fold"])

    seven = a_dataset(np.arange(7.0)[:, None], np.arange(7) % 2, name="seven")
    ran = run(job.spec, seven, scripted(loss, lambda fit, rows: np.full((len(rows), 2), np.exp(-loss(fit)))))
    assert ran.result["variants"][1]["difference"]["value"] == pytest.approx(1.5 - 0.3)
    assert ran.result["model"] is None


def test_equal_losses_rank_in_the_order_of_the_spec_and_are_not_distinguishable() -> None:
    job = resolved(TWENTY, plan=_named("sgd", "adam", "nag"))
    same = dict.fromkeys(("sgd", "adam", "nag"), _flat(0.9))
    ran = run(job.spec, TWENTY, scripted(_losses(sgd=0.2, adam=0.1, nag=0.1), _sure(same)))
    assert [one["label"] for one in ran.result["variants"]] == ["adam", "nag", "sgd"]
    assert ran.result["variants"][1]["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert ran.result["sentence"].endswith("; nag is not distinguishable from it; sgd is worse")


@pytest.mark.parametrize("status", [FitStatus.DIVERGED, FitStatus.FAILED])
def test_a_variant_with_a_fit_that_did_not_finish_never_wins_and_says_why(status: FitStatus) -> None:
    job = resolved(TWENTY, plan=_named("sgd", "adam"), split=FOLDS)
    fine = scripted(_losses(sgd=0.01, adam=0.7), _sure({"sgd": _flat(0.9), "adam": _flat(0.5)}))
    ran = run(job.spec, TWENTY, _ending(fine, 2, status))
    best, last = ran.result["variants"]
    assert (best["label"], best["rank"]) == ("adam", 1)
    assert (last["label"], last["rank"], last["val_loss"], last["summary"]) == ("sgd", None, None, {})
    assert last["why"] == f"fit 2 (sgd, fold 2) {status.value}: no longer finite"
    assert ran.result["sentence"].endswith("; sgd did not finish")
    assert [fit["status"] for fit in ran.result["fits"]] == ["finished", status.value, "finished", "finished"]


def test_a_comparison_of_which_nothing_finished_fails() -> None:
    job = resolved(TWENTY, plan=_named("sgd", "adam"))
    fine = scripted(_losses(sgd=0.1, adam=0.1))
    ran = run(job.spec, TWENTY, _ending(_ending(fine, 1, FitStatus.DIVERGED), 2, FitStatus.DIVERGED))
    assert (ran.conclusion.result, ran.conclusion.failure) == (None, FailureKind.DIVERGED)


def _problems(plan: dict[str, Any], **fields: Any) -> list[tuple[str, str]]:
    job = resolved(IRIS, **fields)
    spec = JobSpec.model_validate({**job.spec.model_dump(mode="json"), "plan": plan})
    return [(problem.pointer, problem.code) for problem in problems(spec, IRIS)]


REFUSED: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "unknown field": (_plan(a={"/optimizer/speed": 1}, b={}), [("/plan/variants/0/set/~1optimizer~1speed", "extra_forbidden")]),
    "nowhere": (_plan(a={}, b={"/optimiser/learning_rate": 1}), [("/plan/variants/1/set/~1optimiser~1learning_rate", "cannot_vary")]),
    "too deep": (_plan(a={"/training/x/y": 1}, b={}), [("/plan/variants/0/set/~1training~1x~1y", "no_such_field")]),
    "the rows": (_plan(a={"/split": {"name": "holdout"}}, b={}), [("/plan/variants/0/set/~1split", "cannot_vary")]),
    "a value": (
        _plan(a={"/optimizer": {"name": "sgd", "learning_rate": -1}}, b={}),
        [("/plan/variants/0/set/~1optimizer/learning_rate", "greater_than_equal")],
    ),
    "one value": (_plan(a={"/training/batch_size": 0}, b={}), [("/plan/variants/0/set/~1training~1batch_size", "greater_than_equal")]),
    "a name": (_plan(a={"/optimizer/name": "best"}, b={}), [("/plan/variants/0/set/~1optimizer~1name", "union_tag_invalid")]),
    "the same twice": (
        _plan(
            a={"/optimizer": {"name": "adam"}},
            b={"/training/max_epochs": 9},
            c={"/optimizer": {"name": "adam", "learning_rate": 0.001}},
            d={},
        ),
        [("/plan/variants/2/set", "same_as"), ("/plan/variants/3/set", "same_as")],
    ),
    "one inside another": (
        _plan(a={"/training/max_epochs": 5, "/training": {}}, b={"/training/max_epochs": 9}),
        [("/plan/variants/0/set/~1training~1max_epochs", "overlaps")],
    ),
    "one label twice": (
        {"name": "comparison", "variants": [{"label": "a", "set": {}}, {"label": "a", "set": {"/training/max_epochs": 9}}]},
        [("/plan/variants/1/label", "duplicate")],
    ),
    "a technique that would not act": (
        _plan(a={"/network": {"name": "mlp", "hidden_units": [], "dropout": 0.5}}, b={}),
        [("/plan/variants/0/set/~1network/dropout", "no_effect")],
    ),
    "techniques that do not go together": (
        _plan(a={"/schedule": {"name": "step", "every": 60}, "/training/max_epochs": 10}, b={}),
        [("/plan/variants/0/set/~1schedule", "no_effect")],
    ),
    "a network that does not fit": (
        _plan(a={"/network": {"name": "cnn"}}, b={}),
        [("/plan/variants/0/set/~1network/name", "network_does_not_apply")],
    ),
    "nothing": (_named("sgd", "adam"), []),
}


@pytest.mark.parametrize("case", REFUSED)
def test_variants_that_cannot_be_compared_are_refused_where_they_stand(case: str) -> None:
    plan, expected = REFUSED[case]
    assert _problems(plan) == expected


def test_a_fault_of_a_variant_has_the_words_of_the_same_fault_of_a_job() -> None:
    plan = _plan(
        a={"/optimizer/speed": 1}, b={"/network/hidden_units": "128, 64"}, c={"/network/hidden_units": 128}, d={"/optimizer/name": "best"}
    )
    found = [
        problem.message for problem in problems(JobSpec.model_validate({**resolved(IRIS).spec.model_dump(mode="json"), "plan": plan}), IRIS)
    ]
    assert found[:3] == ["unknown field", "must be a list, written in brackets: [128, 64]", "must be a list"]
    assert found[3].startswith("unknown name; there are 'sgd'")


def test_a_comparison_needs_validation_rows() -> None:
    found = _problems(_named("sgd", "adam"), split={"name": "holdout", "val_fraction": 0})
    assert found == [("/plan", "needs_validation")]


def test_a_comparison_has_2_to_50_variants() -> None:
    for count in (1, 51):
        with pytest.raises(ValidationError, match="variants"):
            JobSpec.model_validate({"dataset": "iris", "plan": _plan(**{f"v{i}": {"/training/max_epochs": i + 1} for i in range(count)})})


@pytest.mark.parametrize(
    ("fault", "overrides", "pointer"),
    [
        ("/network/dropout", {"/network": {}}, "/o/~1network/dropout"),
        ("/network/dropout", {"/network/dropout": 1, "/network/hidden_units": []}, "/o/~1network~1dropout"),
        ("/schedule", {"/schedule/gamma": 1}, "/o/~1schedule~1gamma"),
        ("/schedule", {"/training/max_epochs": 1}, "/o"),
        ("/training", {"/training/max_epochs": 1, "/training/batch_size": 1}, "/o"),
        ("/network", {"/network_of": 1}, "/o"),
    ],
)
def test_a_fault_is_located_in_what_set_it(fault: str, overrides: dict[str, Any], pointer: str) -> None:
    problem = Problem(fault, "code", "why")
    found = located(problem, "/o", overrides)
    assert (found.pointer, found.code) == (pointer, "code")
    assert found.message in {"why", f"why (at {fault})"}
    assert (found.message == "why") == any(fault.startswith(key) and key != "/network_of" for key in overrides)
    assert located(problem, "", overrides) == problem

"""Cheap checks that find many faults from outside, on every plan: frozen, disturbed, repeated, recomputed, exploded fits."""

import json
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, get_args

import numpy as np
import pytest

from data.builtin import BUILTINS
from data.dataset import Dataset
from jobs.plans.spec import PlanSpec
from jobs.resolve import resolve
from jobs.spec import JobSpec
from jobs.states import FailureKind, FitStatus
from tests.factories import Source, a_dataset, is_finite
from tests.plan_bodies import BODIES, body_of
from tests.plans import Ran, real, resolved, run
from training.records import EpochRecord

Curves = dict[int, list[tuple[Any, ...]]]


@dataclass(frozen=True)
class _Trained:
    ran: Ran
    records: dict[int, list[EpochRecord]]

    @property
    def curves(self) -> Curves:
        """Give every fit's figures, to the last bit, without the clock."""
        return {
            number: [(one.epoch, one.train_loss, one.val_loss, one.train_metrics, one.val_metrics, one.objective) for one in records]
            for number, records in self.records.items()
        }

    @property
    def measured(self) -> Curves:
        """Give only what was measured in evaluation mode."""
        return {number: [point[:3] for point in points] for number, points in self.curves.items()}


def _train(body: dict[str, Any], dataset: Dataset | None = None) -> _Trained:
    known = BUILTINS.load(body["dataset"]) if dataset is None else dataset
    spec = resolve(JobSpec.model_validate(body), source=Source(known)).spec
    records: dict[int, list[EpochRecord]] = {}
    found = _Trained(run(spec, known, real(known, records)), records)
    # The sixth check: whatever is concluded is strict JSON.
    assert is_finite(json.loads(json.dumps(found.ran.conclusion.result, allow_nan=False)))
    return found


@cache
def _plain(name: str) -> _Trained:
    return _train(body_of(name))


def _at_rate(name: str, rate: float, **fields: Any) -> dict[str, Any]:
    """Give a body all of whose fits have this learning rate; what a plan varied of it, it varies of the L2 penalty."""
    body = body_of(name)
    plan = json.loads(json.dumps(body["plan"]))
    for variant in plan.get("variants", ()):
        variant["set"]["/optimizer"]["learning_rate"] = rate
    search = plan.get("search", plan)
    if "space" in search:
        axis = search["space"].pop("/optimizer/learning_rate")
        search["space"]["/regularization/l2"] = axis
    return {**body, "plan": plan, "optimizer": {"name": "sgd", "learning_rate": rate}, **fields}


def test_no_plan_is_forgotten() -> None:
    union = get_args(PlanSpec)[0]
    assert {body["plan"]["name"] for body in BODIES.values()} == {
        get_args(one.model_fields["name"].annotation)[0] for one in get_args(union)
    }


@pytest.mark.parametrize("name", BODIES)
def test_a_rate_of_zero_gives_constant_curves_for_every_batch_size_and_penalty(name: str) -> None:
    """B002, B015, B084: the first check."""
    epochs = body_of(name)["training"]["max_epochs"]
    found = []
    for fields in (
        {"training": {"max_epochs": epochs, "batch_size": 7}},
        {"training": {"max_epochs": epochs, "batch_size": "full"}, "regularization": {"l2": 1.0}},
    ):
        measured = _train(_at_rate(name, 0.0, **fields)).measured
        assert measured
        for points in measured.values():
            assert len({point[1:] for point in points}) == 1
        found.append(measured)
    assert found[0] == found[1]


@pytest.mark.parametrize("name", BODIES)
def test_validation_rows_never_reach_a_training_curve(name: str) -> None:
    """B006: the second check. Fits of the first round that do not train on these rows learn alike, to the last bit."""
    plain = _plain(name)
    first = plain.ran.rounds[0].fits
    touched = first[0].rows().val
    assert len(touched)
    dataset = BUILTINS.load(body_of(name)["dataset"])
    x = np.array(dataset.x)
    x[touched] = x[touched][::-1] * 3 + 1
    other = replace(dataset, read=lambda: x, info=replace(dataset.info, content_hash="changed"))
    changed = _train(body_of(name), other)
    apart = [fit for fit in first if not np.isin(fit.rows().train, touched).any()]
    assert apart
    for fit in apart:
        mine, theirs = (
            [(one.epoch, one.train_loss, one.train_metrics, one.objective) for one in found.records[fit.number]]
            for found in (plain, changed)
        )
        both = min(len(mine), len(theirs))  # what halving gives up is chosen by these rows
        assert both >= 2
        assert mine[:both] == theirs[:both]
    assert plain.curves[first[0].number][0][2] != changed.curves[first[0].number][0][2]


@pytest.mark.parametrize("name", BODIES)
def test_the_same_spec_gives_the_same_bits_and_another_seed_or_knob_does_not(name: str) -> None:
    """B023, B024, B044: the third check."""
    plain, again = _plain(name), _train(body_of(name))
    assert again.curves == plain.curves
    assert again.ran.conclusion == plain.ran.conclusion
    first = {fit.number for fit in plain.ran.rounds[0].fits}
    for fields in ({"seed": 1}, {"regularization": {"l1": 0.1}}):
        other = _train(body_of(name, **fields))
        assert all(other.curves[number] != plain.curves[number] for number in first)
        assert other.ran.conclusion != plain.ran.conclusion


@pytest.mark.parametrize("name", BODIES)
def test_best_and_stop_epochs_follow_from_the_curves(name: str) -> None:
    """B039, B040, B069, B082: the fourth check. Where all resamples must train alike, a plan stops none of them early."""
    patience = None if name == "bias_variance" else {"patience": 1}
    trained = _train(body_of(name, early_stopping=patience))
    for number, planned in trained.ran.planned.items():
        result, curve = trained.ran.results[number], trained.records[number]
        assert [point.epoch for point in curve] == list(range(len(curve)))
        if planned.num_rows["val"] == 0:
            assert (len(curve) - 1, result.kept_epoch) == (planned.stop_at, planned.stop_at)
            continue
        values = [point.val_loss or 0.0 for point in curve]
        assert result.best_epoch == values.index(min(values))
        if result.status in {FitStatus.PENDING, FitStatus.PRUNED}:
            continue
        bad = [epoch for epoch in range(1, len(values)) if patience and values[epoch] >= min(values[:epoch])]
        assert len(values) - 1 == (bad[0] if bad else planned.spec.training.max_epochs)
        assert result.evaluation is not None
        assert result.kept_epoch == (result.best_epoch if planned.spec.training.kept_weights == "best" else len(values) - 1)
        assert result.evaluation["val"]["loss"]["value"] == values[result.kept_epoch or 0]


@pytest.mark.parametrize("name", BODIES)
def test_an_exploding_rate_diverges_honestly(name: str) -> None:
    """B011, B022: the fifth check. No plan concludes anything of fits that all diverged, and no row is not finite."""
    dataset = "sunspots" if name == "time" else "diabetes"
    linear = {"network": {"name": "mlp", "hidden_units": []}, "preprocessing": {"target": "none"}}
    body = _at_rate(name, 1e20, dataset=dataset, **linear)
    if name == "grid":
        body["plan"]["space"]["/network/hidden_units"] = {"values": [[], [4]]}
    trained = _train(body)
    conclusion = trained.ran.conclusion
    assert (conclusion.result, conclusion.failure) == (None, FailureKind.DIVERGED)
    assert conclusion.message
    assert "no longer finite" in conclusion.message
    assert FitStatus.FINISHED not in {result.status for result in trained.ran.results.values()}
    assert all(np.isfinite(point.train_loss) for points in trained.records.values() for point in points)


def test_folds_of_the_same_rows_learn_the_same() -> None:
    """B023: each fold begins with a fresh network, optimizer and preparation, and the same seed."""
    x, y = np.tile([[0.0, 1.0], [1.0, 0.5]], (12, 1)), np.tile([0, 1], 12)
    dataset = a_dataset(x, y, name="copies")
    split = {"name": "k_fold", "folds": 3}
    body = {**body_of("fit", split=split, training={"max_epochs": 6, "batch_size": "full"}), "dataset": "copies"}
    trained = _train(body, dataset)
    first, *others = trained.measured.values()
    assert len(others) == 2
    assert first[-1][1] < first[0][1]
    for other in others:
        assert np.allclose(np.array(other), np.array(first), atol=1e-6, rtol=0)


def test_every_fold_keeps_its_own_best_weights_however_it_ended() -> None:
    """B040: it ran to its last epoch, where it was no longer the best."""
    body = body_of(
        "fit", split={"name": "k_fold", "folds": 3}, optimizer={"name": "adam", "learning_rate": 0.3}, training={"max_epochs": 15}
    )
    trained = _train(body)
    kept = {number: result.kept_epoch for number, result in trained.ran.results.items()}
    assert len(set(kept.values())) > 1
    for number, result in trained.ran.results.items():
        values = [point.val_loss for point in trained.records[number]]
        assert result.evaluation is not None
        assert result.evaluation["val"]["loss"]["value"] == values[result.kept_epoch or 0] == min(value or 0 for value in values)
        assert len(values) == 16
    assert any((epoch or 0) < 15 for epoch in kept.values())


def test_a_table_of_one_plan_is_resolved_alike_by_both_helpers() -> None:
    """What is trained here is what a worker trains."""
    body = body_of("bagging")
    del body["dataset"]
    one = resolved(BUILTINS.load("iris"), **body)
    assert one.spec == resolve(JobSpec.model_validate(body_of("bagging"))).spec

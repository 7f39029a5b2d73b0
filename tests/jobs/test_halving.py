"""Successive halving stops only what its rule says, and changes nothing in what goes on."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from data.dataset import Dataset
from jobs.plans.fits import FitResult, PlannedFit
from jobs.plans.replay import replay
from jobs.plans.search.halving import rungs_of
from jobs.plans.search.spec import HalvingSpec
from jobs.spec import JobSpec
from jobs.states import FitStatus
from tests.factories import a_dataset
from tests.plans import Ran, Trainer, real, resolved, run
from training.records import EpochRecord

DRAWS = np.random.default_rng(0)
X = DRAWS.normal(size=(48, 3))
ROWS = a_dataset(X, (X[:, 0] > 0).astype(int))
RATES = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
Curve = Callable[[PlannedFit, int], float | None]
"""The validation loss of a fit's best epoch until an epoch; None where it has diverged by then."""


def _spec(
    halving: dict[str, Any] | None, *, epochs: int = 27, dataset: Dataset = ROWS, rates: list[float] = RATES, **fields: Any
) -> JobSpec:
    space = {"/optimizer/learning_rate": {"values": rates}}
    plan = {"name": "search", "space": space, "halving": halving, **fields.pop("plan", {})}
    return resolved(
        dataset,
        **{"split": {"name": "k_fold", "folds": 2}, "training": {"max_epochs": epochs, "batch_size": "full"}, "plan": plan, **fields},
    ).spec


def _rate(fit: PlannedFit) -> float:
    return float(fit.spec.optimizer.learning_rate)


def _curved(curve: Curve, *, stops: Callable[[PlannedFit], int] | None = None) -> Trainer:
    """Make a trainer whose fits have curves: it pauses, ends (by itself at `stops`) and diverges as they say."""
    known: dict[int, dict[int, dict[str, float]]] = {}

    def trainer(fit: PlannedFit) -> FitResult:
        last = fit.spec.training.max_epochs if stops is None else min(stops(fit), fit.spec.training.max_epochs)
        until = last if fit.pause_at is None else min(fit.pause_at, last)
        loss = curve(fit, until)
        rungs = known.setdefault(fit.number, {})
        base = {"number": fit.number, "row_hash": fit.row_hash, "best_epoch": until, "kept_epoch": until}
        if loss is None:
            return FitResult(**base, status=FitStatus.DIVERGED, evaluation=None, message="gone", rungs=dict(rungs))  # type: ignore[arg-type]
        if fit.pause_at is not None and fit.pause_at < last:
            rungs[fit.pause_at] = {"train_loss": loss, "val_loss": loss, "val_accuracy": 1 - loss}
            return FitResult(**base, status=FitStatus.PENDING, evaluation=None, rungs=dict(rungs))  # type: ignore[arg-type]
        figure = {"value": loss, "low": loss, "high": loss}
        evaluation = {"train": {"loss": figure}, "val": {"loss": figure, "accuracy": {**figure, "value": 1 - loss}}, "test": None}
        return FitResult(**base, status=FitStatus.FINISHED, evaluation={**evaluation, "generalization_gap": figure}, rungs=dict(rungs))  # type: ignore[arg-type]

    return trainer


def _asked(ran: Ran) -> list[tuple[list[float], int | None]]:
    """Give for each round the rates that were asked for, and to where."""
    return [(list(dict.fromkeys(_rate(fit) for fit in one.fits)), one.fits[0].pause_at) for one in ran.rounds]


@pytest.mark.parametrize(
    ("halving", "candidates", "epochs", "rungs"),
    [
        ({"first_epochs": 1}, 9, 27, [1, 3, 9]),
        ({"first_epochs": 5, "factor": 2}, 4, 40, [5, 10, 20]),
        ({"first_epochs": 5, "factor": 2}, 4, 41, [5, 10, 20, 40]),
        ({"first_epochs": 27}, 9, 27, []),
        ({}, 9, 27, [3, 9]),
        ({}, 9, 10, [2, 6]),
        ({}, 4, 27, [3, 9]),
        ({}, 81, 4, [1, 3]),
        ({"factor": 4}, 16, 50, [4, 16]),
        ({}, 1, 27, []),
    ],
)
def test_rungs_grow_by_the_factor_below_max_epochs(halving: dict[str, int], candidates: int, epochs: int, rungs: list[int]) -> None:
    assert rungs_of(HalvingSpec.model_validate(halving), candidates, epochs) == rungs


def test_a_third_of_the_candidates_goes_on_from_each_rung() -> None:
    """By hand: 9 candidates are 3 after epoch 3 and 1 after epoch 9. The rate 0.5 would win at the end, but is 4th at epoch 3."""

    def curve(fit: PlannedFit, epoch: int) -> float:
        fold = 0.001 * int(fit.place.get("fold", 1))
        return {0.5: 0.85 - 0.03 * epoch, 0.8: 0.7, 0.9: 0.5 - 0.001 * epoch, 0.2: 0.6 - 0.02 * epoch}.get(
            _rate(fit), 0.99 - 0.001 * epoch
        ) + fold

    ran = run(_spec({}), ROWS, _curved(curve))
    assert _asked(ran)[:3] == [(RATES, 3), ([0.9, 0.8, 0.2], 9), ([0.2], None)]
    assert [len(one.fits) for one in ran.rounds] == [18, 6, 2, 1]
    numbers = {rate: [fit.number for fit in ran.planned.values() if _rate(fit) == rate and "fold" in fit.place] for rate in RATES}
    stopped = [number for rate in (0.7, 0.6, 0.5, 0.4, 0.3, 0.1) for number in numbers[rate]]
    assert [list(one.pruned) for one in ran.rounds] == [[], stopped, [*numbers[0.9], *numbers[0.8]], []]
    assert [(one.later_fits, one.later_steps) for one in ran.rounds] == [(1, 27), (1, 27), (1, 27), (0, 0)]
    by_rate = {one["settings"]["/optimizer/learning_rate"]: one for one in ran.result["candidates"]}
    assert by_rate[0.5]["status"] == "pruned"
    assert by_rate[0.5]["rungs"] == [{"epoch": 3, "score": pytest.approx(0.7615)}]
    assert [one["epoch"] for one in by_rate[0.9]["rungs"]] == [one["epoch"] for one in by_rate[0.2]["rungs"]] == [3, 9]
    assert by_rate[0.2]["status"] == "finished"
    assert ran.result["choice"]["settings"] == {"/optimizer/learning_rate": 0.2}
    statuses = [one["status"] for one in ran.result["fits"]]
    assert (statuses.count("pruned"), statuses.count("finished")) == (16, 3)


def test_of_equal_candidates_the_first_go_on() -> None:
    ran = run(_spec({"factor": 2}), ROWS, _curved(lambda *_: 0.5))
    assert [len(rates) for rates, _ in _asked(ran)] == [9, 5, 3, 2, 1, 1]
    assert _asked(ran)[1][0] == RATES[:5]


def test_the_mean_over_folds_decides_and_folds_go_on_together() -> None:
    def curve(fit: PlannedFit, _: int) -> float:
        return {0.9: [0.1, 0.9], 0.8: [0.4, 0.4]}[_rate(fit)][int(fit.place.get("fold", 1)) - 1]

    ran = run(_spec({"factor": 2, "first_epochs": 20}, rates=[0.9, 0.8]), ROWS, _curved(curve))
    assert _asked(ran)[1] == ([0.8], None)
    assert list(ran.rounds[1].pruned) == [1, 2]


def test_an_accuracy_goes_on_upwards() -> None:
    ran = run(_spec({"first_epochs": 9}, plan={"metric": "val_accuracy"}), ROWS, _curved(lambda fit, _: _rate(fit)))
    assert _asked(ran)[1] == ([0.3, 0.2, 0.1], None)


def test_a_candidate_that_diverged_never_goes_on_and_its_other_fold_stops() -> None:
    def curve(fit: PlannedFit, _: int) -> float | None:
        return None if _rate(fit) == 0.1 and fit.place["fold"] == 2 else _rate(fit)

    ran = run(_spec({"first_epochs": 9}, plan={"refit": False}), ROWS, _curved(curve))
    assert _asked(ran)[1] == ([0.4, 0.3, 0.2], None)
    assert 17 in ran.rounds[1].pruned
    assert 18 not in ran.rounds[1].pruned
    assert ran.result["candidates"][8]["status"] == "failed"


def test_what_happens_later_does_not_change_what_was_decided_before() -> None:
    """The best at the first rung diverges after it: a replay must still have let it go on, and nobody takes its place."""

    def curve(fit: PlannedFit, epoch: int) -> float | None:
        return None if _rate(fit) == 0.1 and epoch > 9 else _rate(fit)

    ran = run(spec := _spec({"first_epochs": 9}), ROWS, _curved(curve))
    assert _asked(ran)[1] == ([0.3, 0.2, 0.1], None)
    assert ran.result["choice"]["settings"] == {"/optimizer/learning_rate": 0.2}
    pruned = [number for one in ran.rounds for number in one.pruned]
    stored = [replace(one, status=FitStatus.PRUNED) if number in pruned else one for number, one in ran.results.items()]
    assert replay(spec, ROWS, stored).conclusion == ran.conclusion


def test_a_candidate_that_gets_worse_later_was_still_let_go_on() -> None:
    """Its final figures, known when a replay comes to the rung, are not those that decided."""
    ran = run(_spec({"first_epochs": 9}), ROWS, _curved(lambda fit, epoch: _rate(fit) + (0.9 if _rate(fit) == 0.1 and epoch > 9 else 0)))
    assert _asked(ran) == [(RATES, 9), ([0.3, 0.2, 0.1], None), ([0.2], None)]
    assert [one["status"] for one in ran.result["candidates"]] == ["pruned"] * 6 + ["finished"] * 3


def test_those_that_diverged_count_among_the_candidates_of_their_rung() -> None:
    """By hand: ceil(9 / 3) = 3 of the 5 that are left go on, not ceil(5 / 3) = 2."""
    ran = run(_spec({"first_epochs": 9}), ROWS, _curved(lambda fit, _: None if _rate(fit) < 0.45 else _rate(fit)))
    assert _asked(ran)[1] == ([0.7, 0.6, 0.5], None)


def test_a_fit_that_stopped_early_is_compared_by_its_final_figures_and_not_asked_again() -> None:
    ran = run(_spec({"first_epochs": 9}), ROWS, _curved(lambda fit, _: _rate(fit), stops=lambda fit: 4 if _rate(fit) in {0.1, 0.9} else 99))
    assert _asked(ran)[1] == ([0.3, 0.2], None)
    assert ran.result["choice"]["settings"] == {"/optimizer/learning_rate": 0.1}
    assert not {1, 2, 17, 18} & set(ran.rounds[1].pruned)


def test_fits_given_up_are_told_even_where_nothing_goes_on() -> None:
    """Those that go on had ended already: what is given up is told with the refit, or with the conclusion."""
    early = _curved(lambda fit, _: _rate(fit), stops=lambda fit: 4 if _rate(fit) < 0.35 else 99)
    assert sorted(run(_spec({"first_epochs": 9}), ROWS, early).rounds[1].pruned) == list(range(1, 13))
    ran = run(_spec({"first_epochs": 9}, plan={"refit": False}), ROWS, early)
    assert sorted(ran.conclusion.pruned) == list(range(1, 13))
    assert ran.result["model"] is None


def _curves(curves: dict[int, list[EpochRecord]], number: int) -> list[EpochRecord]:
    return [replace(record, seconds=0.0) for record in curves[number]]


def test_what_goes_on_has_the_curve_it_would_have_had_bit_for_bit() -> None:
    fields: dict[str, Any] = {
        "epochs": 6,
        "rates": [1e-5, 0.1, 1e-6],
        "network": {"name": "mlp", "hidden_units": [4], "dropout": 0.2, "normalization": {"name": "batch_norm"}},
        "training": {"max_epochs": 6, "batch_size": 8},
        "schedule": {"name": "cosine"},
        "evaluation": {"resamples": 100},
    }
    with_halving: dict[int, list[EpochRecord]] = {}
    without: dict[int, list[EpochRecord]] = {}
    halved = run(_spec({"first_epochs": 2}, **fields), ROWS, real(ROWS, with_halving))
    whole = run(_spec(None, **fields), ROWS, real(ROWS, without))
    assert [one["status"] for one in halved.result["candidates"]] == ["pruned", "finished", "pruned"]
    for number in (3, 4):
        assert len(with_halving[number]) == 7
        assert _curves(with_halving, number) == _curves(without, number)
        assert halved.results[number].evaluation == whole.results[number].evaluation
    for number in (1, 2, 5, 6):
        assert _curves(with_halving, number) == _curves(without, number)[:3]
    assert halved.result["refit"] == whole.result["refit"]

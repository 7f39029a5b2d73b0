"""What a search draws and proposes from its space, and what its candidates are called."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from jobs.plans.maker import with_overrides
from jobs.plans.search.proposals import Proposals
from jobs.plans.search.space import candidates_of, corners, drawn
from jobs.plans.search.spec import SearchSpec
from jobs.pointers import words_of
from jobs.resolve import resolve
from jobs.spec import JobSpec


def _axes(**axes: dict[str, Any]) -> Any:
    return SearchSpec.model_validate({"method": "random", "space": {f"/{name}": axis for name, axis in axes.items()}}).space


def test_random_candidates_differ_and_are_drawn_by_the_seed() -> None:
    space = _axes(a={"values": [1, 2, 3]}, b={"low": 1, "high": 3, "integer": True})
    found = drawn(space, 9, seed=1)
    assert sorted((one["/a"], one["/b"]) for one in found) == [(a, b) for a in (1, 2, 3) for b in (1, 2, 3)]
    assert drawn(space, 5, seed=1) == found[:5]
    assert drawn(space, 5, seed=2) != found[:5]


def test_ranges_are_drawn_within_their_ends_on_their_scale() -> None:
    space = _axes(
        a={"low": 1e-4, "high": 1, "log": True}, b={"low": 2, "high": 5}, c={"low": 1, "high": 1000, "log": True, "integer": True}
    )
    found = drawn(space, 400, seed=0)
    a, b, c = (np.array([one[name] for one in found]) for name in ("/a", "/b", "/c"))
    assert ((a >= 1e-4) & (a <= 1)).all()
    assert 0.4 < (a < 1e-2).mean() < 0.6
    assert ((b >= 2) & (b <= 5)).all()
    assert 3.3 < b.mean() < 3.7
    assert c.dtype.kind == "i"
    assert ((c >= 1) & (c <= 1000)).all()
    assert 0.4 < (c < 32).mean() < 0.6


def test_a_space_of_hardly_any_numbers_is_exhausted_without_an_end_of_patience() -> None:
    assert drawn(_axes(a={"low": 1.0, "high": 1.000001}), 5, seed=0) == [{"/a": 1.0}]


def test_many_axes_have_each_end_as_a_corner() -> None:
    axis = {"low": 0.0, "high": 1.0}
    assert len(list(corners(_axes(a=axis, b=axis)))) == 4
    many = list(corners(_axes(**{f"x{i}": axis for i in range(12)})))
    assert len(many) == 24
    assert {one["/x5"] for one in many} == {0.0, 1.0}


def _proposed(score: Callable[[float], float | None], *, rises: bool = False, seed: int = 0) -> list[float]:
    """Give 40 proposed exponents of a rate, asked in fours."""
    proposals = Proposals(_axes(rate={"low": 1e-4, "high": 1.0, "log": True}), seed, rises=rises)
    found = []
    for _ in range(10):
        batch = [proposals.ask() for _ in range(4)]
        for trial, settings in batch:
            found.append(float(np.log10(settings["/rate"])))
            proposals.tell(trial, score(found[-1]))
    return found


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_proposals_approach_the_best_setting_whichever_way_is_better(seed: int) -> None:
    """Rates drawn evenly are a mean of 1 decade from the best one, 0.01; those that are sent the wrong way are above 1.3."""
    down = np.array(_proposed(lambda exponent: abs(exponent + 2), seed=seed))
    up = np.array(_proposed(lambda exponent: -abs(exponent + 2), rises=True, seed=seed))
    assert np.abs(down[12:] + 2).mean() < 0.75
    assert np.abs(up[12:] + 2).mean() < 0.75


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_proposals_keep_away_from_what_could_not_be_scored(seed: int) -> None:
    """Half of the rates drawn evenly would be there."""
    found = np.array(_proposed(lambda exponent: None if exponent > -2 else 1.0, seed=seed))
    assert (found[12:] > -2).mean() < 0.4


def test_labels_name_the_whole_pointer_where_its_last_part_is_ambiguous() -> None:
    space = {
        "/regularization/l2": {"values": [0]},
        "/schedule": {"values": [{"name": "step", "every": 1, "factor": 0.5}, {"name": "step", "every": 1, "factor": 0.1}]},
        "/optimizer": {"values": [{"name": "sgd"}, {"name": "adam"}]},
        "/optimizer/learning_rate": {"values": [0.1]},
        "/network/hidden_units/0": {"values": [3]},
    }
    labels = [one.label for one in candidates_of(SearchSpec.model_validate({"space": space}), 0)]
    assert labels[0] == 'l2=0, schedule={"name":"step","every":1,"factor":0.5}, optimizer=sgd, learning_rate=0.1, hidden_units/0=3'
    alike = {"/optimizer/learning_rate": {"values": [0.1]}, "/x/learning_rate": {"values": [1]}}
    [one] = candidates_of(SearchSpec.model_validate({"space": alike}), 0)
    assert one.label == "/optimizer/learning_rate=0.1, /x/learning_rate=1"


def test_a_study_writes_nothing_and_leaves_loggers_as_they_were(capfd: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("optuna.storages._in_memory")
    before = (logger.level, list(logger.filters), logging.getLogger("optuna").level)
    proposals = Proposals(_axes(a={"low": 0.0, "high": 1.0}), 0, rises=False)
    for value in (0.5, None, 0.1):
        proposals.tell(proposals.ask()[0], value)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    assert before == (logger.level, list(logger.filters), logging.getLogger("optuna").level)


def test_a_value_that_several_candidates_share_stays_as_it_was_listed() -> None:
    """An inner pointer sets something in what an outer one set, never in the plan's own value."""
    listed = {"name": "sgd"}
    spec = resolve(JobSpec.model_validate({"dataset": "iris", "seed": 0})).spec
    made = with_overrides(spec, {"/optimizer": listed, "/optimizer/learning_rate": 0.5})
    assert (made.optimizer.learning_rate, listed) == (0.5, {"name": "sgd"})


@pytest.mark.parametrize(
    ("pointer", "words"),
    [
        ("/network/hidden_units", "hidden units"),
        ("/optimizer", "optimizer"),
        ("/optimizer/name", "optimizer"),
        ("/regularization/l2", "L2 penalty"),
        ("/network/blocks/0/channels", "blocks 0 channels"),
        ("/network/hidden_units/1", "hidden units 1"),
        ("", ""),
    ],
)
def test_a_pointer_is_told_in_words(pointer: str, words: str) -> None:
    assert words_of(pointer) == words

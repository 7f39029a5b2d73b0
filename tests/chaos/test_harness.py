"""The harness notices what it is there to notice."""

from typing import get_args

import pytest

from jobs.plans.spec import PlanSpec
from jobs.states import JobStatus
from tests.chaos.bodies import CHAOS_BODIES
from tests.chaos.invariants import legal
from tests.chaos.jobs import Outcome
from tests.chaos.watching import Watcher, reachable
from training.optimizers.spec import OptimizerSpec


def _watched(*looks: tuple[str, int]) -> list[str]:
    watcher = Watcher([])
    for status, version in looks:
        watcher.see({"id": "job_1", "status": status, "version": version})
    return watcher.faults


@pytest.mark.parametrize(
    "looks",
    [
        (("succeeded", 5), ("running", 6)),
        (("succeeded", 5), ("cancelled", 5)),
        (("failed", 5), ("failed", 6)),
        (("running", 5), ("running", 4)),
        (("cancelled", 5), ("queued", 6)),
    ],
)
def test_the_watcher_sees_moves_that_must_not_be(looks: tuple[tuple[str, int], ...]) -> None:
    assert len(_watched(*looks)) >= 1


def test_the_watcher_grants_moves_between_two_looks() -> None:
    assert _watched(("queued", 1), ("succeeded", 9), ("succeeded", 9)) == []
    assert _watched(("running", 3), ("queued", 7), ("paused", 8), ("running", 10), ("cancelled", 12)) == []
    assert reachable()[JobStatus.FAILED] == {JobStatus.FAILED}


def test_outcomes_that_differ_in_the_last_bit_differ() -> None:
    calm = Outcome("succeeded", {"loss": 0.1}, [{"number": 1}], [{"epoch": [0, 1], "train_loss": [0.5, 0.25]}])
    chaos = Outcome("succeeded", {"loss": 0.1}, [{"number": 1}], [{"epoch": [0, 1], "train_loss": [0.5, 0.25 + 2**-54]}])
    assert calm.differences(calm) == []
    assert [one.split(":")[0] for one in calm.differences(chaos)] == ["curves/0/train_loss/1"]
    assert calm.differences(Outcome("failed", {"loss": 0.1}, [], calm.curves)) != []


@pytest.mark.parametrize("statuses", [["running", "succeeded"], ["queued", "succeeded"], ["queued", "running", "succeeded", "running"], []])
def test_a_story_with_an_illegal_move_is_seen(statuses: list[str]) -> None:
    assert not legal(statuses)


def test_a_legal_story_is_granted() -> None:
    assert legal(["queued", "running", "paused", "queued", "running", "succeeded"])


def _names(union: object) -> set[str]:
    return {get_args(spec.model_fields["name"].annotation)[0] for spec in get_args(get_args(union)[0])}


def test_every_plan_and_optimizer_is_put_through_it() -> None:
    bodies = CHAOS_BODIES.values()
    assert _names(OptimizerSpec) - {body["optimizer"]["name"] for body in bodies} == set()
    assert _names(PlanSpec) - {body.get("plan", {"name": "fit"})["name"] for body in bodies} == set()

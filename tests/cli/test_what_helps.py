"""`holdout train --what-helps`: from the end of one job to a comparison of what its diagnosis suggests."""

import json
import re
from typing import Any

import pytest

EARLY = ("--dataset", "iris", "--set", "training.max_epochs=2", "--set", "seed=0")
FOLDED = ("--set", "split={name: k_fold, folds: 2}")


def test_the_end_of_a_job_names_the_command_that_compares_what_to_try(holdout: Any) -> None:
    ended = holdout("train", *EARLY, "--name", "early").stderr
    command = re.search(r"^  holdout (train --what-helps job_\w+)  compares with it: (.+)$", ended, re.MULTILINE)
    assert command is not None, ended
    labels = command[2].split(", ")
    compared = json.loads(holdout(*command[1].split(), "--set", "training.max_epochs=3", "--json").stdout)
    assert compared["name"] == "what helps early"
    assert [one["label"] for one in compared["spec"]["plan"]["variants"]] == ["unchanged", *labels]
    assert compared["spec"]["training"]["max_epochs"] == 3
    assert holdout(*command[1].split(), "--name", "mine", "--dry-run", "--json").exit_code == 0


def test_of_several_fits_one_is_named(holdout: Any) -> None:
    job = json.loads(holdout("train", *EARLY, *FOLDED, "--json").stdout)["id"]
    told = holdout("train", "--what-helps", job, code=2).stderr
    assert "it has 2 fits" in told
    assert "by --fit NUMBER" in told
    spec = json.loads(holdout("train", "--what-helps", job, "--fit", "2", "--dry-run", "--json").stdout)["spec"]
    assert spec["plan"]["variants"][0]["label"] == "unchanged"
    assert f"job {job} has no fit 9\n  why: it has fits 1 to 2" in holdout("train", "--what-helps", job, "--fit", "9", code=1).stderr


def test_where_nothing_helps_that_is_told(holdout: Any) -> None:
    job = holdout("train", "--dataset", "digits", "--set", "training.max_epochs=2000", "-d").stdout.strip()
    assert f"error: nothing is suggested for fit 1 of job {job}" in holdout("train", "--what-helps", job, code=1).stderr
    holdout("jobs", "cancel", job)
    assert "there is no job job_nope" in holdout("train", "--what-helps", "job_nope", code=1).stderr
    assert "there is no job job_nope" in holdout("train", "--what-helps", "job_nope", "--fit", "1", code=1).stderr


@pytest.mark.parametrize("arguments", [("spec.yaml", "--what-helps", "job_1"), ("--what-helps", "job_1", "--dataset", "iris")])
def test_a_spec_of_ones_own_is_not_changed_into_another(holdout: Any, arguments: tuple[str, ...]) -> None:
    assert "--what-helps makes the spec" in holdout("train", *arguments, code=2).stderr
    assert "--fit is of a job that --what-helps names" in holdout("train", "--dataset", "iris", "--fit", "1", code=2).stderr

"""From a fit's diagnosis to a comparison of what it suggests: the spec is that of this fit, whatever plan it is of."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

import holdout
from cli.service import Service
from holdout import Client
from jobs.plans.maker import with_overrides
from jobs.spec import JobSpec

Connect = Callable[..., Any]
REMEDY = {"label": "dropout 0.3", "set": {"/network/dropout": 0.3}}
SPEC = {"dataset": "iris", "seed": 3, "network": {"name": "mlp", "hidden_units": [8]}, "early_stopping": None, "plan": {"name": "fit"}}
FIT = {"number": 1, "status": "succeeded", "overrides": {}, "diagnosis": {"verdict": "overfitting", "remedies": [REMEDY]}}
JOB = {"id": "job_1", "name": "mine", "num_fits": 1, "spec": SPEC}
VARIED: dict[str, Any] = {
    "dataset": "iris",
    "seed": 0,
    "name": "varied",
    "training": {"max_epochs": 2},
    "plan": {
        "name": "comparison",
        "variants": [
            {"label": "wide", "set": {"/network/hidden_units": [32]}},
            {"label": "narrow", "set": {"/network": {"name": "mlp", "hidden_units": [8, 4]}, "/optimizer/learning_rate": 0.02}},
        ],
    },
}


def imagined(job: dict[str, Any] | None = None, fit: dict[str, Any] | None = None) -> Callable[[httpx2.Request], httpx2.Response]:
    answers = {"/v1/jobs/job_1": {**JOB, **(job or {})}, "/v1/jobs/job_1/fits/1": {**FIT, **(fit or {})}}

    def answer(request: httpx2.Request) -> httpx2.Response:
        found = answers.get(request.url.path)
        return httpx2.Response(404, json={"code": "not_found"}) if found is None else httpx2.Response(200, json=found)

    return answer


def test_a_suggestion_is_compared_with_the_fit_as_it_is(connect: Connect) -> None:
    with connect(imagined()) as client:
        found = client.jobs.get("job_1").what_helps()
        assert found == client.jobs.what_helps("job_1", fit=1)
    plan = {"name": "comparison", "variants": [{"label": "unchanged", "set": {}}, REMEDY]}
    assert found == {**SPEC, "name": "what helps mine", "plan": plan}
    json.dumps(found)


@pytest.mark.parametrize(("name", "expected"), [(None, "what helps job_1"), ("n" * 200, "what helps " + "n" * 189)])
def test_the_comparisons_name_fits(connect: Connect, name: str | None, expected: str) -> None:
    with connect(imagined({"name": name})) as client:
        assert client.jobs.what_helps("job_1")["name"] == expected


def test_what_the_plan_set_is_a_part_of_the_fit_as_it_is(connect: Connect) -> None:
    overrides = {"/network/hidden_units": [4], "/early_stopping/patience": 5, "/network/a~1b~0c": 1, "/network/hidden_units/0": 2}
    with connect(imagined(fit={"overrides": overrides})) as client:
        found = client.jobs.what_helps("job_1")
    assert found["network"] == {"name": "mlp", "hidden_units": [2], "a/b~c": 1}
    assert found["early_stopping"] == {"patience": 5}
    assert overrides["/network/hidden_units"] == [4]


@pytest.mark.parametrize(
    ("fit", "why"),
    [
        ({"diagnosis": {"verdict": "good_fit", "remedies": []}}, "it is diagnosed as good fit"),
        ({"diagnosis": None, "status": "running"}, "it is running and has no diagnosis"),
    ],
)
def test_where_nothing_is_suggested_that_is_said(connect: Connect, fit: dict[str, Any], why: str) -> None:
    with (
        connect(imagined(fit=fit)) as client,
        pytest.raises(holdout.NothingToTry, match=f"nothing is suggested for fit 1 of job job_1: {why}"),
    ):
        client.jobs.what_helps("job_1")


@pytest.mark.parametrize("count", [0, 3])
def test_of_several_fits_one_is_to_be_named(connect: Connect, count: int) -> None:
    with connect(imagined({"num_fits": count})) as client:
        with pytest.raises(ValueError, match=f"has {count} fits: name one"):
            client.jobs.what_helps("job_1")
        assert client.jobs.what_helps("job_1", fit=1)["name"] == "what helps mine"
        with pytest.raises(holdout.NotFoundError):
            client.jobs.what_helps("job_1", fit=9)


def test_the_comparison_of_a_variant_begins_with_that_variant(service: Service) -> None:
    with Client(service.url) as client:
        job = client.submit(VARIED).wait(timeout=120)
        for fit in job.fits():
            found = job.what_helps(fit=fit.number)
            resolved = with_overrides(JobSpec.model_validate(job["spec"]), fit["overrides"]).model_dump(mode="json")
            tried = client.submit(found, name="tried").wait(timeout=120)
            for name in ("network", "optimizer", "training", "seed"):
                assert tried["spec"][name] == resolved[name]
            again = tried.fits()[0]
            assert (again.label, again.best) == ("unchanged", fit.best)

"""Plans nobody would send: every body is previewed or refused at a place that it has, and what was resolved resolves to itself."""

import copy
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.app import create_app
from jobs.pointers import parts_of
from store.engine import Database, create_engine
from tests.api.conftest import StrictClient, settings_for
from tests.plan_bodies import BODIES, body_of

EXAMPLES = int(os.environ.get("HOLDOUT_TEST_FUZZ_EXAMPLES", "150"))
FUZZ = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
POINTERS = ["/optimizer/learning_rate", "/optimizer", "/network/hidden_units", "/network/hidden_units/0", "/network", "/regularization/l2", "/training/max_epochs",
            "/training/batch_size", "/training/kept_weights", "/preprocessing/features", "/early_stopping", "/schedule", "/seed", "/dataset", "/split/folds", "/plan",
            "", "/", "optimizer", "/optimizer/", "/nothing", "/network/hidden_units/9", "/optimizer/learning_rate/x", "/a~1b", "/a~2", "/regularization/augmentations/0"]  # fmt: skip
VALUES: list[Any] = [
    0, 1, 2, 3, 5, 10, -1, 0.5, 1.0, 1e-300, 1e308, 2**31, 2**64, True, False, None, "", "x", "adam", "full", "best", "last", [], {}, [0], [1, 2], [[4], [8]],
    {"name": "adam"}, {"name": "sgd", "learning_rate": 0.1}, {"name": "none"}, {"values": [1, 2]}, {"values": []}, {"values": [0.1, 0.1]}, {"values": ["x", None]},
    {"low": 1, "high": 2}, {"low": 2, "high": 1}, {"low": 0, "high": 1, "log": True}, {"low": 1, "high": 8, "integer": True}, {"low": 1, "high": 1},
    {"name": "k_fold", "folds": 3}, {"name": "k_fold", "folds": 200}, {"name": "holdout", "validation_fraction": 0}, {"name": "holdout", "test_fraction": 0.9},
    {"name": "time_series", "folds": 3}, {"name": "k_fold", "folds": 2, "by": "cluster"}, {"name": "k_fold", "repeats": 100}, {"factor": 2}, {"factor": 2, "first_epochs": 99},
    [{"label": "a", "set": {}}, {"label": "b", "set": {}}], [{"label": "a", "set": {"/optimizer/learning_rate": 0}}, {"label": "a", "set": {"/plan": 1}}],
]  # fmt: skip
SETS = st.dictionaries(st.sampled_from(POINTERS), st.sampled_from(VALUES), max_size=3)


@pytest.fixture(scope="module")
def client(_sqlite_template: Path) -> Iterator[StrictClient]:
    """Ask one API, over and over: it creates nothing."""
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "holdout.db"
        database.write_bytes(_sqlite_template.read_bytes())
        with StrictClient(
            create_app(settings_for(Database(create_engine(f"sqlite:///{database}")), Path(folder))), raise_server_exceptions=False
        ) as found:
            yield found


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List the paths of all that is inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, one in inner for path in [(*at, key), *_places(one, (*at, key))]]


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """Take a body that works and change it here and there: mostly in its plan and its split, and to what it may nearly have."""
    body = copy.deepcopy(body_of(draw(st.sampled_from(sorted(BODIES)))))
    if draw(st.booleans()):
        body["dataset"] = draw(st.sampled_from(["iris", "diabetes", "sunspots", "digits", "wine", "nothing"]))
    if draw(st.booleans()):
        body["split"] = copy.deepcopy(draw(st.sampled_from([value for value in VALUES if isinstance(value, dict) and "name" in value])))
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(_places(body)))
        parent: Any = body
        for key in path[:-1]:
            parent = parent[key]
        match draw(st.sampled_from(["replace", "replace", "delete", "add", "set"])):
            case "replace":
                parent[path[-1]] = copy.deepcopy(draw(st.sampled_from(VALUES)))
            case "delete":
                del parent[path[-1]]
            case "add" if isinstance(parent, dict):
                parent[draw(st.sampled_from(["extra", "members", "space", "refit", "seed", "halving", *POINTERS]))] = copy.deepcopy(
                    draw(st.sampled_from(VALUES))
                )
            case _:
                if isinstance(body.get("plan"), dict):
                    body["plan"][draw(st.sampled_from(["space", "axis"]))] = copy.deepcopy(draw(SETS))
    return body


def _exists(pointer: str, body: Any) -> bool:
    """Tell whether a pointer leads to something in a body, or to what its parent lacks."""
    at, parts = body, parts_of(pointer)
    for i, part in enumerate(parts):
        is_last = i == len(parts) - 1
        if isinstance(at, dict) and part in at:
            at = at[part]
        elif isinstance(at, list) and part.isdecimal() and int(part) < len(at):
            at = at[int(part)]
        else:
            return is_last
    return True


@FUZZ
@given(body=bodies())
def test_every_body_is_previewed_or_refused_where_it_is_wrong(client: StrictClient, body: dict[str, Any]) -> None:
    """B029, B091, B107: never a 5xx; a refusal points into what was sent; a resolved spec is a fixed point."""
    answer = client.post("/v1/previews", json=body)
    assert answer.status_code in {200, 422}, (answer.text, json.dumps(body))
    if answer.status_code == 422:
        errors = answer.json()["errors"]
        assert errors
        for error in errors:
            assert error["message"]
            assert _exists(error["pointer"], body), (error, json.dumps(body))
        return
    found = answer.json()
    again = client.post("/v1/previews", json=found["spec"])
    assert again.status_code == 200, (again.text, json.dumps(body))
    assert again.json() == found


@pytest.mark.parametrize("name", BODIES)
def test_every_plan_is_previewed_as_it_stands(client: StrictClient, name: str) -> None:
    found = client.post("/v1/previews", json=body_of(name))
    assert found.status_code == 200, found.text
    assert client.post("/v1/previews", json=found.json()["spec"]).json() == found.json()


@pytest.mark.parametrize(
    "axis", [{"low": 1, "high": 0.1}, {"low": 1, "high": 1}, {"low": 0, "high": 1, "log": True}, {"low": 0.5, "high": 2, "integer": True}]
)
def test_ends_that_make_no_range_are_pointed_at_by_their_axis(client: StrictClient, axis: dict[str, Any]) -> None:
    """B029."""
    search = {"method": "random", "space": {"/optimizer/learning_rate": axis}}
    plans: dict[str, dict[str, Any]] = {
        "/plan/space": {"name": "search", **search},
        "/plan/search/space": {"name": "nested_cv", "search": search},
    }
    for pointer, asked in plans.items():
        answer = client.post("/v1/previews", json={"dataset": "iris", "split": {"name": "k_fold", "folds": 2}, "plan": asked})
        assert [error["pointer"] for error in answer.json()["errors"]] == [f"{pointer}/~1optimizer~1learning_rate"]


@pytest.mark.parametrize(
    ("plan", "pointer"),
    [
        ({"name": "bias_variance", "axis": {"/preprocessing/target": {"values": ["none", "standardize"]}}}, "/plan/axis/~1preprocessing~1target/values/0"),
        ({"name": "search", "space": {"/network/hidden_units": {"values": [[100_000_000], [4]]}}}, "/plan/space/~1network~1hidden_units"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_the_data_is_pointed_at(client: StrictClient, plan: dict[str, Any], pointer: str) -> None:
    """B029."""
    answer = client.post("/v1/previews", json={"dataset": "iris", "plan": plan})
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("plan", "pointers"),
    [
        ({"name": "comparison", "variants": [{"label": "a", "set": {}}, {"label": "", "set": {}}]}, ["/plan/variants/1/label"]),
        ({"name": "learning_curve", "fractions": [0, 1]}, ["/plan/fractions/0"]),
        ({"name": "learning_curve", "fractions": [1]}, ["/plan/fractions"]),
    ],
)
def test_an_item_with_a_fault_still_counts(client: StrictClient, plan: dict[str, Any], pointers: list[str]) -> None:
    """B029."""
    answer = client.post("/v1/previews", json={"dataset": "iris", "plan": plan})
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers


@pytest.mark.parametrize(
    "pointer", [one for one in POINTERS if one and not one.startswith("/")] + ["optimizer.learning_rate", "~", "/optimizer.learning_rate"]
)
def test_dots_and_a_missing_stroke_are_refused_with_how_a_place_is_written(client: StrictClient, pointer: str) -> None:
    """What newcomers write, in every plan that varies something."""
    listed = {pointer: {"values": [0.1, 0.2]}}
    plans: dict[str, dict[str, Any]] = {
        "grid": {"space": listed},
        "halving": {"space": {pointer: {"low": 0.1, "high": 1}}},
        "bayesian": {"space": {pointer: {"low": 0.1, "high": 1}}},
        "nested_cv": {"search": {"method": "grid", "space": listed}},
        "comparison": {"variants": [{"label": "a", "set": {pointer: 0.1}}, {"label": "b", "set": {}}]},
        "bias_variance": {"axis": listed},
    }
    for name, changed in plans.items():
        body = body_of(name)
        answer = client.post("/v1/previews", json={**body, "plan": {**body["plan"], **changed}})
        assert (answer.status_code, "it must begin with /network" in answer.text) == (422, True), (name, answer.text)

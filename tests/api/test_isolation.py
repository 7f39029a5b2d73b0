"""One owner's things are not there for another: the same answer for a foreign id and for none, on every path and verb."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from api.app import create_app
from api.audit import ACTIONS, UNTOLD
from api.dependencies import _dataset_of_mine, _job_of_mine, _upload_of_mine
from store.datasets import store_dataset
from store.engine import Database
from store.keys import create_key
from store.tables import LOCAL
from tests.api.conftest import StrictClient, settings_for
from tests.factories import a_succeeded_job, an_upload

UNKNOWN_JOB, UNKNOWN_DATASET = "job_" + "0" * 26, "ds_" + "0" * 26
VERBS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
BODIES: dict[str, Any] = {"predictions": {"rows": [[1, 2, 3, 4]]}, "extend": {"epochs": 1}}


class Two:
    """Two owners of one service: ann has a job and an upload, bob asks for them."""

    def __init__(self, db: Database, tmp_path: Path, client: StrictClient) -> None:
        self.db = db
        self.ann, self.bob = create_key(db, "ann")[1], create_key(db, "bob")[1]
        self.client = client
        self.app: Any = self.client.app
        self.job = self.asked("ann", "POST", "/v1/jobs", json={"dataset": "iris", "seed": 0}).json()["id"]
        upload, _ = store_dataset(db, self.app.state.resources.artifacts, an_upload(tmp_path / "upload"), owner="ann")
        self.dataset = upload.info.id

    def asked(self, who: str, method: str, path: str, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {getattr(self, who)}", "X-Request-Id": "same", **options.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **options)


@pytest.fixture
def two(db: Database, tmp_path: Path) -> Iterator[Two]:
    with StrictClient(create_app(settings_for(db, tmp_path)), raise_server_exceptions=False) as client:  # one loop for all requests
        yield Two(db, tmp_path, client)


def routes(app: Any) -> list[APIRoute]:
    found: list[APIRoute] = app.state.routes
    return found


def test_every_path_of_a_job_or_dataset_asks_whose_it_is(sqlite_db: Database, tmp_path: Path) -> None:
    """B129: a route that reads the id by itself would serve anybody."""
    app = create_app(settings_for(sqlite_db, tmp_path))
    checks = {"job_id": {_job_of_mine}, "dataset_id": {_dataset_of_mine, _upload_of_mine}}
    seen = dict.fromkeys(checks, 0)
    for route in routes(app):
        for name, allowed in checks.items():
            if f"{{{name}}}" in route.path:
                seen[name] += 1
                assert allowed & {one.call for one in route.dependant.dependencies}, route.path
                assert name not in [parameter.name for parameter in route.dependant.path_params], route.path
    assert seen["job_id"] > 10
    assert seen["dataset_id"] > 2


def test_a_foreign_id_is_as_unknown_as_one_that_is_not_there(two: Two) -> None:
    """B129: every path below a job and a dataset, by every verb, with and without a body that would do."""
    paths = sorted({route.path for route in routes(two.app) if "_id}" in route.path})
    asked = 0
    for path in paths:
        for verb in VERBS:
            for body in (None, BODIES.get(path.rsplit("/", 1)[-1], {}))[: 2 if verb == "POST" else 1]:
                options = {} if body is None else {"json": body}
                foreign, unknown = (
                    two.asked("bob", verb, path.format(job_id=job, dataset_id=dataset, number=1), **options)
                    for job, dataset in ((two.job, two.dataset), (UNKNOWN_JOB, UNKNOWN_DATASET))
                )
                what = (verb, path, body, foreign.text)
                assert foreign.status_code == unknown.status_code, what
                assert foreign.status_code in {404, 405, 415, 422}, what
                assert foreign.content == unknown.content, what
                assert _apart(foreign.headers) == _apart(unknown.headers), what
                asked += foreign.status_code == 404
    assert asked > len(paths)
    mine = two.asked("ann", "GET", f"/v1/jobs/{two.job}").json()
    assert mine["status"] == "queued"
    assert mine["version"] == 1
    assert two.dataset in two.asked("ann", "GET", "/v1/datasets").text


def _apart(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "date"}


@pytest.mark.parametrize(
    "headers", [{"If-None-Match": "*"}, {"If-None-Match": 'W/"1"'}, {"Accept": "text/csv"}, {"Accept": "application/json"}]
)
def test_no_header_opens_what_is_closed(two: Two, headers: dict[str, str]) -> None:
    for path in ("", "/curves", "/events", "/report.png", "/report.svg"):
        foreign, unknown = (two.asked("bob", "GET", f"/v1/jobs/{one}{path}", headers=headers) for one in (two.job, UNKNOWN_JOB))
        assert (foreign.status_code, foreign.content) == (unknown.status_code, unknown.content)
        assert foreign.status_code == 404


def test_lists_and_their_filters_show_ones_own_alone(two: Two) -> None:
    name = {"name": "secret plan", "metadata": {"team": "a"}}
    named = two.asked("ann", "POST", "/v1/jobs", json={"dataset": two.dataset, "seed": 0, "split": {"name": "holdout"}, **name})
    assert named.status_code == 201, named.text
    everything = ("", "?sort=created_at", f"?dataset={two.dataset}", "?name=secret", "?metadata.team=a", "?status=queued", "?plan=fit")
    for query in everything:
        assert two.asked("ann", "GET", f"/v1/jobs{query}").json()["items"], query
        assert two.asked("bob", "GET", f"/v1/jobs{query}").json() == {"items": [], "next_cursor": None, "has_more": False}
    cursor = two.asked("ann", "GET", "/v1/jobs?limit=1").json()["next_cursor"]
    assert two.asked("ann", "GET", f"/v1/jobs?cursor={cursor}").json()["items"]
    assert two.asked("bob", "GET", f"/v1/jobs?cursor={cursor}").json()["items"] == []
    assert two.dataset in two.asked("ann", "GET", "/v1/datasets").text
    for query in ("", "?limit=1", f"?cursor={two.dataset}z"):
        assert two.dataset not in two.asked("bob", "GET", f"/v1/datasets{query}").text


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/previews"])
def test_a_foreign_dataset_is_unknown_to_a_spec(two: Two, path: str) -> None:
    """B129: and the ids that the answer suggests are not another's."""
    spec = {"dataset": two.dataset, "seed": 0}
    assert two.asked("ann", "POST", path, json=spec).status_code in {200, 201}
    foreign, unknown = (two.asked("bob", "POST", path, json={**spec, "dataset": one}) for one in (two.dataset, UNKNOWN_DATASET))
    assert (foreign.status_code, foreign.json()["errors"][0]["code"]) == (422, "unknown_dataset")
    assert foreign.content == unknown.content
    assert two.dataset not in foreign.text
    assert two.dataset in two.asked("ann", "POST", path, json={**spec, "dataset": UNKNOWN_DATASET}).text


def test_idempotency_keys_of_two_owners_are_two_keys(two: Two) -> None:
    """B026: key of one owner, and another's job."""
    headers = {"Idempotency-Key": "one"}
    of_ann, of_bob = (two.asked(who, "POST", "/v1/jobs", json={"dataset": "iris", "seed": 1}, headers=headers) for who in ("ann", "bob"))
    assert (of_ann.status_code, of_bob.status_code) == (201, 201)
    assert of_ann.json()["id"] != of_bob.json()["id"]
    assert two.asked("bob", "POST", "/v1/jobs", json={"dataset": "iris", "seed": 1}, headers=headers).json()["id"] == of_bob.json()["id"]
    other = two.asked("bob", "POST", "/v1/jobs", json={"dataset": "iris", "seed": 2}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_equal_uploads_of_two_owners_are_two_datasets(two: Two) -> None:
    file = ("t.csv", "a,b\n" + "".join(f"{i},{'xy'[i % 2]}\n" for i in range(20)))
    made = [
        two.asked(who, "POST", "/v1/datasets", files={"file": file}, data={"schema": '{"target": "b"}'}) for who in ("ann", "bob", "bob")
    ]
    assert [answer.status_code for answer in made] == [201, 201, 200]
    assert made[0].json()["id"] != made[1].json()["id"] == made[2].json()["id"]
    assert two.asked("ann", "DELETE", f"/v1/datasets/{made[0].json()['id']}").status_code == 204
    assert two.asked("bob", "GET", f"/v1/datasets/{made[1].json()['id']}").status_code == 200


def test_whose_a_job_is_costs_one_query_and_then_none(two: Two) -> None:
    """A poll that is told 304 asks for the version alone."""
    counted: list[str] = []
    engine: Any = two.app.state.resources.db.engine
    from sqlalchemy import event

    event.listen(engine, "before_cursor_execute", lambda *args: counted.append(args[2]) if "FROM jobs" in args[2] else None)
    path = f"/v1/jobs/{two.job}"
    tag = two.asked("ann", "GET", path).headers["etag"]
    counted.clear()
    assert two.asked("ann", "GET", path, headers={"If-None-Match": tag}).status_code == 304
    assert len(counted) == 1, counted
    counted.clear()
    for _ in range(2):  # another's is asked for each time, as what is not there is: time tells nothing
        assert two.asked("bob", "GET", path).status_code == 404
        assert two.asked("bob", "GET", f"/v1/jobs/{UNKNOWN_JOB}").status_code == 404
    assert len(counted) == 4, counted


def test_what_was_made_without_keys_is_nobodys_but_locals(db: Database, tmp_path: Path) -> None:
    job = a_succeeded_job(db)
    (_, ann), (_, local) = create_key(db, "ann"), create_key(db, LOCAL)
    client = StrictClient(create_app(settings_for(db, tmp_path)), raise_server_exceptions=False)
    for path in ("", "/curves", "/report.png", "/events"):
        assert client.get(f"/v1/jobs/{job}{path}", headers={"Authorization": f"Bearer {ann}"}).status_code == 404
        assert client.get(f"/v1/jobs/{job}{path}", headers={"Authorization": f"Bearer {local}"}).status_code == 200


def test_every_path_that_changes_something_is_told_to_the_log(sqlite_db: Database, tmp_path: Path) -> None:
    app = create_app(settings_for(sqlite_db, tmp_path))
    known = {(method, route.path) for route in routes(app) for method in route.methods or ()}
    changing = {one for one in known if one[0] != "GET"}
    assert changing - ACTIONS.keys() - UNTOLD == set()
    assert (ACTIONS.keys() | UNTOLD) - known <= {("POST", "/v1/jobs/{job_id}/extend")}


def test_the_document_says_how_to_be_let_in(sqlite_db: Database, tmp_path: Path) -> None:
    documents = {
        access: StrictClient(create_app(settings_for(sqlite_db, tmp_path, access=access))).get("/openapi.json").json()
        for access in ("auto", "keys", "open")
    }
    assert documents["keys"]["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    wanted = {"auto": [{"key": []}, {}], "keys": [{"key": []}], "open": None}
    for access, document in documents.items():
        operation = document["paths"]["/v1/jobs"]["post"]
        assert operation.get("security") == wanted[access]
        assert ("401" in operation["responses"]) == (access != "open")
        assert ("403" in operation["responses"]) == (access != "keys")
    assert "securitySchemes" not in json.dumps(documents["open"])

"""Jobs over HTTP."""

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from api.app import create_app
from store.engine import Database
from store.events import events_after
from store.jobs import get_job
from store.sweeping import due
from store.workers import beat
from tests.api.conftest import StrictClient, settings_for
from tests.factories import a_diverged_job, a_job, a_succeeded_job

SPEC: dict[str, Any] = {"dataset": "iris", "seed": 0, "training": {"max_epochs": 2}}
UNKNOWN = "job_00000000000000000000000000"


def _create(client: StrictClient, **fields: Any) -> dict[str, Any]:
    answer = client.post("/v1/jobs", json={**SPEC, **fields})
    assert answer.status_code == 201, answer.text
    job: dict[str, Any] = answer.json()
    return job


def test_a_job_is_created_committed_and_left_for_the_sweeper_when_the_broker_is_away(client: StrictClient, db: Database) -> None:
    """B047, B102: 201 within two seconds; the row is there before anything is sent, and is found as unsent."""
    began = time.monotonic()
    answer = client.post("/v1/jobs", json=SPEC)
    assert time.monotonic() - began < 2
    assert answer.status_code == 201
    job = answer.json()
    assert answer.headers["location"] == job["links"]["self"] == f"/v1/jobs/{job['id']}"
    assert answer.headers["etag"] == 'W/"1"'
    assert get_job(db, job["id"]).spec == job["spec"]
    assert len(due(db, grace_seconds=0)) == 1


def test_the_echoed_spec_can_be_posted_again(client: StrictClient) -> None:
    job = _create(client)
    assert client.post("/v1/jobs", json=job["spec"]).json()["spec"] == job["spec"]


def test_ten_posts_with_one_key_make_one_job(client: StrictClient) -> None:
    """B026."""
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: client.post("/v1/jobs", json=SPEC, headers={"Idempotency-Key": "k"}), range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(client.get("/v1/jobs").json()["items"]) == 1


def test_a_key_with_another_body_is_refused_and_a_refused_body_burns_no_key(client: StrictClient) -> None:
    """B026."""
    key = {"Idempotency-Key": "k"}
    assert client.post("/v1/jobs", json={**SPEC, "seed": "x"}, headers=key).status_code == 422
    assert client.post("/v1/jobs", json=SPEC, headers=key).status_code == 201
    other = client.post("/v1/jobs", json={**SPEC, "seed": 1}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ('{"dataset": "iris", "training": {"max_epochs": true}}', "/training/max_epochs"),
        ('{"dataset": "iris", "training": {"max_epochs": "10"}}', "/training/max_epochs"),
        ('{"dataset": "iris", "training": {"max_epochs": 1.5}}', "/training/max_epochs"),
        ('{"dataset": "iris", "training": {"batch_size": "half"}}', "/training/batch_size"),
        ('{"dataset": "iris", "split": {"name": "holdout", "shuffle": "false"}}', "/split/shuffle"),
        ('{"dataset": "iris", "split": {"name": "holdout", "shuffle": 0}}', "/split/shuffle"),
        ('{"dataset": "iris", "optimizer": {"name": "adam", "learning_rate": "1e-3"}}', "/optimizer/learning_rate"),
        ('{"dataset": "iris", "optimizer": {"name": "adam", "momentum": 0.9}}', "/optimizer/momentum"),
        ('{"dataset": "iris", "optimizer": {"name": "adamm"}}', "/optimizer"),
        ('{"dataset": "iris", "optimizer": {"learning_rate": 0.1}}', "/optimizer"),
        ('{"dataset": "iris", "network": {"name": "mlp", "hidden_units": [8, "x"]}}', "/network/hidden_units/1"),
        ('{"dataset": "digits", "network": {"name": "cnn", "blocks": [{"channels": 4}, {"chanels": 4}]}}', "/network/blocks/1/chanels"),
        (
            '{"dataset": "digits", "network": {"name": "cnn", "blocks": [{"pool": 2}, {"pool": 2}, {"pool": 2}, {"pool": 2}]}}',
            "/network/blocks/3/pool",
        ),
        ('{"dataset": "iris", "unknown/field~": 1}', "/unknown~1field~0"),
        ('{"dataset": "iris", "name": "a\\u0000b"}', "/name"),
        ('{"dataset": "iris", "metadata": {"a": 1}}', "/metadata/a"),
        ('{"dataset": "iris", "seed": -1}', "/seed"),
        ('{"dataset": "iris", "regularization": {"label_smoothing": false}}', "/regularization/label_smoothing"),
        ('{"dataset": "iris", "evaluation": {"sharpness": 0}}', "/evaluation/sharpness"),
        ('{"dataset": "iris", "optimizer": {"name": "sgd", "learning_rate": 1e999}}', "/optimizer/learning_rate"),
        ('{"dataset": "nope"}', "/dataset"),
        ('{"dataset": "iris", "network": {"name": "mlp", "hidden_units": [1000000, 1000000]}}', "/network/hidden_units/0"),
        ('{"dataset": "iris", "early_stopping": {}, "split": {"name": "holdout", "val_fraction": 0}}', "/early_stopping"),
        ("{}", "/dataset"),
    ],
)
def test_what_is_wrong_is_pointed_at(lite_client: StrictClient, body: str, pointer: str) -> None:
    """B019, B029, B056, B091, B092, B107."""
    answer = lite_client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]], answer.text


@pytest.mark.parametrize(
    "body",
    [
        '{"dataset": NaN}',
        '{"seed": Infinity}',
        '{"dataset": "iris", "dataset": "wine"}',
        "{",
        "",
        "[" * 100_000,
        '"iris"',
        "[]",
        "null",
        b"\xff{}",
        '{"seed": ' + "9" * 5000 + "}",
    ],
)
def test_what_is_not_a_json_object_is_refused(lite_client: StrictClient, body: str | bytes) -> None:
    answer = lite_client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


def test_lone_surrogates_are_refused(lite_client: StrictClient) -> None:
    for field in ('"name": "\\ud800"', '"optimizer": {"name": "\\ud800"}', '"\\ud800": 1', '"metadata": {"\\ud800": "x"}'):
        answer = lite_client.post("/v1/jobs", content=f'{{"dataset": "iris", {field}}}', headers={"Content-Type": "application/json"})
        assert answer.status_code == 422


def test_bodies_of_other_kinds_or_sizes_are_refused(lite_client: StrictClient) -> None:
    assert (
        lite_client.post("/v1/jobs", content="dataset=iris", headers={"Content-Type": "application/x-www-form-urlencoded"}).status_code
        == 415
    )
    assert lite_client.post("/v1/jobs", content="x" * 2_000_000, headers={"Content-Type": "application/json"}).status_code == 413
    assert (
        lite_client.post("/v1/jobs", content=(b"x" * 1000 for _ in range(2000)), headers={"Content-Type": "application/json"}).status_code
        == 413
    )


def test_a_gpu_is_refused_where_none_lives(client: StrictClient, db: Database) -> None:
    """B099: never a job that fails later for want of a device."""
    answer = client.post("/v1/jobs", json={**SPEC, "device": "cuda"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/device")
    beat(db, "gpu/1", ["cpu", "cuda"], {})
    assert client.post("/v1/jobs", json={**SPEC, "device": "cuda"}).status_code == 201


def test_a_full_queue_says_when_to_come_back(db: Database, tmp_path: Path) -> None:
    with StrictClient(create_app(settings_for(db, tmp_path, max_queued_jobs=1))) as client:
        _create(client)
        answer = client.post("/v1/jobs", json=SPEC)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")


def test_a_key_gives_its_job_though_the_queue_is_full_by_now(db: Database, tmp_path: Path) -> None:
    """B026."""
    key = {"Idempotency-Key": "k"}
    with StrictClient(create_app(settings_for(db, tmp_path, max_queued_jobs=1))) as client:
        first, again = (client.post("/v1/jobs", json=SPEC, headers=key) for _ in range(2))
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])


@pytest.mark.parametrize(
    "cursor",
    [
        ["-created_at", "0001-01-01T00:00:00+14:00", "job_1"],
        ["-created_at", "9999-12-31T23:59:59-14:00", "job_1"],
        ["-created_at", "2026-01-01T00:00:00+00:00", "a\x00"],
        ["-created_at", "2026-01-01T00:00:00+00:00", "\ud800"],
        {"a": 1, "b": 2, "c": 3},
    ],
)
def test_a_made_up_cursor_is_refused(client: StrictClient, cursor: object) -> None:
    text = base64.urlsafe_b64encode(json.dumps(cursor).encode()).decode()
    assert client.get("/v1/jobs", params={"cursor": text}).status_code == 422


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/v1/jobs/{UNKNOWN}"),
        ("DELETE", f"/v1/jobs/{UNKNOWN}"),
        ("POST", f"/v1/jobs/{UNKNOWN}/cancel"),
        *[
            ("GET", f"/v1/jobs/{UNKNOWN}/{part}")
            for part in ("fits", "fits/1", "result", "curves", "curves.csv", "events", "report.png", "report.svg", "model")
        ],
    ],
)
def test_an_unknown_id_is_not_found_everywhere(lite_client: StrictClient, method: str, path: str) -> None:
    """B101: never pending, never empty."""
    answer = lite_client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("name", ["../x", "..%2fx", "%2e%2e%2fx", "/etc/passwd", "a/../../b", "C:\\x", "a%00", "%", "~", "x" * 200])
def test_no_id_reaches_a_file(lite_client: StrictClient, tmp_path: Path, name: str) -> None:
    """B123."""
    (tmp_path / "x").write_text("canary")
    for path in (f"/v1/jobs/{name}", f"/v1/jobs/{name}/model", f"/v1/datasets/{name}"):
        answer = lite_client.get(path)
        assert answer.status_code in {404, 422}
        assert "canary" not in answer.text
    assert lite_client.post("/v1/jobs", json={"dataset": name}).status_code == 422


def test_a_reader_is_told_304_while_nothing_changed(client: StrictClient) -> None:
    job = _create(client)
    for path in ("", "/curves"):
        answer = client.get(f"/v1/jobs/{job['id']}{path}")
        assert answer.headers["etag"] == 'W/"1"'
        same = client.get(f"/v1/jobs/{job['id']}{path}", headers={"If-None-Match": answer.headers["etag"]})
        assert (same.status_code, same.content) == (304, b"")
    client.post(f"/v1/jobs/{job['id']}/cancel")
    for path in ("", "/curves"):
        assert client.get(f"/v1/jobs/{job['id']}{path}", headers={"If-None-Match": 'W/"1"'}).status_code == 200


def test_only_active_jobs_ask_to_be_polled(client: StrictClient, db: Database) -> None:
    assert client.get(_create(client)["links"]["self"]).headers["retry-after"] == "1"
    assert "retry-after" not in client.get(f"/v1/jobs/{a_succeeded_job(db)}").headers


def test_a_queued_job_is_cancelled_at_once_and_again(client: StrictClient) -> None:
    job = _create(client)
    for _ in range(2):
        answer = client.post(f"/v1/jobs/{job['id']}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")


def test_parallel_cancels_are_one_change(client: StrictClient, db: Database) -> None:
    """B049."""
    job = _create(client)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client.post(f"/v1/jobs/{job['id']}/cancel").status_code, range(4)))
    assert answers == [202] * 4
    assert [event.kind for event in events_after(db, job["id"], 0).events] == ["status", "status", "finished"]


def test_an_ended_job_says_its_state_when_cancelled(client: StrictClient, db: Database) -> None:
    answer = client.post(f"/v1/jobs/{a_succeeded_job(db)}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "job_ended")
    assert "succeeded" in answer.json()["detail"]


def test_deleting_is_for_ended_jobs_and_only_once(client: StrictClient, db: Database) -> None:
    """B053."""
    active, ended = _create(client)["id"], a_succeeded_job(db)
    assert client.delete(f"/v1/jobs/{active}").status_code == 409
    answer = client.delete(f"/v1/jobs/{ended}")
    assert (answer.status_code, answer.content, "content-type" in answer.headers) == (204, b"", False)
    assert client.delete(f"/v1/jobs/{ended}").status_code == 404
    assert client.get(f"/v1/jobs/{active}").status_code == 200


def test_one_diverged_job_among_ten_breaks_no_list(client: StrictClient, db: Database) -> None:
    """B011."""
    for _ in range(9):
        a_succeeded_job(db)
    diverged = a_diverged_job(db)
    items = client.get("/v1/jobs?limit=10").json()["items"]
    assert len(items) == 10
    [found] = [item for item in items if item["id"] == diverged]
    assert (found["status"], found["failure"]["kind"], found["failure"]["retryable"]) == ("failed", "diverged", False)
    for path in ("fits", "curves", "events?after_version=0", "curves.csv"):
        answer = client.get(f"/v1/jobs/{diverged}/{path}", headers={"Accept": "application/json"} if "events" in path else {})
        assert answer.status_code == 200
        assert "nan" not in answer.text.lower().replace("finance", "")


def test_lists_are_filtered_paged_and_trimmed(client: StrictClient) -> None:
    mine = [_create(client, name=f"run {i}", metadata={"owner": "vision"})["id"] for i in range(3)]
    _create(client, dataset="wine")
    query = "/v1/jobs?metadata.owner=vision&name=RUN&limit=2&fields=id,status&status=queued&status=running"
    first = client.get(query).json()
    assert first == {
        "items": [{"id": one, "status": "queued"} for one in mine[:0:-1]],
        "next_cursor": first["next_cursor"],
        "has_more": True,
    }
    second = client.get(f"{query}&cursor={first['next_cursor']}")
    assert [item["id"] for item in second.json()["items"]] == mine[:1]
    assert second.json()["has_more"] is False
    assert "curves" not in client.get("/v1/jobs").json()["items"][0]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "status=done",
        "sort=name",
        "cursor=x",
        "fields=nope",
        "created_after=2026-01-01T00:00:00",
        "created_after=x",
        "created_after=0001-01-01T00:00:00%2B14:00",
        "limit=10&limit=20",
        "unknown=1",
        "name=%00",
        "metadata=x",
    ],
)
def test_wrong_query_parameters_are_refused(lite_client: StrictClient, query: str) -> None:
    answer = lite_client.get(f"/v1/jobs?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == query.split("=", maxsplit=1)[0]


def test_fields_that_no_job_has_are_named(lite_client: StrictClient) -> None:
    [fault] = lite_client.get("/v1/jobs?fields=id,nope,status,," + "x" * 99).json()["errors"]
    assert fault["message"].startswith(f"a job has no field '', 'nope', '{'x' * 40}'; it has id, name, status, ")


@pytest.mark.parametrize("key", ['a"b', "\u00fc.1", "a\\", "0", "$", "a'b", "a b&c=d"])
def test_any_metadata_can_be_filtered_by(client: StrictClient, key: str) -> None:
    job = _create(client, metadata={key: "\u00fc x", "other": "y"})
    _create(client, metadata={key: "z"})
    assert [
        item["id"] for item in client.get("/v1/jobs", params={f"metadata.{key}": "\u00fc x", "metadata.other": "y"}).json()["items"]
    ] == [job["id"]]
    assert job["metadata"] == {key: "\u00fc x", "other": "y"}


def test_a_preview_creates_nothing_and_says_everything(lite_client: StrictClient) -> None:
    answer = lite_client.post("/v1/previews", json={"dataset": "digits", "network": {"name": "cnn"}, "training": {"batch_size": 5000}})
    found = answer.json()
    assert answer.status_code == 200
    assert found["fits"][0]["num_rows"] == {"train": 1258, "val": 539, "test": 0}
    assert found["fits"][0]["steps_per_epoch"] == 1
    assert [layer["name"] for layer in found["layers"]][:3] == ["conv1", "activation1", "pool1"]
    assert found["num_parameters"] == sum(layer["num_parameters"] for layer in found["layers"])
    assert "1258 training rows" in found["warnings"][0]
    assert lite_client.get("/v1/jobs").json()["items"] == []


@pytest.mark.parametrize("order", ["cancel", "pause", "resume"])
def test_an_order_takes_no_body(lite_client: StrictClient, sqlite_db: Database, order: str) -> None:
    """B091: what would have no effect is refused; an empty object says nothing."""
    job_id = a_job(sqlite_db).job.id
    answer = lite_client.post(f"/v1/jobs/{job_id}/{order}", json={"reason": "tired"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert lite_client.get(f"/v1/jobs/{job_id}").json()["status"] == "queued"
    assert lite_client.post(f"/v1/jobs/{job_id}/{order}", json={}).status_code == 202


def test_lists_are_filtered_by_a_key_that_has_a_name(lite_client: StrictClient) -> None:
    assert lite_client.get("/v1/jobs?metadata.=x").status_code == 422


def test_a_text_that_is_too_long_is_told_in_characters(lite_client: StrictClient) -> None:
    answer = lite_client.post("/v1/jobs", json={"dataset": "iris", "name": "x" * 201})
    assert answer.json()["errors"][0]["message"] == "must have at most 200 characters"

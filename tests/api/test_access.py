"""Who is let in: keys, and what happens without one."""

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Scope

from api.app import create_app
from api.public import PUBLIC
from store.engine import Database, create_engine
from store.keys import create_key, hashed, list_keys, parts_of, revoke_key
from store.tables import LOCAL
from tests.api.conftest import StrictClient, settings_for
from tests.factories import a_succeeded_job

WRONG = f"hk_{'0' * 16}_{'0' * 64}"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


class _Gathering(logging.Handler):
    """Keeps lines as they are before they are masked."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.msg if isinstance(record.msg, dict) else {"event": record.getMessage()})


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """Gather what is logged."""
    handler = _Gathering()
    logging.getLogger().addHandler(handler)
    yield handler.lines
    logging.getLogger().removeHandler(handler)


def audits(logged: list[Any]) -> list[dict[str, Any]]:
    return [dict(line) for line in logged if line["event"] == "audit"]


def client_for(db: Database, tmp_path: Path, **fields: Any) -> StrictClient:
    """Talk to an API without its lifespan, so that its logs can be gathered."""
    return StrictClient(create_app(settings_for(db, tmp_path, **fields)), raise_server_exceptions=False)


def test_a_key_is_shown_once_and_stored_as_a_hash(db: Database) -> None:
    row, key = create_key(db, "ann", "laptop")
    key_id, secret = parts_of(key) or ("", "")
    assert (row.id, row.owner, row.label, row.revoked_at) == (key_id, "ann", "laptop", None)
    assert row.hash == hashed(secret)
    assert len(bytes.fromhex(secret)) == 32
    assert secret not in repr(list_keys(db))


@pytest.mark.parametrize("owner", ["", "-ann", "a" * 65, "a b", "a\x00", "\u00e9va", "ann\n"])
def test_an_owner_has_a_plain_name(sqlite_db: Database, owner: str) -> None:
    with pytest.raises(ValueError, match="owner"):
        create_key(sqlite_db, owner)
    assert list_keys(sqlite_db) == []


def test_without_keys_everybody_is_local_and_sees_all(db: Database, tmp_path: Path) -> None:
    client = client_for(db, tmp_path)
    job = client.post("/v1/jobs", json={"dataset": "iris", "seed": 0}).json()
    assert client.get(f"/v1/jobs/{job['id']}").status_code == 200
    _, key = create_key(db, LOCAL)
    with_key = client_for(db, tmp_path)
    assert with_key.get(f"/v1/jobs/{job['id']}", headers=bearer(key)).status_code == 200
    _, other = create_key(db, "ann")
    assert with_key.get(f"/v1/jobs/{job['id']}", headers=bearer(other)).status_code == 404


def test_the_first_key_closes_the_door_of_a_running_api_and_revoking_the_last_opens_none(db: Database, tmp_path: Path) -> None:
    client = client_for(db, tmp_path)
    assert client.get("/v1/jobs").status_code == 200
    made, key = create_key(db, "ann")
    _until(lambda: client.get("/v1/jobs").status_code == 401, 2.0)
    assert client.get("/v1/jobs", headers=bearer(key)).status_code == 200
    revoke_key(db, made.id)
    _until(lambda: client.get("/v1/jobs", headers=bearer(key)).status_code == 401, 2.0)
    assert client.get("/v1/jobs").status_code == 401
    assert client_for(db, tmp_path).get("/v1/jobs").status_code == 401


def test_each_mode_does_what_it_says(sqlite_db: Database, tmp_path: Path) -> None:
    for access, before, after in (("auto", 200, 401), ("keys", 401, 401), ("open", 200, 200)):
        assert client_for(sqlite_db, tmp_path, access=access).get("/v1/limits").status_code == before
        create_key(sqlite_db, "ann")
        assert client_for(sqlite_db, tmp_path, access=access).get("/v1/limits").status_code == after
        with sqlite_db.write() as connection:
            connection.exec_driver_sql("DELETE FROM api_keys")


def test_nothing_tells_why_a_key_is_not_taken(db: Database, tmp_path: Path) -> None:
    """B129: an unknown, a malformed, a revoked key and none get one answer, byte for byte."""
    made, key = create_key(db, "ann")
    revoked, gone = create_key(db, "ann")
    revoke_key(db, revoked.id)
    client = client_for(db, tmp_path)
    given: list[Any] = [
        {},
        bearer(WRONG),
        bearer(gone),
        bearer(key[:-1] + ("0" if key[-1] != "0" else "1")),
        bearer(f"{key}0"),
        bearer(f"hk_{made.id}_{'0' * 64}"),
        bearer(""),
        {"Authorization": key},
        {"Authorization": f"Basic {key}"},
        {"Authorization": "Bearer \u00e9".encode("latin-1")},
        [("Authorization", f"Bearer {key}"), ("Authorization", f"Bearer {WRONG}")],
    ]
    answers = [client.get("/v1/jobs", headers=[*_pairs(one), ("X-Request-Id", "same")]) for one in given]
    assert {answer.status_code for answer in answers} == {401}
    assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}
    assert len({answer.content for answer in answers}) == 1
    for spelling in (f"bearer {key}", f"BEARER {key}"):
        assert client.get("/v1/jobs", headers={"Authorization": spelling}).status_code == 200


def _pairs(headers: Any) -> list[tuple[Any, Any]]:
    return list(headers.items()) if isinstance(headers, dict) else headers


def test_only_what_carries_no_data_is_open_to_all(sqlite_db: Database, tmp_path: Path) -> None:
    create_key(sqlite_db, "ann")
    client = client_for(sqlite_db, tmp_path)
    app: Any = client.app
    for path, operations in app.openapi()["paths"].items():
        for method, operation in operations.items():
            status = client.request(method, path.format(job_id="job_1", dataset_id="ds_1", number=1)).status_code
            assert (status == 401) == (path not in PUBLIC), (method, path)
            assert ("security" in operation) == ("401" in operation["responses"]) == (path not in PUBLIC)
    for path in ("/docs", "/openapi.json", "/static-offline-docs/swagger-ui.css"):
        assert client.get(path).status_code == 200
    for path in ("/nothing", "/v1", "/docs/", "/docs/x", "/static-offline-docs", "/static-offline-docs/../v1/jobs", "/healthz/"):
        assert client.get(path, follow_redirects=False).status_code in {401, 404}, path
        assert "items" not in client.get(path, follow_redirects=False).text
    assert client.get("/v1/jobs/x/../../../docs").status_code in {200, 401}


def test_a_body_is_not_read_before_its_sender_is_known(sqlite_db: Database, tmp_path: Path) -> None:
    create_key(sqlite_db, "ann")
    app = create_app(settings_for(sqlite_db, tmp_path))
    sent: list[Message] = []
    headers = [(b"content-type", b"multipart/form-data; boundary=b"), (b"content-length", b"4000000000")]
    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/datasets",
        "raw_path": b"/v1/datasets",
        "query_string": b"",
        "headers": headers,
    }

    async def receive() -> Message:
        raise AssertionError("nobody may ask for the body")

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 401


def test_without_the_database_nobody_passes(tmp_path: Path, sqlite_db: Database) -> None:
    """A key that was good is not taken on trust for longer than any other."""
    nowhere = Database(create_engine("postgresql://holdout:opensesame@127.0.0.1:1/holdout"))
    for access in ("auto", "keys"):
        client = client_for(nowhere, tmp_path, access=access)
        for headers in (bearer(WRONG), bearer("x")) if access == "auto" else (bearer(WRONG),):
            answer = client.get("/v1/techniques", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
            assert answer.headers["retry-after"] == "1"
            assert "opensesame" not in answer.text + str(answer.headers)
    _, key = create_key(sqlite_db, "ann")
    client = client_for(sqlite_db, tmp_path)
    assert client.get("/v1/techniques", headers=bearer(key)).status_code == 200
    with sqlite_db.write() as connection:
        connection.exec_driver_sql("ALTER TABLE api_keys RENAME TO gone")
    _until(lambda: client.get("/v1/techniques", headers=bearer(key)).status_code == 503, 2.5)


def test_too_many_requests_of_a_key_are_told_to_wait(sqlite_db: Database, tmp_path: Path) -> None:
    (_, ann), (_, bob) = create_key(sqlite_db, "ann"), create_key(sqlite_db, "bob")
    client = client_for(sqlite_db, tmp_path, max_requests_per_minute=5)
    statuses = [client.get("/v1/limits", headers=bearer(ann)).status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]
    answer = client.get("/v1/limits", headers=bearer(ann))
    assert answer.json()["code"] == "too_many_requests"
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert client.get("/v1/limits", headers=bearer(bob)).json()["max_requests_per_minute"] == 5
    endless = client_for(sqlite_db, tmp_path, max_requests_per_minute=0)
    assert {endless.get("/v1/limits", headers=bearer(ann)).status_code for _ in range(10)} == {200}


def test_who_guesses_is_told_to_wait_and_locks_nobody_out(sqlite_db: Database, tmp_path: Path, logged: list[Any]) -> None:
    (_, known), (_, new) = create_key(sqlite_db, "ann"), create_key(sqlite_db, "bob")
    client = client_for(sqlite_db, tmp_path, max_failed_keys_per_minute=3)
    assert client.get("/v1/limits", headers=bearer(known)).status_code == 200
    statuses = [client.get("/v1/limits", headers=bearer(WRONG)).status_code for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert int(client.get("/v1/limits").headers["retry-after"]) >= 1
    assert client.get("/v1/limits", headers=bearer(known)).status_code == 200
    assert client.get("/v1/limits", headers=bearer(new)).status_code == 429  # not looked up: guesses cost the database nothing
    refused = [line for line in audits(logged) if line["action"] == "key.verify"]
    assert [line["client"] for line in refused] == ["testclient"] * 3


def test_who_did_what_is_logged_and_no_secret_is(
    db: Database, tmp_path: Path, logged: list[Any], capfd: pytest.CaptureFixture[str]
) -> None:
    made, key = create_key(db, "ann")
    client = client_for(db, tmp_path)
    client.headers.update({**bearer(key), "X-Request-Id": "mine"})
    job = client.post("/v1/jobs", json={"dataset": "iris", "seed": 0}).json()["id"]
    client.get(f"/v1/jobs/{job}")
    for order in ("pause", "resume", "cancel"):
        assert client.post(f"/v1/jobs/{job}/{order}").status_code == 202
    assert client.delete(f"/v1/jobs/{job}").status_code == 204
    assert client.post(f"/v1/jobs/{job}/cancel").status_code == 404
    file = ("t.csv", "a,b\n" + "".join(f"{i},{'xy'[i % 2]}\n" for i in range(20)))
    dataset = client.post("/v1/datasets", files={"file": file}, data={"schema": '{"target": "b"}'}).json()["id"]
    assert client.delete(f"/v1/datasets/{dataset}").status_code == 204
    assert client.get(f"/v1/jobs/{job}/model").status_code == 404
    assert client.get("/v1/jobs", headers=bearer(WRONG)).status_code == 401
    told = audits(logged)
    assert [(line["action"], line["target"], line["outcome"]) for line in told] == [
        ("job.create", job, "done"),
        ("job.pause", job, "done"),
        ("job.resume", job, "done"),
        ("job.cancel", job, "done"),
        ("job.delete", job, "done"),
        ("job.cancel", job, "refused"),
        ("dataset.upload", dataset, "done"),
        ("dataset.delete", dataset, "done"),
        ("model.download", job, "refused"),
        ("key.verify", None, "refused"),
    ]
    assert {(line["owner"], line["key"]) for line in told[:-1]} == {("ann", made.id)}
    assert {(line["request_id"], line["client"]) for line in told} == {("mine", "testclient")}
    written = json.dumps(logged, default=str) + "".join(capfd.readouterr())
    for secret in (key, parts_of(key)[1], hashed(parts_of(key)[1]), parts_of(WRONG)[1]):  # type: ignore[index]  # they are keys
        assert secret not in written


def test_no_secret_is_in_an_answer_or_a_log_when_all_fails(tmp_path: Path, logged: list[Any], capfd: pytest.CaptureFixture[str]) -> None:
    """Neither the key nor a password of a URL, with the database and the broker away and a fault within."""
    nowhere = Database(create_engine("postgresql://holdout:opensesame@127.0.0.1:1/holdout"))
    fields = {"home": tmp_path, "broker_url": "redis://:brokerpass@127.0.0.1:1/0"}
    settings = settings_for(nowhere, tmp_path).model_copy(update=fields)
    app = create_app(settings)
    app.add_api_route("/v1/broken", lambda: 1 / 0)
    client = StrictClient(app, raise_server_exceptions=False)
    answers = [
        client.request("GET", path, headers=bearer(WRONG)) for path in ("/v1/jobs", "/readyz", "/metrics", "/v1/broken", "/v1/jobs/job_1")
    ]
    opened = create_app(settings.model_copy(update={"access": "open"}))
    opened.add_api_route("/v1/broken", lambda: 1 / 0)
    client = StrictClient(opened, raise_server_exceptions=False)
    paths = ("/v1/jobs", "/readyz", "/metrics", "/v1/broken", "/v1/jobs/job_1/events")
    answers += [client.get(path, headers=bearer(WRONG)) for path in paths]
    answers.append(client.post("/v1/jobs", json={"dataset": "iris"}, headers=bearer(WRONG)))
    assert {answer.status_code for answer in answers} == {200, 500, 503}  # /metrics tells what the process knows itself
    told = "".join(answer.text + str(answer.headers) for answer in answers)
    written = told + json.dumps(logged, default=str) + "".join(capfd.readouterr()) + repr(settings)
    for secret in ("opensesame", "brokerpass", WRONG, WRONG.rsplit("_", 1)[-1]):
        assert secret not in written


def test_a_revoked_key_ends_its_streams(db: Database, tmp_path: Path) -> None:
    made, key = create_key(db, "ann")
    client = client_for(db, tmp_path)
    job = client.post("/v1/jobs", json={"dataset": "iris", "seed": 0}, headers=bearer(key)).json()["id"]
    app: Any = client.app

    async def follow() -> float:
        guard = app.state.resources.guard
        identity = await guard.verified(key)
        began = time.monotonic()
        revoke_key(db, made.id)
        while await guard.still_lets_in(identity):  # noqa: ASYNC110  a guard tells nobody: it is asked
            await asyncio.sleep(0.05)
        return time.monotonic() - began

    assert asyncio.run(follow()) < 2.0
    assert client.get(f"/v1/jobs/{job}/events", headers=bearer(key)).status_code == 401


def test_an_ended_stream_gives_its_place_back(sqlite_db: Database, tmp_path: Path) -> None:
    job = a_succeeded_job(sqlite_db)
    client = client_for(sqlite_db, tmp_path, max_event_streams=1)
    app: Any = client.app
    streams = app.state.resources.streams
    for _ in range(3):
        assert "event: finished" in client.get(f"/v1/jobs/{job}/events").text
        assert streams.num_open == 0
    assert streams.take(None)
    answer = client.get(f"/v1/jobs/{job}/events")
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (429, "too_many_streams", "5")
    page = client.get(f"/v1/jobs/{job}/events", headers={"Accept": "application/json"})
    assert page.status_code == 200  # a page takes no place


def _until(is_so: Any, seconds: float) -> None:
    give_up_at = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < give_up_at
        time.sleep(0.05)

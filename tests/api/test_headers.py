"""What browsers are told: headers of every answer, the policy of the page, and other sites' pages."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from api.app import create_app
from api.settings import ApiSettings
from store.engine import Database
from store.keys import create_key
from tests.api.conftest import StrictClient, settings_for
from tests.factories import a_succeeded_job

FRIEND, STRANGER = "https://lab.example", "https://evil.example"


def client_for(db: Database, tmp_path: Path, **fields: Any) -> StrictClient:
    return StrictClient(create_app(settings_for(db, tmp_path, **fields)), raise_server_exceptions=False)


def test_every_answer_has_the_headers_that_keep_browsers_in_check(sqlite_db: Database, tmp_path: Path) -> None:
    job = a_succeeded_job(sqlite_db)
    client = client_for(sqlite_db, tmp_path)
    app: Any = client.app
    app.add_api_route("/broken", lambda: 1 / 0)
    closed = client_for(sqlite_db, tmp_path, access="keys")
    answers = {
        path: client.get(path, follow_redirects=False)
        for path in (
            "/",
            "/docs",
            "/openapi.json",
            "/healthz",
            "/metrics",
            "/static-offline-docs/swagger-ui.css",
            "/nothing",
            "/v1/jobs",
            "/broken",
            f"/v1/jobs/{job}",
            f"/v1/jobs/{job}/curves.csv",
            f"/v1/jobs/{job}/report.svg",
            f"/v1/jobs/{job}/events",
            "/v1/datasets/iris/preview.png",
        )
    }
    answers["unauthorized"] = closed.get("/v1/jobs")
    assert answers["/broken"].status_code == 500
    for path, answer in answers.items():
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert answer.headers["referrer-policy"] == "no-referrer", path
        assert answer.headers["x-frame-options"] == "DENY", path
        assert answer.headers["cross-origin-resource-policy"] == "same-origin", path
        policies = answer.headers.get_list("content-security-policy")
        assert len(policies) == 1, path
        assert policies[0].startswith("default-src 'none'; "), path
        assert "frame-ancestors 'none'" in policies[0], path
        assert "access-control-allow-origin" not in answer.headers, path
        kept = answer.headers.get("cache-control")
        assert (kept is None) == path.startswith("/static"), path
    for path in ("/v1/jobs", "/nothing", "/metrics", "/broken", "unauthorized"):
        assert answers[path].headers["cache-control"] == "no-store"
    assert answers[f"/v1/jobs/{job}"].headers["cache-control"] == "no-cache"
    assert answers["/v1/datasets/iris/preview.png"].headers["vary"] == "Authorization"


def test_the_pages_scripts_are_those_that_its_policy_names(sqlite_db: Database, tmp_path: Path) -> None:
    client = client_for(sqlite_db, tmp_path)
    page = client.get("/docs")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    inline = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in inline]
    assert inline
    assert policy["script-src"].split() == ["'self'", *hashes]
    assert "unsafe" not in policy["script-src"]
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(files) == 3
    for file in files:
        assert file.startswith("/static-offline-docs/")
        assert client.get(file).status_code == 200
    assert "://" not in page.text  # nothing comes from elsewhere


def test_no_other_origin_may_read_unless_it_is_named(sqlite_db: Database, tmp_path: Path) -> None:
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    _, key = create_key(sqlite_db, "ann")
    shut, open_to_one = client_for(sqlite_db, tmp_path), client_for(sqlite_db, tmp_path, cors_origins=(FRIEND,))
    for client, origin, is_allowed in ((shut, FRIEND, False), (open_to_one, STRANGER, False), (open_to_one, FRIEND, True)):
        preflight = client.options("/v1/jobs", headers={"Origin": origin, **asks})
        answer = client.get("/v1/jobs", headers={"Origin": origin, "Authorization": f"Bearer {key}"})
        refused = client.get("/v1/jobs", headers={"Origin": origin})
        assert (answer.status_code, refused.status_code) == (200, 401)
        for one in (preflight, answer, refused):
            assert one.headers.get("access-control-allow-origin") == (FRIEND if is_allowed else None)
            assert "access-control-allow-credentials" not in one.headers
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert exposed == ["ETag", "Location", "Retry-After", "X-Request-Id"]
    assert "Authorization" in preflight.headers["access-control-allow-headers"]


@pytest.mark.parametrize("given", ["*", "https://*", "lab.example", "https://lab.example/", "https://lab.example,*", "null", "https://a b"])
def test_origins_are_named_one_by_one(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("HOLDOUT_CORS_ORIGINS", given)
    with pytest.raises(ValidationError, match="is no origin"):
        ApiSettings()


def test_origins_come_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDOUT_CORS_ORIGINS", f"{FRIEND}, http://localhost:3000")
    assert ApiSettings().cors_origins == (FRIEND, "http://localhost:3000")


def test_another_sites_page_cannot_write_in_its_readers_name(sqlite_db: Database, tmp_path: Path) -> None:
    """Without keys a form on any page could send an upload to loopback: browsers do not ask before."""
    file = {"file": ("t.csv", "a,b\n" + "".join(f"{i},{'xy'[i % 2]}\n" for i in range(20)))}
    client = client_for(sqlite_db, tmp_path, cors_origins=(FRIEND,))
    for origin in (STRANGER, "null", "http://testserver.evil.example", "http://testserver:81"):
        answer = client.post("/v1/datasets", files=file, data={"schema": '{"target": "b"}'}, headers={"Origin": origin})
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")
    assert client.post("/v1/jobs/job_1/cancel", headers={"Origin": STRANGER}).status_code == 403
    for origin in (FRIEND, "http://testserver", "https://testserver"):
        answer = client.post("/v1/datasets", files=file, data={"schema": '{"target": "b"}'}, headers={"Origin": origin})
        assert answer.status_code in {200, 201}
    _, key = create_key(sqlite_db, "ann")
    closed = client_for(sqlite_db, tmp_path)
    assert (
        closed.post("/v1/jobs", json={"dataset": "iris"}, headers={"Origin": STRANGER, "Authorization": f"Bearer {key}"}).status_code == 201
    )

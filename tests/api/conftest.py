"""The API in this process, on both databases, without a broker: what it stores is what the sweeper would send."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import ApiSettings
from store.engine import Database
from tests.factories import is_finite, no_constant

NOWHERE = "redis://127.0.0.1:1/0"


class StrictClient(TestClient):
    """Every JSON answer must be strict JSON, and every error a problem."""

    def request(self, method: str, url: Any, **options: Any) -> Any:
        answer = super().request(method, url, **options)
        if method == "HEAD":
            assert answer.content == b""
            return answer
        kind = answer.headers.get("content-type", "")
        if "json" in kind:
            assert is_finite(json.loads(answer.content, parse_constant=no_constant))
        if answer.status_code >= 400 and str(url) != "/readyz":
            assert kind == "application/problem+json", (answer.status_code, kind)
            problem = answer.json()
            assert {"type", "title", "status", "detail", "code", "request_id", "errors"} <= problem.keys()
            assert problem["status"] == answer.status_code
            assert problem["request_id"] == answer.headers["x-request-id"]
        return answer


def settings_for(db: Database, tmp_path: Path, **fields: Any) -> ApiSettings:
    url = db.engine.url.render_as_string(hide_password=False)
    return ApiSettings(home=tmp_path, database_url=url, broker_url=NOWHERE, **fields)


@pytest.fixture
def client(db: Database, tmp_path: Path) -> Iterator[StrictClient]:
    with StrictClient(create_app(settings_for(db, tmp_path)), raise_server_exceptions=False) as found:
        yield found


@pytest.fixture
def lite_client(sqlite_db: Database, tmp_path: Path) -> Iterator[StrictClient]:
    """For what does not depend on the database."""
    with StrictClient(create_app(settings_for(sqlite_db, tmp_path)), raise_server_exceptions=False) as found:
        yield found


Answer = httpx2.Response

"""HEAD: the headers of GET, and no body."""

from typing import Any

import httpx2
import pytest

from cli.service import Service
from store.engine import Database
from tests.api.conftest import StrictClient
from tests.factories import a_succeeded_job
from tests.system import Client

CHANGING = {"date", "x-request-id", "server", "content-length", "transfer-encoding"}


def _headers(answer: Any) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in CHANGING}


def test_head_has_the_headers_of_get_wherever_get_is(client: StrictClient, db: Database) -> None:
    job_id = a_succeeded_job(db)
    paths = [
        "/",
        "/docs",
        "/healthz",
        "/openapi.json",
        "/v1/jobs",
        f"/v1/jobs/{job_id}",
        f"/v1/jobs/{job_id}/curves",
        "/v1/techniques",
        "/v1/jobs/job_none",
    ]
    for path in paths:
        asked, got = client.head(path), client.get(path)
        assert asked.status_code == got.status_code, path
        assert _headers(asked) == _headers(got), path
        assert asked.content == b""


def test_head_of_an_address_that_only_takes_orders_names_its_methods(client: StrictClient) -> None:
    answer = client.head("/v1/previews")
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize("path", ["events", "curves.csv", "model?format=zip", "report.png", "curves.parquet"])
def test_a_real_server_answers_head_at_once_and_the_connection_goes_on(service: Service, path: str) -> None:
    """A stream of events is not begun: whoever asks by HEAD would wait for its end."""
    with Client(service.url) as client:
        job = client.until(client.submit("iris", training={"max_epochs": 2}, plan={"name": "fit"})["id"], "succeeded")
    with httpx2.Client(base_url=service.url, timeout=20) as plain:
        for _ in range(2):
            answer = plain.head(f"/v1/jobs/{job['id']}/{path}")
            assert (answer.status_code, answer.content) == (200, b"")
            assert plain.get("/healthz").status_code == 200


def test_head_of_the_events_of_a_job_that_runs_ends(service: Service) -> None:
    """It would not within the client's time-out, if the stream were read."""
    with Client(service.url) as client:
        job = client.submit("digits", training={"max_epochs": 3000})
        with httpx2.Client(base_url=service.url, timeout=20) as plain:
            answer = plain.head(f"/v1/jobs/{job['id']}/events", headers={"Accept": "text/event-stream"})
        assert answer.headers["content-type"].startswith("text/event-stream")
        client.request("POST", f"/v1/jobs/{job['id']}/cancel")

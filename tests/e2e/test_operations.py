"""What a running system tells of itself: its logs, `/readyz` and `/metrics`."""

import json
import time
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from cli.service import Service
from tests.system import Client


def _lines(service: Service, name: str) -> list[dict[str, Any]]:
    """Read a log; every line must be a JSON object."""
    return [json.loads(line) for line in (service.home / "logs" / f"{name}.log").read_text().splitlines()]


def _total(client: Client, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(client.http.get("/metrics").text)
    samples = [one for family in families for one in family.samples if one.name == name]
    return sum(one.value for one in samples if labels.items() <= one.labels.items())


def test_logs_follow_a_request_and_a_job_through_every_process(service: Service, client: Client) -> None:
    """Every line is JSON; a request has its id in each, a job its id wherever it was trained; nobody's password is in any."""
    job = client.submit("iris", training={"max_epochs": 2})["id"]
    client.until(job, "succeeded")
    client.request("GET", f"/v1/jobs/{job}?fields=id", headers={"X-Request-Id": "of-a-test", "Authorization": "Bearer hk_abcdefghijkl"})
    client.request("GET", "/v1/jobs/no%20such/?api_key=hk_abcdefghijkl")
    give_up_at = time.monotonic() + 20
    while not any(line.get("request_id") == "of-a-test" for line in _lines(service, "api")):
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    lines = _lines(service, "api")
    [asked] = [line for line in lines if line.get("request_id") == "of-a-test" and line["event"] == "request"]
    assert {name: asked[name] for name in ("method", "route", "status", "job_id")} == {
        "method": "GET",
        "route": "/v1/jobs/{job_id}",
        "status": asked["status"],
        "job_id": job,
    }
    assert asked["seconds"] > 0
    assert any(line["logger"] == "uvicorn.error" and "startup complete" in line["event"] for line in lines)
    trained = [line for line in _lines(service, "worker") if line.get("job_id") == job]
    assert {"job_id", "shard_id", "attempt", "worker"} <= next(line for line in trained if line["event"] == "job_ended").keys()
    everything = "".join(file.read_text() for file in (service.home / "logs").glob("*.log"))
    assert service.broker.password not in everything
    assert "abcdefghijkl" not in everything
    assert all("timestamp" in line for line in _lines(service, "sweeper"))


def test_a_running_system_is_ready_and_counts_what_its_workers_do(service: Service, client: Client) -> None:
    client.until(client.submit("iris", training={"max_epochs": 7})["id"], "succeeded")
    found = client.get("/readyz")
    assert set(found["checks"].values()) == {"ok"}
    assert found["warnings"] == {}
    assert found["workers_by_device"]["cpu"] == found["workers"] > 0
    give_up_at = time.monotonic() + 60
    while _total(client, "holdout_epoch_seconds_count") < 7 or _total(client, "holdout_fits_ended_total", status="finished") < 1:
        assert time.monotonic() < give_up_at, "workers tell what they counted with their signs of life"
        time.sleep(0.2)
    assert _total(client, "holdout_sweeper_rounds_total") > 0
    assert _total(client, "holdout_up") == 5
    assert _total(client, "holdout_epoch_seconds_sum") > 0
    assert _total(client, "holdout_api_requests_total", route="/readyz") > 0
    assert service.home.is_dir()

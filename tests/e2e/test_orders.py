"""Paused, resumed and extended over HTTP, by a real worker process."""

import time
from typing import Any

from tests.system import Client, without_clock

BODY: dict[str, Any] = {"network": {"name": "mlp", "hidden_units": [32], "dropout": 0.2, "normalization": {"name": "batch_norm"}}}


def _until(client: Client, job_id: str, status: str) -> dict[str, Any]:
    give_up_at = time.monotonic() + 60
    while (job := client.get(f"/v1/jobs/{job_id}"))["status"] != status:
        assert time.monotonic() < give_up_at, job
        time.sleep(0.05)
    found: dict[str, Any] = job
    return found


def _order(client: Client, job_id: str, order: str, **body: Any) -> dict[str, Any]:
    answer = client.request("POST", f"/v1/jobs/{job_id}/{order}", **({"json": body} if body else {}))
    assert answer.status_code == (201 if order == "extend" else 202), answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_job_paused_and_resumed_has_the_curve_of_one_that_was_not(client: Client) -> None:
    """B081, B094: the pause is longer than its time limit leaves, and does not count."""
    epochs = 300  # enough to be paused twice before the last one, on a fast machine, too
    fields = {**BODY, "training": {"max_epochs": epochs}}
    _, undisturbed = client.run(**fields)
    job_id = client.submit(**fields, time_limit_seconds=60)["id"]
    for epoch in (1, 4):
        client.until_epoch(job_id, epoch)
        _order(client, job_id, "pause")
        paused = _until(client, job_id, "paused")
        rows = client.curve(job_id)["last_epoch"]
        assert rows < epochs
        time.sleep(1.2)
        assert client.curve(job_id)["last_epoch"] == rows
        assert paused["finished_at"] is None
        _order(client, job_id, "resume")
    job = client.until(job_id, "succeeded")
    assert without_clock(client.curve(job_id)) == undisturbed
    assert job["paused_seconds"] >= 2.4
    assert [one["status"] for one in job["transitions"]].count("paused") == 2
    assert job["pause_requested_at"] is None


def test_a_job_extended_over_http_has_the_curve_of_one_submitted_so(client: Client) -> None:
    """B081."""
    whole, undisturbed = client.run(**BODY, training={"max_epochs": 12})
    short, _ = client.run(**BODY, training={"max_epochs": 5})
    job = client.until(_order(client, short["id"], "extend", max_epochs=12)["id"], "succeeded")
    assert without_clock(client.curve(job["id"])) == undisturbed
    assert (job["continues"], job["result"]["val"]) == (short["id"], whole["result"]["val"])
    weights = [client.request("GET", f"/v1/jobs/{one['id']}/model").content for one in (whole, job)]
    assert len(weights[0]) == len(weights[1])

"""Extensions over HTTP: what is answered, refused and documented, on both databases."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from store.artifacts import Artifacts
from store.engine import Database
from store.jobs import get_job
from store.tables import JobRow
from tests.api.conftest import StrictClient, settings_for
from tests.factories import a_succeeded_job
from tests.plan_bodies import body_of
from tests.trained import a_place, drain, submit


def _trained(db: Database, tmp_path: Path, **fields: Any) -> str:
    place = replace(a_place(db, tmp_path), artifacts=Artifacts(f"file://{tmp_path}/artifacts"))
    created = submit(db, {**body_of("fit"), **fields})
    drain(place, created.job.id)
    return created.job.id


def test_an_extension_is_a_new_job_with_the_old_ones_curve(client: StrictClient, db: Database, tmp_path: Path) -> None:
    """B026: the same key and body give the same job, another body is refused, and a refused request does not use the key up."""
    old = _trained(db, tmp_path, name="short", metadata={"series": "a"})
    url, key = f"/v1/jobs/{old}/extend", {"Idempotency-Key": "longer"}
    assert client.post(url, json={"max_epochs": 2}, headers=key).status_code == 422
    made = client.post(url, json={"max_epochs": 9}, headers=key)
    job = made.json()
    assert (made.status_code, made.headers["location"]) == (201, f"/v1/jobs/{job['id']}")
    assert (job["continues"], job["status"], job["name"], job["metadata"]) == (old, "queued", "short", {"series": "a"})
    assert job["spec"]["training"]["max_epochs"] == 9
    assert client.get(f"/v1/jobs/{job['id']}/curves").json()["fits"][0]["epoch"] == [0, 1, 2, 3]
    assert client.get(f"/v1/jobs/{job['id']}").headers["etag"] == made.headers["etag"]
    assert client.post(url, json={"max_epochs": 9}, headers=key).json()["id"] == job["id"]
    again = client.post(url, json={"max_epochs": 10}, headers=key)
    assert (again.status_code, again.json()["code"]) == (422, "idempotency_key_reused")
    other = client.post(url, json={"max_epochs": 9, "name": "long", "metadata": {}}).json()
    assert (other["name"], other["metadata"], other["continues"]) == ("long", {}, old)
    assert client.delete(f"/v1/jobs/{old}").status_code == 204
    assert client.get(f"/v1/jobs/{job['id']}/curves").json()["fits"][0]["epoch"] == [0, 1, 2, 3]
    found = client.get("/v1/jobs", params={"metadata.series": "a"}).json()["items"]
    assert [one["id"] for one in found] == [job["id"]]


@pytest.mark.parametrize("body", [{}, {"max_epochs": "9"}, {"max_epochs": True}, {"max_epochs": 9.5}, {"max_epochs": 0}, {"max_epochs": 10_001}, {"max_epochs": 9, "seed": 1}, {"max_epochs": 9, "name": "a\x00"}, []], ids=str)  # fmt: skip
def test_bodies_are_read_strictly(lite_client: StrictClient, sqlite_db: Database, body: Any) -> None:
    """B029, B091."""
    answer = lite_client.post(f"/v1/jobs/{a_succeeded_job(sqlite_db)}/extend", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_too_few_and_too_many_epochs_are_pointed_at(lite_client: StrictClient, sqlite_db: Database, tmp_path: Path) -> None:
    """B107."""
    old = _trained(sqlite_db, tmp_path)
    few = lite_client.post(f"/v1/jobs/{old}/extend", json={"max_epochs": 3}).json()
    assert [(one["pointer"], one["code"]) for one in few["errors"]] == [("/max_epochs", "too_few_epochs")]
    limits = lite_client.app.state.resources.settings.limits  # type: ignore[attr-defined]  # the application of these tests
    assert limits.max_epochs >= 10_000
    with pytest.MonkeyPatch.context() as patch:
        resources = lite_client.app.state.resources  # type: ignore[attr-defined]  # as above
        patch.setattr(resources, "settings", settings_for(sqlite_db, tmp_path, limits={**limits.model_dump(), "max_epochs": 5}))
        many = lite_client.post(f"/v1/jobs/{old}/extend", json={"max_epochs": 6}).json()
    assert [(one["pointer"], one["code"]) for one in many["errors"]] == [("/max_epochs", "too_many_epochs")]


def test_jobs_without_checkpoints_or_of_unknown_ids_are_not_extended(client: StrictClient, db: Database) -> None:
    """A job of an earlier release left none."""
    answer = client.post(f"/v1/jobs/{a_succeeded_job(db)}/extend", json={"max_epochs": 9})
    assert answer.status_code == 409
    assert client.post("/v1/jobs/job_unknown/extend", json={"max_epochs": 9}).status_code == 404


def test_what_the_job_was_made_of_may_be_gone(lite_client: StrictClient, sqlite_db: Database, tmp_path: Path) -> None:
    old = _trained(sqlite_db, tmp_path)
    before = get_job(sqlite_db, old)
    for fields, code in (({"dataset": "gone"}, "unknown_dataset"), ({"device": "cuda"}, "device_unavailable")):
        with sqlite_db.write() as connection:
            connection.execute(update(JobRow).where(JobRow.id == old).values(spec={**before.spec, **fields}))
        answer = lite_client.post(f"/v1/jobs/{old}/extend", json={"max_epochs": 9})
        assert (answer.status_code, answer.json()["code"]) == (409, code)


def test_the_time_limit_is_the_old_ones_unless_the_body_says_another(
    lite_client: StrictClient, sqlite_db: Database, tmp_path: Path
) -> None:
    old = _trained(sqlite_db, tmp_path, time_limit_seconds=500)
    bodies: list[dict[str, Any]] = [{}, {"time_limit_seconds": 900}, {"time_limit_seconds": None}]
    made = [lite_client.post(f"/v1/jobs/{old}/extend", json={"max_epochs": 9, **body}).json() for body in bodies]
    assert [job["spec"]["time_limit_seconds"] for job in made] == [500, 900, None]

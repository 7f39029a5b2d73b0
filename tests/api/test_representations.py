"""Which representation a client gets, and when it is told that it has it already."""

import pytest

from api.accept import preferred
from api.bodies import Bodies
from store.commits import commit
from store.engine import Database
from tests.api.conftest import StrictClient
from tests.factories import LEASE, a_claim, a_job, a_record, a_succeeded_job

JSON, CSV = "application/json", "text/csv"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("text/*", CSV),
        (CSV, CSV),
        ("Text/CSV", CSV),
        ("application/json, text/csv;q=0.5", JSON),
        ("application/json;q=0.1, text/csv", CSV),
        ("text/csv;q=0, */*", JSON),
        ("text/html,application/xhtml+xml,*/*;q=0.8", JSON),
        ("image/png", None),
        ("*/*;q=0", None),
        ("text/csv;q=x", CSV),
    ],
)
def test_the_most_wanted_kind_is_chosen(accept: str | None, chosen: str | None) -> None:
    """RFC 9110, section 12.5.1: quality first, the most specific range decides."""
    assert preferred(accept, (JSON, CSV)) == chosen


def test_what_is_not_offered_is_not_acceptable(client: StrictClient, db: Database) -> None:
    job_id = a_succeeded_job(db)
    for path in ("curves", "events"):
        answer = client.get(f"/v1/jobs/{job_id}/{path}", headers={"Accept": "image/png"})
        assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


@pytest.mark.parametrize("path", ["curves", "curves.csv", "curves.parquet", "report.png", "report.svg"])
def test_a_representation_is_sent_once_for_each_version(client: StrictClient, db: Database, path: str) -> None:
    created = a_job(db)
    held = a_claim(db, created)
    url = f"/v1/jobs/{created.job.id}/{path}"
    first = client.get(url)
    tag = first.headers["etag"]
    same = client.get(url, headers={"If-None-Match": tag})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert client.get(url).content == first.content
    commit(db, held, lease_seconds=LEASE, epochs=[a_record(0)])
    changed = client.get(url, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag
    assert changed.content != first.content


def test_representations_of_one_version_are_told_apart(client: StrictClient, db: Database) -> None:
    url = f"/v1/jobs/{a_succeeded_job(db)}/curves"
    tag = client.get(url).headers["etag"]
    rows = client.get(url, headers={"Accept": CSV, "If-None-Match": tag})
    assert (rows.status_code, rows.headers["vary"]) == (200, "Accept")
    assert client.get(url, headers={"If-None-Match": rows.headers["etag"]}).status_code == 200
    for query in ("smoothing=0.5", "max_points=3", "after_version=3"):
        assert client.get(f"{url}?{query}").content != client.get(url).content


def test_a_deleted_job_leaves_no_answer_behind(client: StrictClient, db: Database) -> None:
    job_id = a_succeeded_job(db)
    assert client.get(f"/v1/jobs/{job_id}/curves").status_code == 200
    client.delete(f"/v1/jobs/{job_id}")
    assert client.get(f"/v1/jobs/{job_id}/curves").status_code == 404


def test_kept_answers_are_bounded_and_belong_to_a_version() -> None:
    bodies = Bodies(max_bytes=8 * 510)  # ten bytes and what they take beside
    for number in range(20):
        bodies.put(number, 1, b"x" * 10)
    assert [number for number in range(20) if bodies.get(number, 1)] == list(range(12, 20))
    assert bodies.get(19, 2) is None
    bodies.put(19, 2, b"y")
    assert (bodies.get(19, 1), bodies.get(19, 2)) == (None, b"y")
    bodies.put("large", 1, b"x" * 511)
    assert bodies.get("large", 1) is None


def test_a_path_names_all_its_methods(lite_client: StrictClient) -> None:
    assert lite_client.put("/v1/jobs").headers["allow"] == "GET, POST"
    assert lite_client.post("/v1/jobs/job_1").headers["allow"] == "DELETE, GET"

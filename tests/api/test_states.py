"""Every state of a job against every operation on it: the status that the OpenAPI document promises, and the right code. On both databases."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from store.artifacts import Artifacts
from store.commits import commit
from store.engine import Database
from store.jobs import Created
from store.orders import request_cancel, request_pause
from tests.api.conftest import StrictClient
from tests.factories import LEASE, a_claim, a_job, a_record
from tests.plan_bodies import body_of
from tests.trained import a_place, drain, submit
from worker.place import Workplace

JOB = "/v1/jobs/{job_id}"


def _held(place: Workplace) -> Created:
    created = a_job(place.db)
    commit(place.db, a_claim(place.db, created), lease_seconds=LEASE, epochs=[a_record(0)])
    return created


def _trained(place: Workplace, **fields: Any) -> Created:
    created = submit(place.db, body_of("fit", **fields))
    drain(place, created.job.id)
    return created


def _cancelling(place: Workplace) -> Created:
    created = _held(place)
    request_cancel(place.db, created.job.id)
    return created


def _pausing(place: Workplace) -> Created:
    created = _held(place)
    request_pause(place.db, created.job.id)
    return created


def _paused(place: Workplace) -> Created:
    created = a_job(place.db)
    request_pause(place.db, created.job.id)
    return created


def _cancelled(place: Workplace) -> Created:
    created = a_job(place.db)
    request_cancel(place.db, created.job.id)
    return created


STATES: dict[str, Callable[[Workplace], Created]] = {
    "queued": lambda place: a_job(place.db),
    "running": _held,
    "cancelling": _cancelling,
    "pausing": _pausing,
    "paused": _paused,
    "succeeded": _trained,
    "failed": lambda place: _trained(place, optimizer={"name": "sgd", "learning_rate": 1e25}),
    "cancelled": _cancelled,
}
OPEN = ("queued", "running", "cancelling", "pausing", "paused")
ENDED = ("succeeded", "failed", "cancelled")
ROW = [[5.1, 3.5, 1.4, 0.2]]
BODIES: dict[str, Any] = {f"POST {JOB}/extend": {"max_epochs": 9}, f"POST {JOB}/predictions": {"rows": ROW}}

HEADERS = {f"GET {JOB}/events": {"Accept": "application/json"}}  # a stream lasts as long as the job

Answer = int | tuple[int, str]
"""A status, with the code of its problem where it is one."""


def _each(answer: Answer, **others: Answer) -> dict[str, Answer]:
    return {state: others.get(state, answer) for state in STATES}


EXPECTED: dict[str, dict[str, Answer]] = {
    f"GET {JOB}": _each(200),
    f"DELETE {JOB}": {**dict.fromkeys(OPEN, (409, "job_active")), **dict.fromkeys(ENDED, 204)},
    f"POST {JOB}/cancel": {**_each(202), **dict.fromkeys(("succeeded", "failed"), (409, "job_ended"))},
    f"POST {JOB}/pause": {**_each(202), **dict.fromkeys(ENDED, (409, "job_ended")), "cancelling": (409, "job_cancelling")},
    f"POST {JOB}/resume": {**_each(202), **dict.fromkeys(ENDED, (409, "job_ended"))},
    f"POST {JOB}/extend": {
        **dict.fromkeys(OPEN, (409, "job_active")), "succeeded": 201, "failed": (409, "nothing_to_extend"), "cancelled": (409, "nothing_to_extend"),
    },
    **{f"GET {JOB}{path}": _each(200) for path in ("/fits", "/fits/{number}", "/curves", "/curves.csv", "/curves.parquet", "/events", "/report.png", "/report.svg")},
    f"GET {JOB}/result": _each((409, "no_result"), succeeded=200),
    # A fit that diverged keeps the weights of its best epoch before that.
    **{f"GET {JOB}{path}": _each((409, "no_model"), succeeded=200, failed=200) for path in ("/model", "/preparation", "/model-card")},
    f"POST {JOB}/predictions": _each((409, "no_model"), succeeded=200, failed=200),
}  # fmt: skip


def _path(operation: str, job_id: str) -> str:
    path = operation.partition(" ")[2]
    return path.replace("{job_id}", job_id).replace("{number}", "1")


def _operations(client: StrictClient) -> dict[str, dict[str, Any]]:
    paths = client.get("/openapi.json").json()["paths"]
    return {
        f"{verb.upper()} {path}": operation for path, verbs in paths.items() if path.startswith(JOB) for verb, operation in verbs.items()
    }


@pytest.mark.parametrize("state", STATES)
def test_every_operation_on_a_job_answers_as_documented_in_every_state(
    client: StrictClient, db: Database, tmp_path: Path, state: str
) -> None:
    operations = _operations(client)
    place = replace(a_place(db, tmp_path), artifacts=Artifacts(f"file://{tmp_path}/artifacts"))
    found = {}
    for operation, described in operations.items():
        created = STATES[state](place)
        verb = operation.partition(" ")[0]
        answer = client.request(verb, _path(operation, created.job.id), json=BODIES.get(operation), headers=HEADERS.get(operation))
        assert str(answer.status_code) in described["responses"], (operation, answer.text)
        code = answer.json()["code"] if answer.status_code >= 400 else None
        found[operation] = answer.status_code if code is None else (answer.status_code, code)
    assert found == {operation: answers[state] for operation, answers in EXPECTED.items()}

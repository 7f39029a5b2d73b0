"""The OpenAPI document held against the served API: what it promises is kept, and what it does not allow is refused.

Every case is the same in every run. `HOLDOUT_TEST_FUZZ_CASES` asks for more of them.
"""

import contextlib
import itertools
import json
import os
import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.core.failures import FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import CoveragePhaseData
from schemathesis.specs.openapi import checks as known

from api.app import create_app
from api.settings import ApiSettings
from store.orders import request_pause
from tests.factories import a_job, a_succeeded_job, is_finite, no_constant
from tests.kept import a_kept_job
from tests.serving import Served, served

CASES = int(os.environ.get("HOLDOUT_TEST_FUZZ_CASES", "16"))
"""Drawn cases of an operation, good and bad ones each; twice as many are taken of those that the document's bounds give."""
SEED = 20_261
CSV = b"a,b,species\n" + b"".join(f"{i},{i % 3},{'pq'[i % 2]}\n".encode() for i in range(20))
load_all_checks()
DOCUMENT = schemathesis.openapi.from_dict(create_app(ApiSettings()).openapi())
OPERATIONS = {found.ok().label: found.ok() for found in DOCUMENT.get_all_operations()}
BEYOND_SCHEMAS = {
    "POST /v1/jobs", "POST /v1/previews", "POST /v1/datasets",  # a spec must fit its dataset, a schema its file
    "POST /v1/jobs/{job_id}/predictions",  # rows must fit the model
    "POST /v1/jobs/{job_id}/extend",  # epochs must be more than the job has come to
    "GET /v1/jobs", "GET /v1/datasets",  # a cursor must be one that was given; fields of a job are named in a text
}  # fmt: skip
"""Operations that may refuse with 422 what their schemas allow."""
NEVER_DRAWN = {
    "GET /readyz",  # there is no broker
    "POST /v1/datasets",  # nobody draws a table; `Ids` uploads one
    "POST /v1/jobs/{job_id}/extend",  # needs a checkpoint: see test_extending.py
}
"""Operations of which no case succeeds."""


class Ids:
    """Real ids, so that requests hit something: jobs in several states, and a dataset."""

    def __init__(self, served: Served) -> None:
        """Make what stays: a job with a kept model, and an upload."""
        self._served = served
        kept = a_kept_job(served.db, served.artifacts, {"dataset": "iris"}, [np.arange(100)], result=None)
        answer = requests.post(
            f"{served.url}/v1/datasets", files={"file": ("a.csv", CSV)}, data={"schema": '{"target": "species"}'}, timeout=20
        )
        self.dataset = answer.json()["id"]
        self.kept, self.ended = kept.id, a_succeeded_job(served.db)
        self._turn = itertools.count()

    def job(self, case: Case) -> str:
        """Give a job's id: one with a model, one without, a new one where it would be changed."""
        turn = next(self._turn) % 3
        if case.method == "DELETE":
            return a_succeeded_job(self._served.db)
        if case.path.endswith(("/cancel", "/pause", "/resume")):
            waiting = a_job(self._served.db).job.id
            if case.path.endswith("/resume"):
                request_pause(self._served.db, waiting)
            return (waiting, self.ended, self.kept)[turn]
        return (self.kept, self.ended, self.kept)[turn]

    def dataset_of(self, case: Case) -> str:
        """Give a dataset's id: an upload or one that is built in; a new upload where it would be deleted."""
        if case.method != "DELETE":
            return (self.dataset, "digits")[next(self._turn) % 2]
        schema = json.dumps({"target": "species", "name": f"upload {next(self._turn)}"})
        answer = requests.post(f"{self._served.url}/v1/datasets", files={"file": ("a.csv", CSV)}, data={"schema": schema}, timeout=20)
        return str(answer.json()["id"])


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("api"), _sqlite_template, max_queued_jobs=100_000) as found:
        yield found


@pytest.fixture(scope="module")
def ids(api: Served) -> Ids:
    return Ids(api)


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as found:
        yield found


def _bounds(label: str) -> list[Case]:
    """Take some cases of each kind that the document's bounds give: each limit, missing and repeated values, other methods and media types."""
    operation = OPERATIONS[label]
    kinds: dict[Any, list[Case]] = defaultdict(list)
    cases = operation.schema.iter_coverage_cases(
        operation, generation_modes=list(GenerationMode), generation_config=operation.schema.config.generation
    )
    for case in itertools.islice(cases, 3000):
        data = case.meta.phase.data if case.meta is not None else None
        kinds[(data.scenario, data.parameter) if isinstance(data, CoveragePhaseData) else None].append(case)
    chance = random.Random(SEED)
    for found in kinds.values():
        chance.shuffle(found)
    in_turns = [case for turn in itertools.zip_longest(*kinds.values()) for case in turn if case is not None]
    return in_turns[: max(2 * CASES, len(kinds))]


def _drawn(label: str, mode: GenerationMode) -> list[Case]:
    """Draw cases that the schemas allow, or that they do not."""
    found: list[Case] = []

    @settings(
        max_examples=CASES, derandomize=True, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(case=OPERATIONS[label].as_strategy(generation_mode=mode))
    def draw(case: Case) -> None:
        found.append(case)

    with contextlib.suppress(Unsatisfiable):  # an operation without parameters allows nothing bad
        draw()
    return found


def _told(label: str, case: Case, session: requests.Session, api: Served) -> tuple[int, list[str]]:
    """Send a case; give the status, and all that is wrong with the answer."""
    answer = case.call(base_url=api.url, session=session, timeout=20)
    excluded: list[Any] = [known.use_after_free, known.ensure_resource_availability]
    if label in BEYOND_SCHEMAS:
        excluded.append(known.positive_data_acceptance)
    if label == "GET /readyz":  # 503 is what it is there to say
        excluded.append(schemathesis.checks.not_a_server_error)
    wrong = []
    try:
        case.validate_response(answer, excluded_checks=excluded, transport_kwargs={"base_url": api.url})
    except FailureGroup as group:
        wrong += [f"{type(failure).__name__}: {failure}" for failure in group.exceptions]
    [kind] = answer.headers.get("content-type", [""])
    if "json" in kind:
        assert is_finite(json.loads(answer.content, parse_constant=no_constant))
    if answer.status_code >= 400 and label != "GET /readyz":
        if kind != "application/problem+json":
            wrong.append(f"an error as {kind!r}")
        elif json.loads(answer.content)["status"] != answer.status_code:
            wrong.append("a problem of another status")
    return answer.status_code, [f"{one}\n  {case.as_curl_command()}\n  {answer.status_code} {answer.content[:300]!r}" for one in wrong]


@pytest.mark.parametrize("label", OPERATIONS)
def test_an_operation_keeps_what_the_document_says(label: str, api: Served, ids: Ids, session: requests.Session) -> None:
    """B011, B029, B091, B107: no 5xx, no undocumented status, type or shape, strict JSON, a problem for each error; bad data refused."""
    statuses, wrong = set(), []
    for case in [*_bounds(label), *_drawn(label, GenerationMode.POSITIVE), *_drawn(label, GenerationMode.NEGATIVE)]:
        path = None if case.meta is None else case.meta.components.get(ParameterLocation.PATH)
        if path is not None and path.mode.is_positive:
            for name, chosen in (("job_id", ids.job), ("dataset_id", ids.dataset_of)):
                if name in case.path_parameters:
                    case.path_parameters[name] = chosen(case)
            if "number" in case.path_parameters:
                case.path_parameters["number"] = 1
        status, found = _told(label, case, session, api)
        statuses.add(status)
        wrong += found
    assert not wrong, "\n".join(dict.fromkeys(wrong))
    assert any(status < 300 for status in statuses) or label in NEVER_DRAWN, statuses

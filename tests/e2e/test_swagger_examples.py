"""Every example of every operation of Swagger UI, sent as it is given to the running service. Only ids in paths are replaced: by ids that exist."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from api.app import create_app
from api.examples import JOBS, PREDICTIONS
from api.settings import ApiSettings
from tests.system import Client

OPERATIONS = [
    f"{method.upper()} {path}" for path, operations in create_app(ApiSettings()).openapi()["paths"].items() for method in operations
]
LONG = {"training": {"max_epochs": 10_000}}
CSV = b"a,b,species\n" + b"".join(f"{i},{i % 3},{'pq'[i % 2]}\n".encode() for i in range(20))


@dataclass(frozen=True)
class Sent:
    """A request as Swagger UI would send it, and which examples it is made of."""

    path: dict[str, Any] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body_name: str = ""
    body: dict[str, Any] = field(default_factory=dict)


class Ids:
    """Ids of jobs and datasets that are in the state which an operation is for."""

    def __init__(self, client: Client) -> None:
        """Train nothing yet."""
        self._client = client
        self._ended: dict[str, str] = {}
        self._turn = itertools.count()

    def job(self, operation: str, body_name: str) -> str:
        """Give a job: in training, paused, or ended, and then the one of the examples that a body is named after, or the first."""
        if operation.endswith(("/cancel", "/pause")):
            return str(self._client.submit(**LONG)["id"])
        if operation.endswith("/resume"):
            job_id = str(self._client.submit(**LONG)["id"])
            self._client.request("POST", f"/v1/jobs/{job_id}/pause")
            self._client.until(job_id, "paused")
            return job_id
        if operation.startswith("DELETE"):
            job_id = str(self._client.submit(**LONG)["id"])
            self._client.request("POST", f"/v1/jobs/{job_id}/cancel")
            self._client.until(job_id, "cancelled")
            return job_id
        name = body_name if body_name in JOBS else next(iter(JOBS))
        if name not in self._ended:
            self._ended[name] = self._client.submit(**JOBS[name]["value"])["id"]
        self._client.until(self._ended[name], "succeeded")
        return self._ended[name]

    def upload(self) -> str:
        """Give a new dataset."""
        schema = json.dumps({"target": "species", "name": f"examples {next(self._turn)}"})
        return str(self._client.request("POST", "/v1/datasets", files={"file": ("a.csv", CSV)}, data={"schema": schema}).json()["id"])


@pytest.fixture(scope="module")
def ids(client: Client) -> Iterator[Ids]:
    """Train what is asked about; then keep the worker busy, so that the jobs sent here are cancelled before they begin."""
    found = Ids(client)
    for name in PREDICTIONS:
        found.job("", name)
    busy = client.submit(**LONG)["id"]
    client.until(busy, "running")
    yield found
    client.request("POST", f"/v1/jobs/{busy}/cancel")


@pytest.fixture(scope="module")
def document(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json")
    return found


def _operation(document: dict[str, Any], label: str) -> dict[str, Any]:
    method, _, path = label.partition(" ")
    found: dict[str, Any] = document["paths"][path][method.lower()]
    return found


def _examples(parameter: dict[str, Any]) -> list[Any]:
    """List the values that a parameter's examples have, of itself or of its schema."""
    offered = [one["value"] for one in parameter.get("examples", {}).values() if "value" in one]
    return offered or parameter["schema"].get("examples", [])


def _bodies(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give each example of the body as options of a request; one without a body, where none is taken."""
    if "requestBody" not in operation:
        yield "", {}
        return
    [(kind, content)] = operation["requestBody"]["content"].items()
    for name, example in content["examples"].items():
        value = example["value"]
        if kind == "application/json":
            yield name, {"json": value}
        else:
            assert kind == "multipart/form-data"
            texts = {key: text for key, text in value.items() if key != "file"}
            yield name, {"files": {"file": (f"{name}.csv", value["file"].encode())}, "data": texts}


def _requests(operation: dict[str, Any]) -> Iterator[Sent]:
    """Give what examples make: each body with what is required alone; then each example of each parameter alone, then one of each together."""
    places = {"path": "path", "query": "query", "header": "headers"}
    parameters = operation.get("parameters", [])
    required = [one for one in parameters if one["required"]]
    rest = [one for one in parameters if not one["required"]]

    def made(chosen: list[tuple[dict[str, Any], Any]], name: str, body: dict[str, Any]) -> Sent:
        values: dict[str, dict[str, Any]] = {place: {} for place in places.values()}
        for parameter, value in [*((one, _examples(one)[0]) for one in required), *chosen]:
            values[places[parameter["in"]]][parameter["name"]] = value
        return Sent(**values, body_name=name, body=body)

    bodies = list(_bodies(operation))
    yield from (made([], *body) for body in bodies)
    for parameter in rest:
        yield from (made([(parameter, value)], *bodies[0]) for value in _examples(parameter))
    if len(rest) > 1:
        yield made([(one, _examples(one)[0]) for one in rest], *bodies[0])


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_example_of_an_operation_runs_as_given(label: str, document: dict[str, Any], client: Client, ids: Ids) -> None:
    operation = _operation(document, label)
    method, _, template = label.partition(" ")
    for sent in _requests(operation):
        path = dict(sent.path)
        if "job_id" in path:
            path["job_id"] = ids.job(label, sent.body_name)
        if "dataset_id" in path and method == "DELETE":
            path["dataset_id"] = ids.upload()
        answer = client.request(method, template.format(**path), params=sent.query, headers=sent.headers, **sent.body)
        assert 200 <= answer.status_code < 300, (sent, answer.text)
        assert str(answer.status_code) in operation["responses"], sent
        if method == "POST" and answer.headers.get("content-type") == "application/json":
            _stop(client, answer.json())


def _stop(client: Client, answered: dict[str, Any]) -> None:
    """Leave the worker to other tests: that these jobs run to their end is tested elsewhere."""
    if answered.get("status") in {"queued", "running", "paused"}:
        client.request("POST", f"/v1/jobs/{answered['id']}/cancel")


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_parameter_and_body_has_examples_and_what_may_be_left_out_is_left_out_first(label: str, document: dict[str, Any]) -> None:
    """Swagger UI fills in the first example of a parameter: a filter that nobody chose would find nothing."""
    operation = _operation(document, label)
    for parameter in operation.get("parameters", []):
        assert _examples(parameter), parameter["name"]
        if not parameter["required"]:
            assert "value" not in next(iter(parameter["examples"].values())), parameter["name"]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        assert content["examples"]


def test_an_operation_without_examples_is_told_of() -> None:
    bare = {"parameters": [{"name": "x", "in": "query", "required": True, "schema": {"type": "string"}}], "responses": {}}
    with pytest.raises(IndexError):
        list(_requests(bare))
    with pytest.raises(KeyError):
        list(_requests({"requestBody": {"content": {"application/json": {"schema": {}}}}, "responses": {}}))

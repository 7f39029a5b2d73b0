"""Specs drawn from the published schemas, and working specs with one value replaced: accepted as they are, or refused at that very place."""

import copy
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.app import create_app
from jobs.pointers import escaped, is_within
from jobs.spec import JobSpec
from store.engine import Database, create_engine
from tests.api.conftest import StrictClient, settings_for
from tests.plan_bodies import BODIES, body_of

EXAMPLES = int(os.environ.get("HOLDOUT_TEST_FUZZ_EXAMPLES", "150"))
SCHEMA = JobSpec.model_json_schema()
FUZZ = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck), print_blob=False
)
HOSTILE: dict[str, str] = {
    "null": "null", "true": "true", "text": '"x"', "a number as text": '"1"', "NaN as text": '"NaN"', "Infinity as text": '"Infinity"', "NUL": '"a\\u0000b"',
    "half a character": '"\\ud800"', "no text": '""', "long text": json.dumps("x" * 5000), "list": "[]", "list of lists": "[[[]]]", "object": "{}", "odd object": '{"": {"a": [null]}}',
    "zero": "0", "negative": "-1", "half": "0.5", "huge": "1" + "0" * 30, "beyond doubles": "1e999", "tiny": "5e-324", "64 bits": str(2**64), "32 bits": str(2**31),
}  # fmt: skip
"""JSON texts to put in the place of any value."""
DATASETS = ["iris", "digits", "diabetes", "waves"]
TEXTS = ["", "a", "iris", "digits", "val_loss", "/optimizer/learning_rate", "/network/hidden_units", "é", "x" * 300]


@pytest.fixture(scope="module")
def client(_sqlite_template: Path) -> Iterator[StrictClient]:
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "holdout.db"
        database.write_bytes(_sqlite_template.read_bytes())
        app = create_app(settings_for(Database(create_engine(f"sqlite:///{database}")), Path(folder), max_queued_jobs=10**6))
        with StrictClient(app, raise_server_exceptions=False) as found:
            yield found


def _drawn(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Make what a schema allows: small numbers mostly, its bounds at times."""
    if "$ref" in schema:
        return st.deferred(lambda: _drawn(SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[-1]]))
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    if alternatives:
        return st.one_of([_drawn(one) for one in alternatives])
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    match schema.get("type"):
        case "object":
            return _object(schema)
        case "array":
            return _list(schema)
        case "integer" | "number":
            return _number(schema)
        case kind:
            texts = st.sampled_from(TEXTS).map(lambda text: text[: schema.get("maxLength", 300)])
            anything = st.sampled_from([None, 0, 1, 0.01, "x", [4], {"name": "adam"}])
            return {"string": texts, "boolean": st.booleans(), "null": st.none()}.get(str(kind), anything)


def _object(schema: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    fields = schema.get("properties", {})
    if not fields:
        further = schema.get("additionalProperties")
        return st.dictionaries(st.sampled_from(TEXTS), _drawn(further if isinstance(further, dict) else {}), max_size=2)
    must = set(schema.get("required", ()))
    required = {name: st.sampled_from(DATASETS) if name == "dataset" else _drawn(fields[name]) for name in must}
    optional = {name: _drawn(one) for name, one in fields.items() if name not in must}
    few = st.sets(st.sampled_from(sorted(optional)), max_size=4) if optional else st.just(set())
    return few.flatmap(lambda chosen: st.fixed_dictionaries(required, optional={name: optional[name] for name in sorted(chosen)}))


def _list(schema: Mapping[str, Any]) -> st.SearchStrategy[list[Any]]:
    if "prefixItems" in schema:
        return st.tuples(*(_drawn(one) for one in schema["prefixItems"])).map(list)
    least = schema.get("minItems", 0)
    return st.lists(_drawn(schema.get("items", {})), min_size=least, max_size=min(schema.get("maxItems", 9), max(least, 3)))


def _number(schema: Mapping[str, Any]) -> st.SearchStrategy[float]:
    if schema["type"] == "integer":
        low, high = _bounds(schema, 1)
        return st.integers(math.ceil(low), math.ceil(min(high, low + 12))) | st.sampled_from([math.ceil(low), math.floor(high)])
    low, high = _bounds(schema, 0)
    most = min(high, low + 2)
    is_open = "exclusiveMinimum" in schema, "exclusiveMaximum" in schema and most == high
    return st.floats(low, most, exclude_min=is_open[0], exclude_max=is_open[1]) | st.just(low + (most - low) / 2)


def _bounds(schema: Mapping[str, Any], step: int) -> tuple[float, float]:
    low = schema.get("minimum", schema["exclusiveMinimum"] + step if "exclusiveMinimum" in schema else -3)
    high = schema.get("maximum", schema["exclusiveMaximum"] - step if "exclusiveMaximum" in schema else 2**31)
    return low, max(low, high)


def _leaves(value: Any, at: str = "") -> Iterator[str]:
    """List the pointers of all values inside that hold no others."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not inner or not value:
        yield at
    for key, one in inner:
        yield from _leaves(one, f"{at}/{escaped(key)}")


def _replaced(spec: dict[str, Any], pointer: str, text: str) -> bytes:
    """Write a spec with this JSON text in the place of one value."""
    mark = "@here@"
    changed: Any = copy.deepcopy(spec)
    *path, last = (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
    at = changed
    for key in path:
        at = at[int(key)] if isinstance(at, list) else at[key]
    at[int(last) if isinstance(at, list) else last] = mark
    return json.dumps(changed).replace(json.dumps(mark), text).encode()


def _post(client: StrictClient, path: str, body: bytes) -> Any:
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {200, 201, 422}, (answer.text, body)
    return answer


@FUZZ
@given(body=_drawn(SCHEMA))
def test_what_the_schema_allows_is_taken_or_refused_with_a_reason(client: StrictClient, body: dict[str, Any]) -> None:
    """B029, B107: previews and jobs agree, and what a job echoes is its own spec, as often as it is posted."""
    if body.get("seed") is None:  # one would be drawn, another each time
        body = {**body, "seed": 0}
    text = json.dumps(body).encode()
    preview, job = _post(client, "/v1/previews", text), _post(client, "/v1/jobs", text)
    assert (preview.status_code, job.status_code) in {(200, 201), (422, 422)}
    if job.status_code == 422:
        assert job.json()["errors"] == preview.json()["errors"]
        assert all(error["message"] and error["code"] for error in job.json()["errors"])
        return
    spec = job.json()["spec"]
    assert preview.json()["spec"] == spec
    again = _post(client, "/v1/jobs", json.dumps(spec).encode())
    assert (again.status_code, again.json()["spec"]) == (201, spec)


def _working() -> dict[str, dict[str, Any]]:
    """Give a spec for every plan and, around one of them, for every member of a union that may stand alone."""
    small = {"dataset": "iris", "seed": 0, "training": {"max_epochs": 3}}
    members = {
        **{f"optimizer {name}": {"optimizer": {"name": name, "learning_rate": 0.01}} for name in ("sgd", "momentum", "nag", "adagrad", "rmsprop", "adam", "adamw")},
        "optimizer adadelta": {"optimizer": {"name": "adadelta"}},
        **{f"schedule {name}": {"schedule": {"name": name}, "training": {"max_epochs": 12}} for name in ("step", "exponential", "cosine", "one_cycle", "reduce_on_plateau")},
        **{f"normalization {name}": {"network": {"name": "mlp", "hidden_units": [8], "normalization": {"name": name}}} for name in ("batch_norm", "layer_norm")},
        "cnn": {"dataset": "digits", "network": {"name": "cnn", "blocks": [{"channels": 4, "pool": 2}], "hidden_units": [8], "normalization": {"name": "group_norm", "groups": 2}}},
        "penalties": {"regularization": {"l1": 0.1, "l2": 0.1, "max_norm": 2.0, "label_smoothing": 0.1, "mixup_alpha": 0.2, "input_noise": 0.1, "weight_noise": 0.1}},
        "augmentations": {"dataset": "digits", "network": {"name": "cnn"}, "regularization": {"augmentations": [{"name": "flip"}, {"name": "crop"}, {"name": "rotate"}]}},
        "stopping": {"early_stopping": {"monitor": "val_loss", "patience": 3}},
        "names": {"name": "a name", "metadata": {"owner": "vision"}, "time_limit_seconds": 10, "loss": {"name": "cross_entropy"}},
    }  # fmt: skip
    return {**{f"plan {name}": body_of(name) for name in BODIES}, **{name: {**small, **fields} for name, fields in members.items()}}


WORKING = _working()


def _all_leaves(client: StrictClient) -> Iterator[tuple[str, dict[str, Any], str]]:
    """List the leaves of all working specs with every default written out; what many specs share, once."""
    seen = set()
    for name, body in WORKING.items():
        answer = _post(client, "/v1/previews", json.dumps(body).encode())
        assert answer.status_code == 200, (name, answer.text)
        spec = answer.json()["spec"]
        for pointer in _leaves(spec):
            first = pointer.split("/")[1]
            member = spec[first].get("name") if isinstance(spec[first], dict) else None
            if (pointer, member) not in seen:
                seen.add((pointer, member))
                yield name, spec, pointer


def _relates(errors: list[dict[str, str]], pointer: str) -> bool:
    """Tell whether a fault points at a value, into it, or at what directly holds it (a union whose name is wrong, a pair of bounds)."""
    return any(error["pointer"] and (is_within(error["pointer"], pointer) or is_within(pointer, error["pointer"])) for error in errors)


@pytest.mark.parametrize("kind", HOSTILE)
def test_any_value_replaced_is_taken_or_refused_where_it_stands(client: StrictClient, kind: str) -> None:
    """B019, B029, B091, B092, B107: for each value of each spec that works."""
    missed, count, refused = [], 0, 0
    for name, spec, pointer in list(_all_leaves(client)):
        answer = _post(client, "/v1/previews", _replaced(spec, pointer, HOSTILE[kind]))
        count += 1
        if answer.status_code == 422:
            refused += 1
            if not _relates(answer.json()["errors"], pointer):
                missed.append((name, pointer, answer.json()["errors"]))
        else:
            echo = answer.json()["spec"]
            again = _post(client, "/v1/previews", json.dumps(echo).encode())
            assert again.json()["spec"] == echo, (name, pointer)
    assert not missed, "\n".join(map(str, missed))
    assert count > 150
    assert refused > 0

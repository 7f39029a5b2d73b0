"""The reference of the API, written from its OpenAPI document. Writes reference.md beside itself.

python docs/reference.py
"""

import json
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from reference_errors import CODES, FAILURES, answered, faults

from api.app import create_app
from api.settings import ApiSettings

_PROBLEM = "application/problem+json"
_HEAD = """# API reference

Written from the OpenAPI document by `make reference`; a test compares. Swagger UI at `/docs` has every schema and examples that run;
`/openapi.json` is the document. What a spec may name stands in [techniques.md](techniques.md), what a caller may rely on in the
[README](../README.md#what-the-numbers-mean); [quickstart.md](quickstart.md) begins.

* JSON in, JSON out, `snake_case`, never NaN or Infinity. Instants are RFC 3339 in UTC, durations `_seconds`.
* Where keys are required, every path that has data needs `Authorization: Bearer hk_...` ([access.md](access.md)).
* Every answer has `X-Request-Id`. Errors are `application/problem+json`: [the catalogue](#errors) says what to do.
* Creating requests take `Idempotency-Key` where listed: sent again with the same body, they answer with what was made the first time.
* Any operation may answer 500 and 503; where keys are required, 401 and 429; without keys, a page of another site that writes, 403."""
_EVERYWHERE = frozenset({"500", "503", "401", "403"})


def page() -> str:
    """Write the page."""
    app = create_app(ApiSettings(_env_file=None, access="auto"))  # type: ignore[call-arg]  # pydantic-settings' own argument
    document = app.openapi()
    return "\n".join([_HEAD, *_operations(document), *_spec(document), *_errors()]) + "\n"


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    schemas = document["components"]["schemas"]
    for tag in document["tags"]:
        yield f"\n## {tag['name'].capitalize()}\n\n{tag['description']}"
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if tag["name"] in operation["tags"]:
                    yield from _operation(f"{method.upper()} {path}", operation, schemas)


def _operation(heading: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    yield f"\n### `{heading}`\n\n**{operation['summary']}.** {_one_line(operation['description'])}"
    parameters = operation.get("parameters", [])
    if parameters:
        yield "\n| parameter | in | type | default | meaning |\n| --- | --- | --- | --- | --- |"
    for one in parameters:
        schema = one["schema"]
        is_null = _shown_default(schema) == "null"  # a parameter is left out, never null
        default = "required" if one.get("required") else "-" if is_null else _shown_default(schema)
        meaning = one.get("description") or schema.get("description", "")
        yield f"| `{one['name']}` | {one['in']} | {_type(schema, schemas).removesuffix(' or null')} | {default} | {_cell(meaning)} |"
    body = operation.get("requestBody")
    if body is not None:
        for media_type, content in body["content"].items():
            yield f"\nBody, `{media_type}`: {_type(content['schema'], schemas)}."
    yield "\n| status | answer | meaning |\n| --- | --- | --- |"
    problems = []
    for status, answer in sorted(operation["responses"].items()):
        content = answer.get("content", {})
        if _PROBLEM in content:
            problems.append(status)
            continue
        shown = ", ".join(f"`{media}`{_of(found, schemas)}" for media, found in sorted(content.items()))
        meaning = HTTPStatus(int(status)).phrase if answer["description"] == "Successful Response" else _cell(answer["description"])
        yield f"| {status} | {shown or 'no body'} | {meaning} |"
    own = [status for status in problems if status not in _EVERYWHERE]
    if own:
        yield f"\nProblems: {', '.join(own)}."


def _spec(document: Mapping[str, Any]) -> Iterator[str]:
    """Describe the body of a job, field by field, one level deep."""
    schemas = document["components"]["schemas"]
    yield (
        "\n## A job spec\n\nOnly `dataset` is required. Unknown fields are refused at any depth. Members of `network`, `optimizer`, "
        "`schedule`, `loss`, `split` and `plan` are chosen by `name`: [techniques.md](techniques.md) lists them, `GET /v1/techniques` has the schema of each."
    )
    yield "\n| field | type | default | meaning |\n| --- | --- | --- | --- |"
    spec = schemas["JobSpec"]
    for name, field in spec["properties"].items():
        yield _field(name, field, spec, schemas)
        for part in ("training", "evaluation", "preprocessing", "early_stopping"):
            if name == part:
                inner = schemas[_reference(field)]
                for below, found in inner["properties"].items():
                    yield _field(f"{name}.{below}", found, inner, schemas)


def _field(name: str, field: Mapping[str, Any], owner: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    is_required = name.rpartition(".")[2] in owner.get("required", ())
    default = "required" if is_required else _shown_default(field)
    return f"| `{name}` | {_type(field, schemas)} | {default} | {_cell(field.get('description', ''))} |"


def _errors() -> Iterator[str]:
    if unknown := answered() - CODES.keys():
        raise KeyError(f"reference_errors.py does not say what to do about {sorted(unknown)}")
    yield (
        "\n## Errors\n\nEvery 4xx and 5xx is an object of `type`, `title`, `status`, `detail` (a sentence), `code` (what to branch on), `request_id` (also in the "
        "log) and `errors`: for each fault a JSON `pointer` into the body (or a parameter's name), a `code` and a `message`. Codes are never renamed."
    )
    yield "\n| status | code | when | what to do |\n| --- | --- | --- | --- |"
    for code, one in sorted(CODES.items(), key=lambda item: (item[1].status, item[0])):
        yield f"| {one.status} | `{code}` | {one.when} | {one.todo} |"
    yield (
        "\n### A job that failed\n\n`failure` of a job is the same object, with `kind` (equal to `code`) and `retryable`: whether the same spec may well come "
        "through when it is sent again."
    )
    yield "\n| kind | when | what to do |\n| --- | --- | --- |"
    for kind, failure in FAILURES.items():
        yield f"| `{kind}` | {failure.when} | {failure.todo} |"
    yield (
        "\n### Codes of single faults\n\nThe `code` of an entry of `errors`. Its `message` names the field, the value that was refused and what would be "
        "taken. Besides these there are the codes of pydantic's own checks (`missing`, `greater_than_equal`, `extra_forbidden`, `int_type`, ...)."
    )
    for part, codes in faults().items():
        yield f"\n**{part}.** {', '.join(f'`{code}`' for code in codes)}."


def _type(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """Name a schema in a few words."""
    if "$ref" in schema:
        return _named(str(schema["$ref"]).rpartition("/")[2], schemas)
    if "oneOf" in schema and "discriminator" in schema:
        return "one of " + ", ".join(f"`{name}`" for name in schema["discriminator"]["mapping"])
    members = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if members:
        return " or ".join(dict.fromkeys(_type(one, schemas) for one in members))
    if schema.get("type") == "array":
        items = _type(schema.get("items", {}), schemas)
        return f"list of ({items})" if " or " in items else f"list of {items}"
    words = [schema["const"]] if "const" in schema else schema.get("enum")
    return _bounded(str(schema.get("type", "any")), schema) if words is None else " or ".join(f"`{json.dumps(word)}`" for word in words)


def _named(name: str, schemas: Mapping[str, Any]) -> str:
    """Name a schema of the document by itself, or by what it is where it is but a word or a number."""
    found = schemas[name]
    return _type(found, schemas) if found.get("type") in {"string", "integer"} else f"`{name}`"


def _bounded(kind: str, schema: Mapping[str, Any]) -> str:
    low, below = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, above = schema.get("maximum"), schema.get("exclusiveMaximum")
    bounds = [f"{sign} {_number(bound)}" for sign, bound in (("≥", low), (">", below), ("≤", high), ("<", above)) if bound is not None]
    name = str(schema.get("format", kind)) if kind == "string" else kind
    return f"{name} {', '.join(bounds)}" if bounds else name


def _number(bound: float) -> str:
    return f"{int(bound):,}".replace(",", " ") if bound == int(bound) else f"{bound:g}"


def _of(content: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    schema = content.get("schema", {})
    named = _type(schema, schemas)
    return f": {named}" if named.startswith("`") else ""


def _reference(field: Mapping[str, Any]) -> str:
    """Give the name of the schema that a field refers to, nullable or not."""
    [found] = re.findall(
        r"#/components/schemas/(\w+)", json.dumps({name: field[name] for name in ("$ref", "anyOf", "allOf") if name in field})
    )
    return str(found)


def _shown_default(schema: Mapping[str, Any]) -> str:
    if schema.get("default") is None:
        return "null" if _is_nullable(schema) else "-"
    return f"`{json.dumps(schema['default'])}`"


def _is_nullable(schema: Mapping[str, Any]) -> bool:
    return any(one.get("type") == "null" for one in schema.get("anyOf", ()))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return _one_line(text).replace("|", "\\|")


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(page())

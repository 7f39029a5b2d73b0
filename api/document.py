"""The page `/docs`, self-hosted; and what the OpenAPI document says of all operations alike."""

import base64
import hashlib
import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import Response

from api.errors import MEDIA_TYPE, Problem
from api.public import PUBLIC, STATIC
from data.builtin import catalog

_PARAMETERS = {"tryItOutEnabled": True, "displayRequestDuration": True, "defaultModelsExpandDepth": 0}
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def install(app: FastAPI) -> None:
    """Serve the page, and complete the document."""

    async def page(request: Request) -> Response:
        root = request.scope.get("root_path", "")
        html = get_swagger_ui_html(
            openapi_url=f"{root}/openapi.json",
            title=f"{app.title} - Swagger UI",
            swagger_js_url=f"{root}{STATIC}swagger-ui-bundle.js",
            swagger_css_url=f"{root}{STATIC}swagger-ui.css",
            swagger_favicon_url=f"{root}{STATIC}favicon.png",
            swagger_ui_parameters=_PARAMETERS,
        )
        html.headers["Content-Security-Policy"] = policy(bytes(html.body).decode())
        html.headers["Cache-Control"] = "no-cache"
        return html

    app.add_api_route("/docs", page, include_in_schema=False)
    generate = app.openapi

    def documented() -> dict[str, Any]:
        document = generate()
        if "Problem" not in document["components"]["schemas"]:
            _complete(document, app.state.resources.settings.access)
        return document

    app.openapi = documented  # type: ignore[method-assign]


def policy(html: str) -> str:
    """Allow a page what it is made of: files from here, and those inline scripts that are in it now. Swagger UI styles elements inline."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in _SCRIPT.findall(html)]
    allowed = " ".join(["'self'", *(f"'sha256-{one}'" for one in hashes)])
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _complete(document: dict[str, Any], access: str) -> None:
    """Put the schema of problems beside the others, in place of the framework's own error shape; say how to be let in.

    Examples on datasets whose files are not here are left out: they would be refused.
    """
    components = document["components"]
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    components["schemas"].update(schema.pop("$defs"))
    components["schemas"]["Problem"] = schema
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    if access != "open":
        described = "A key made by `holdout keys create`, `hk_...`."
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": described}}
    here = {info.id for info in catalog() if info.available}
    for path, operations in document["paths"].items():
        if path in {"/v1/jobs", "/v1/previews"}:
            content = operations["post"]["requestBody"]["content"]["application/json"]
            content["examples"] = {name: one for name, one in content["examples"].items() if one["value"]["dataset"] in here}
        if path not in PUBLIC:
            for method, operation in operations.items():
                _close(operation, access, writes=method != "get")


def _close(operation: dict[str, Any], access: str, *, writes: bool) -> None:
    """Document what the door answers."""
    answers: dict[str, tuple[str, str | None]] = {}
    if access != "open":
        operation["security"] = [{"key": []}] if access == "keys" else [{"key": []}, {}]
        answers = {"401": ("No valid key.", "WWW-Authenticate"), "429": ("Too many requests.", "Retry-After")}
    if access != "keys" and writes:
        answers["403"] = ("A page of another site may not write without a key.", None)
    for status, (description, header) in answers.items():
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        answer = operation["responses"].setdefault(status, {"description": description, "content": content})
        if header is not None:
            answer.setdefault("headers", {})[header] = {"schema": {"type": "string"}}

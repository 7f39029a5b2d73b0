"""Requests read strictly: JSON without NaN, Infinity or repeated keys, and no unknown or repeated query parameter."""

import json
import re
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.params import File, Form
from fastapi.routing import APIRoute
from starlette.datastructures import FormData, ImmutableMultiDict, UploadFile
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import ProblemDetail, ProblemError

_FORM = "multipart/form-data"
_LIMITS = {"predictions": "max_prediction_bytes"}
_TAIL = 200
_NO_BODY = (b"", b"{}", b"null")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class _StrictRequest(Request):
    """A request whose body is bounded and whose JSON is JSON.

    `form_fields` are those that its form may have, and whether each is a file; `limit_name` is the setting that bounds its bytes.
    """

    form_fields: Mapping[str, bool] = MappingProxyType({})
    limit_name = "max_body_bytes"

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Receive the body, counting the bytes.

        Raises:
            ProblemError: 413, it is larger than the service takes; 400, a form has no end.
        """
        limit: int = getattr(self.app.state.resources.settings, self.limit_name)
        is_form = _media_type(self) == _FORM
        received, end = 0, b""
        async for chunk in super().stream():
            received += len(chunk)
            if received > limit:
                raise ProblemError(413, "body_too_large", f"the body is larger than {limit} bytes")
            end = (end + chunk[-_TAIL:])[-_TAIL:]
            yield chunk
        if is_form and not end.rstrip().endswith(b"--"):  # raised here, so that what was parsed so far is closed
            raise ProblemError(400, "form_cut_short", "the form has no end: it was cut short, or its boundary is another")

    async def json(self) -> Any:
        """Parse the body.

        Raises:
            ProblemError: 422, it is not strict JSON in UTF-8, repeats a key, or is nested too deeply.
        """
        return strict_json(await self.body(), "the body")

    async def form(self, **_limits: Any) -> FormData:  # type: ignore[override]  # FastAPI awaits it, and closes what it gives
        """Read a form: files go to disk, those asked for are there, and no field is not known or comes twice.

        Raises:
            ProblemError: 422, as said.
        """
        found = await super().form(max_files=4, max_fields=8, max_part_size=1_000_000)
        bad = _misnamed(found, "form field", dict.fromkeys(self.form_fields, False)) or _mistaken(found, self.form_fields)
        if bad:
            await found.close()
            details = [ProblemDetail(pointer=name, code="bad_parameter", message=text) for name, text in bad]
            raise ProblemError(422, "invalid_request", f"{bad[0][0]}: {bad[0][1]}", errors=details)
        return found


def strict_json(text: bytes, what: str) -> Any:
    """Parse JSON that is JSON. `what` names it in the answer.

    Raises:
        ProblemError: 422, it is not strict JSON in UTF-8, repeats a key, or is nested too deeply.
    """
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=_no_repeats, parse_constant=_no_constant)
    except RecursionError:
        reason = "it is nested too deeply"
    except UnicodeDecodeError:
        reason = "it is not UTF-8"
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at line {error.lineno}, column {error.colno}"
    except _NotStrictError as error:
        reason = str(error)
    except ValueError:  # Python reads no integer of more than 4300 digits
        reason = "a number is too long"
    detail = ProblemDetail(pointer="", code="json_invalid", message=reason)
    raise ProblemError(422, "invalid_json", f"{what} is not JSON: {reason}", errors=[detail])


class _NotStrictError(ValueError):
    """What Python takes for JSON and is none."""


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _NotStrictError("an object repeats a key")
    return found


def _no_constant(name: str) -> None:
    raise _NotStrictError(f"{name} is not a JSON number")


class StrictRoute(APIRoute):
    """A route that parses strictly and refuses query parameters it does not know."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler."""
        handle = super().get_route_handler()
        parameters = {parameter.alias: "list" in str(parameter.field_info.annotation) for parameter in self.dependant.query_params}
        takes_body = bool(self.dependant.body_params)
        forms = [parameter for parameter in self.dependant.body_params if isinstance(parameter.field_info, Form)]
        form_fields = {parameter.alias: isinstance(parameter.field_info, File) for parameter in forms}
        limit_name = "max_upload_bytes" if form_fields else _LIMITS.get(self.path.rsplit("/", 1)[-1], "max_body_bytes")

        async def strict(request: Request) -> Response:
            _check_query(request, parameters)
            if form_fields and _media_type(request) != _FORM:
                raise ProblemError(415, "not_a_form", "send the file as multipart/form-data, as curl -F file=@table.csv does")
            if takes_body and not form_fields and not _is_json(_media_type(request)):
                raise ProblemError(415, "not_json", "send the body as application/json")
            read = _StrictRequest(request.scope, request.receive)
            read.form_fields, read.limit_name = form_fields, limit_name
            if not takes_body and request.method == "POST" and (await read.body()).strip() not in _NO_BODY:
                detail = ProblemDetail(pointer="", code="extra_forbidden", message="this takes no body")
                raise ProblemError(422, "invalid_request", "this takes no body", errors=[detail])
            return await handle(read)

        return strict


def _check_query(request: Request, parameters: Mapping[str, bool]) -> None:
    """Refuse query parameters that are unknown, or repeated where one value is meant. `parameters` says which may be repeated."""
    found = _misnamed(request.query_params, "query parameter", parameters)
    if found:
        raise RequestValidationError(
            [{"type": "bad_parameter", "loc": ("query", name), "msg": text, "input": None} for name, text in found]
        )


def _misnamed(given: ImmutableMultiDict[str, Any], what: str, known: Mapping[str, bool]) -> list[tuple[str, str]]:
    """List names that are unknown, or come twice though one value is meant, each with what is wrong."""
    found = []
    for name, count in Counter(name for name, _ in given.multi_items()).items():
        is_metadata = "metadata" in known and name.startswith("metadata.")
        if name not in known and not is_metadata:
            found.append((name, f"unknown {what}"))
        elif count > 1 and not known.get(name, False):
            found.append((name, "must not be repeated"))
    return found


def _mistaken(form: FormData, fields: Mapping[str, bool]) -> list[tuple[str, str]]:
    """List files that are not there or are text, and texts that are files, each with what to do."""
    found = []
    for name, is_file in fields.items():
        value = form.get(name)
        if is_file and not isinstance(value, UploadFile):
            found.append((name, f"send a file, with its name, as curl -F {name}=@table.csv does"))
        elif not is_file and isinstance(value, UploadFile):
            found.append((name, f"send text, not a file: curl -F '{name}=<file.json' reads one"))
    return found


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").split(";", maxsplit=1)[0].strip().lower()


def _is_json(kind: str) -> bool:
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


class RequestIds:
    """Gives every request an id: the client's, if it is a plain word, else a drawn one; answered as X-Request-Id."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its id in the scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        offered = dict(scope["headers"]).get(b"x-request-id", b"")
        request_id = offered if _REQUEST_ID.fullmatch(offered) else f"req_{secrets.token_hex(12)}".encode()
        scope["request_id"] = request_id.decode()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), (b"x-request-id", request_id)]}
            await send(message)

        await self._app(scope, receive, send_with_id)

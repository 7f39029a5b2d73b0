"""Requests read strictly: JSON without NaN, Infinity or repeated keys, and no unknown or repeated query parameter."""

import json
import re
import secrets
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import ProblemDetail, ProblemError

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class _StrictRequest(Request):
    """A request whose body is bounded and whose JSON is JSON."""

    async def body(self) -> bytes:
        """Read the body, counting the bytes received.

        Raises:
            ProblemError: 413, it is larger than the service takes.
        """
        if not hasattr(self, "_body"):
            limit = self.app.state.resources.settings.max_body_bytes
            received = bytearray()
            async for chunk in self.stream():
                received += chunk
                if len(received) > limit:
                    raise ProblemError(413, "body_too_large", f"the body is larger than {limit} bytes")
            self._body = bytes(received)
        return self._body

    async def json(self) -> Any:
        """Parse the body.

        Raises:
            ProblemError: 422, it is not strict JSON in UTF-8, repeats a key, or is nested too deeply.
        """
        body = await self.body()
        try:
            return json.loads(body.decode("utf-8"), object_pairs_hook=_no_repeats, parse_constant=_no_constant)
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
        raise ProblemError(422, "invalid_json", f"the body is not JSON: {reason}", errors=[detail])


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

        async def strict(request: Request) -> Response:
            _check_query(request, parameters)
            if takes_body and not _is_json(request.headers.get("content-type", "")):
                raise ProblemError(415, "not_json", "send the body as application/json")
            return await handle(_StrictRequest(request.scope, request.receive))

        return strict


def _check_query(request: Request, parameters: Mapping[str, bool]) -> None:
    """Refuse query parameters that are unknown, or repeated where one value is meant. `parameters` says which may be repeated."""
    found = []
    for name, count in Counter(name for name, _ in request.query_params.multi_items()).items():
        is_metadata = "metadata" in parameters and name.startswith("metadata.")
        if name not in parameters and not is_metadata:
            found.append((name, "unknown query parameter"))
        elif count > 1 and not parameters.get(name, False):
            found.append((name, "must not be repeated"))
    if found:
        raise RequestValidationError(
            [{"type": "bad_parameter", "loc": ("query", name), "msg": text, "input": None} for name, text in found]
        )


def _is_json(content_type: str) -> bool:
    kind = content_type.split(";", maxsplit=1)[0].strip().lower()
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

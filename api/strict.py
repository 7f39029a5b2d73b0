"""Requests read strictly: JSON without NaN, Infinity or repeated keys, and no unknown query parameter."""

import json
import re
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.utils import get_flat_dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class _StrictRequest(Request):
    """A request whose JSON is JSON."""

    async def json(self) -> Any:
        """Parse the body.

        Raises:
            RequestValidationError: it is not strict JSON in UTF-8, repeats a key, or is nested too deeply.
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
        except ValueError as error:
            reason = str(error)
        raise RequestValidationError([{"type": "json_invalid", "loc": ("body",), "msg": reason, "input": None, "ctx": {"error": reason}}])


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object repeats a key")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


class StrictRoute(APIRoute):
    """A route that parses strictly and refuses query parameters it does not know."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler."""
        handle = super().get_route_handler()
        known = {parameter.alias for parameter in get_flat_dependant(self.dependant).query_params}
        takes_metadata = "metadata" in known

        async def strict(request: Request) -> Response:
            unknown = [name for name in request.query_params if name not in known and not (takes_metadata and name.startswith("metadata."))]
            if unknown:
                raise RequestValidationError([{"type": "unknown_parameter", "loc": ("query", name), "msg": "unknown query parameter", "input": None} for name in unknown])
            return await handle(_StrictRequest(request.scope, request.receive))

        return strict


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

"""One line and one count for each request: what was asked by its route, what came of it, how long it took."""

import re
import time
from collections.abc import Mapping
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.measures import Measures
from store.logs import Lines

_line = Lines("access", "request")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EVENTS = b"text/event-stream; charset=utf-8"
UNKNOWN = "unknown"
"""The route of a path that leads nowhere: paths that a client made up must not become labels."""


class AccessLog:
    """Logs and counts requests. Never paths, queries or headers as they came: they may hold what is nobody's business."""

    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        """Wrap an application."""
        self._app = app
        self._measures = measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with its id bound for every line that is logged meanwhile, in threads too."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        structlog.contextvars.clear_contextvars()  # a server may handle requests of one connection one after another
        structlog.contextvars.bind_contextvars(request_id=scope.get("request_id"))
        began = time.perf_counter()
        status, sent, is_stream = 500, 0, False  # 500: an exception is answered outside of this

        async def counted(message: Message) -> None:
            nonlocal status, sent, is_stream
            if message["type"] == "http.response.start":
                status = message["status"]
                is_stream = (b"content-type", _EVENTS) in message.get("headers", ())
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, counted)
        finally:
            seconds = time.perf_counter() - began
            method = scope["method"] if scope["method"] in _METHODS else "OTHER"
            route = getattr(scope.get("route"), "path", UNKNOWN)
            self._measures.request(route, method, status, seconds, is_stream=is_stream)
            _line.write(
                method=method,
                route=route,
                status=status,
                seconds=round(seconds, 6),
                bytes=sent,
                **_ids(scope.get("path_params")),
            )


def _ids(found: Mapping[str, Any] | None) -> dict[str, str]:
    """Give the ids in a path, those that could be ids."""
    return {name: str(value) for name, value in (found or {}).items() if name in {"job_id", "dataset_id"} and _ID.fullmatch(str(value))}

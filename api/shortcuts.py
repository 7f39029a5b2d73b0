"""Reads that were understood before: what a request asks for follows from its address, and is not worked out anew each time.

A route that was let through to (its parameters are valid, its job is this client's) remembers how the request is answered. The same
request of the same client comes here past the same doors, and past resolving, but for that it is answered by the same function.
"""

import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import unavailable
from store.errors import DatabaseUnavailable, NotFound

Answer = Callable[[str | None], Awaitable[Response]]
"""Answers a read, given its If-None-Match."""
_MOST = 1_000
_LONGEST = 1000
"""Bytes of an address and its Accept that are remembered."""
_Key = tuple[str | None, str, bytes, bytes | None]


@dataclass(frozen=True, kw_only=True)
class _Known:
    answer: Answer
    route: Any
    path_params: Mapping[str, Any]


class Shortcuts:
    """How requests that came before are answered; those that came last are kept."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._lock = threading.Lock()
        self._known: OrderedDict[_Key, _Known] = OrderedDict()

    def remember(self, scope: Scope, answer: Answer) -> None:
        """Answer the same request in the same way when it comes again."""
        key, _ = _asked(scope)
        if key is None:
            return
        with self._lock:
            self._known[key] = _Known(answer=answer, route=scope["route"], path_params=scope["path_params"])
            while len(self._known) > _MOST:
                self._known.popitem(last=False)

    def find(self, key: _Key) -> _Known | None:
        """Look for a request that came before."""
        with self._lock:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
            return found

    def forget(self, key: _Key) -> None:
        """Let the route answer again."""
        with self._lock:
            self._known.pop(key, None)


class Shortcut:
    """The way past the router. It stands behind every other middleware: who asks is known, and everything is counted and logged."""

    def __init__(self, app: ASGIApp, shortcuts: Shortcuts) -> None:
        """Wrap the router."""
        self._app = app
        self._shortcuts = shortcuts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the router."""
        response = await self._answer(scope) if scope["type"] == "http" and scope["method"] == "GET" else None
        await (self._app if response is None else response)(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response | None:
        key, if_none_match = _asked(scope)
        known = None if key is None else self._shortcuts.find(key)
        if key is None or known is None:
            return None
        scope["route"], scope["path_params"] = known.route, known.path_params
        try:
            response = await known.answer(if_none_match)
        except NotFound:  # it was deleted: the route says so
            self._shortcuts.forget(key)
            return None
        except DatabaseUnavailable:
            response = unavailable(scope)
        return response


def _asked(scope: Scope) -> tuple[_Key | None, str | None]:
    """Give all that the answer to a GET depends on but the job itself, and If-None-Match; no key where a header comes twice."""
    accept = if_none_match = None
    for name, value in scope["headers"]:
        if name == b"accept":
            if accept is not None:
                return None, None
            accept = value
        elif name == b"if-none-match":
            if if_none_match is not None:
                return None, None
            if_none_match = value.decode("latin-1")
    path, query = scope["path"], scope["query_string"]
    if len(path) + len(query) + len(accept or b"") > _LONGEST or "identity" not in scope:
        return None, None
    return (scope["identity"].sees, path, query, accept), if_none_match

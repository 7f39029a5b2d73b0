"""The door: who is nobody's client gets no further, and nothing of the body is read before that is known."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.audit import client_of, tell_answer, told
from api.errors import problem, unavailable
from api.guard import NOBODY, Guard, Identity
from api.limiting import Rates
from api.public import METRICS, is_public
from store.errors import DatabaseUnavailable

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Access:
    """Lets requests through with an `Identity` in their scope, or answers 401, 403, 429 or 503 itself."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        """Wrap an application. `origins` are those of other sites that may write without a key."""
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through, or answer."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no web sockets here
            await send({"type": "websocket.close", "code": 1008})
            return
        if is_public(scope):
            scope["identity"] = NOBODY
            await self._app(scope, receive, send)
            return
        found = await self._admitted(scope)
        if isinstance(found, Response):
            await found(scope, receive, send)
            return
        scope["identity"] = found

        async def send_and_tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                tell_answer(scope, message)
            await send(message)

        await self._app(scope, receive, send_and_tell)

    async def _admitted(self, scope: Scope) -> Identity | Response:
        guard: Guard = scope["app"].state.resources.guard
        rates: Rates = scope["app"].state.resources.rates
        try:
            if not await guard.needs_key():
                return self._stranger(scope)
            key, address = _bearer(scope), client_of(scope)
            wait = rates.failed_too_often(address)
            # Keys that were seen here before get on: who shares an address with a guesser is not locked out.
            if wait is not None and not guard.knows(key):
                return _too_many(scope, wait, "too many requests without a valid key came from your address")
            identity = await guard.verified(key)
        except DatabaseUnavailable:
            if scope["path"].removeprefix(scope.get("root_path", "")) == METRICS:
                scope["is_unverified"] = True  # what this process counted is told, and nothing of the database
                return NOBODY
            return unavailable(scope)
        if identity is None:
            rates.count_failure(address)
            told(scope, "key.verify", target=None, outcome="refused")
            return problem(
                scope,
                401,
                "unauthorized",
                "this needs a valid API key: send the header Authorization: Bearer hk_...",
                headers={"WWW-Authenticate": "Bearer"},
            )
        wait = rates.count_request(identity.key_id or "")
        return identity if wait is None else _too_many(scope, wait, "this key has sent too many requests within a minute")

    def _stranger(self, scope: Scope) -> Identity | Response:
        """Let whoever comes in where no key is needed, but no other site's page that writes in its reader's name."""
        if scope["method"] in _SAFE:
            return NOBODY
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is None or origin in self._origins or urlsplit(origin).netloc == headers.get("host"):
            return NOBODY
        return problem(scope, 403, "foreign_origin", "pages of other sites may not write here; HOLDOUT_CORS_ORIGINS names those that may")


def _bearer(scope: Scope) -> str:
    """Give what stands behind Bearer; nothing if it is not there once."""
    given = Headers(scope=scope).getlist("authorization")
    scheme, _, key = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return key.strip(" ") if scheme.lower() == "bearer" else ""


def _too_many(scope: Scope, wait: int, detail: str) -> Response:
    return problem(scope, 429, "too_many_requests", f"{detail}; try again in {wait} s", headers={"Retry-After": str(wait)})

"""Headers that keep browsers from doing what nobody asked for, on every answer; and CORS, where it is wanted."""

from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.public import STATIC

_EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_PICTURE = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'none'; sandbox"
"""An SVG opened as a page has styles, and nothing that runs."""


def _raw(policy: str) -> tuple[tuple[bytes, bytes], ...]:
    """Write headers down as a server sends them, what says how long an answer may be kept at the end."""
    wanted = {**_EVERYWHERE, "Content-Security-Policy": policy, "Cache-Control": "no-store"}
    return tuple((name.lower().encode(), value.encode()) for name, value in wanted.items())


_OF_ALL, _OF_PICTURES = _raw(_EVERYWHERE["Content-Security-Policy"]), _raw(_PICTURE)


class SecurityHeaders:
    """Puts them on every answer that does not bring its own."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and add headers to what comes back."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message.get("headers", ())
                message = {**message, "headers": [*given, *_missing(given, is_static=scope["path"].startswith(STATIC))]}
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def bare() -> dict[str, str]:
    """Give what an answer without headers lacks."""
    return {name.decode(): value.decode() for name, value in _missing(())}


def _missing(given: Iterable[tuple[bytes, bytes]], *, is_static: bool = False) -> list[tuple[bytes, bytes]]:
    """Give what an answer with these headers lacks. What may hold data is not stored by anybody unless it says how."""
    names, is_picture = set(), False
    for name, value in given:
        lower = name.lower()
        names.add(lower)
        is_picture = is_picture or (lower == b"content-type" and value.startswith(b"image/"))
    wanted = _OF_PICTURES if is_picture else _OF_ALL
    return [one for one in (wanted[:-1] if is_static else wanted) if one[0] not in names]


class NamedOrigins(CORSMiddleware):
    """Lets pages of named origins read answers, with a key that they hold; there are no cookies."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        """Name them."""
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=("Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Last-Event-ID", "X-Request-Id"),
            expose_headers=("ETag", "Location", "Retry-After", "X-Request-Id"),
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a preflight: with leave, or without a word about it."""
        found = super().preflight_response(request_headers)
        return found if found.status_code == 200 else Response(status_code=204, headers={"Vary": "Origin"})

"""Headers that keep browsers from doing what nobody asked for, on every answer; and CORS, where it is wanted."""

from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
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


class SecurityHeaders:
    """Puts them on every answer that does not bring its own."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and add headers to what comes back."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message.get("headers", [])))
                for name, value in missing(headers, is_static=scope["path"].startswith(STATIC)).items():
                    headers[name] = value
                message = {**message, "headers": headers.raw}
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def missing(headers: Headers | Mapping[str, str], *, is_static: bool = False) -> dict[str, str]:
    """Give what an answer with these headers lacks. What may hold data is not stored by anybody unless it says how."""
    wanted = dict(_EVERYWHERE)
    if headers.get("content-type", "").startswith("image/"):
        wanted["Content-Security-Policy"] = _PICTURE
    if not is_static:
        wanted["Cache-Control"] = "no-store"
    return {name: value for name, value in wanted.items() if name.lower() not in headers and name not in headers}


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

"""HEAD is answered wherever GET is (RFC 9110, 9.3.2): the same headers, and no body."""

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Heads:
    """Asks the application as for GET, and ends the answer after its headers: a stream is not begun."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        scope["method"] = "GET"
        with anyio.CancelScope() as asked:

            async def send_headers(message: Message) -> None:
                if message["type"] == "http.response.start":
                    scope["method"] = "HEAD"  # a server counts the bytes of a body by it
                    await send(message)
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                elif message.get("more_body", False):
                    asked.cancel()

            await self._app(scope, receive, send_headers)

"""HTTP/1.1 as this service reads it: httptools, with a bound on what a request's head may hold.

httptools itself takes heads of any size, before anybody has asked who sends them.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 65_536


class BoundedProtocol(HttpToolsProtocol):
    """Answers 400 and closes once a head is longer than `MOST_HEAD_BYTES`, to within one piece as it was received."""

    _head_bytes = 0
    _is_in_head = True

    def data_received(self, data: bytes) -> None:
        """Read on, and count what belongs to a head that has not ended."""
        super().data_received(data)
        if self._is_in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self.send_400_response("The head of this request is too long.")

    def on_message_begin(self) -> None:
        """Count anew."""
        super().on_message_begin()
        self._is_in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """Count no further: bodies have bounds of their own."""
        super().on_headers_complete()
        self._is_in_head = False

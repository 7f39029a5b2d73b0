"""A client so light that the server is what is measured: prepared requests over some connections that stay open.

A process of its own, with nothing but the standard library: each line of standard input is a task, and is answered with a line.
A connection sends its next request when it has the whole answer to the last one; nothing is parsed but status and length.
"""

import asyncio
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass
class _Press:
    """What is sent until when, and what came back."""

    requests: Iterator[bytes]
    deadline: float
    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    num_bytes: int = 0


class _Connection(asyncio.Protocol):
    """One connection."""

    def __init__(self, press: _Press, done: asyncio.Future[None]) -> None:
        self._press = press
        self._done = done
        self._received = bytearray()
        self._needed = 0  # bytes of the answer, once its head is there
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(ConnectionError("the server closed a connection"))

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        if not self._needed:
            end = received.find(_END)
            if end < 0:
                return
            head = bytes(received[:end]).lower()
            status, at = int(head[9:12]), head.find(_LENGTH)
            has_body = at >= 0 and status not in {204, 304}
            self._needed = end + len(_END) + (int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if has_body else 0)
            self._press.statuses[status] += 1
        if len(received) >= self._needed:
            self._press.seconds.append(time.perf_counter() - self._began)
            self._press.num_bytes += len(received)
            self._received, self._needed = bytearray(), 0
            self._send()

    def _send(self) -> None:
        self._began = time.perf_counter()
        if self._began >= self._press.deadline:
            self._done.set_result(None)
            self._transport.close()
            return
        self._transport.write(next(self._press.requests))


async def _press(port: int, requests: list[bytes], connections: int, seconds: float) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    press = _Press(cycle(requests), began + seconds)
    ends = [loop.create_future() for _ in range(connections)]
    for end in ends:
        await loop.create_connection(lambda end=end: _Connection(press, end), "127.0.0.1", port)
    await asyncio.gather(*ends)
    lasted = time.perf_counter() - began
    return {
        "rate": len(press.seconds) / lasted,
        "median_ms": 1000 * statistics.median(press.seconds),
        "bytes": press.num_bytes // len(press.seconds),
        "statuses": {str(status): count for status, count in press.statuses.items()},
    }


def main() -> None:
    """Answer task after task: `port`, `requests` (latin-1), `connections`, `seconds`."""
    for line in sys.stdin:
        task = json.loads(line)
        requests = [text.encode("latin-1") for text in task["requests"]]
        answer = asyncio.run(_press(task["port"], requests, task["connections"], task["seconds"]))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

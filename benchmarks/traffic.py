"""Clients for benchmarks of load: HTTP/1.1 over plain sockets of one event loop, so light that the service is what is measured."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Self

_MOST_BYTES = 2**24


@dataclass(frozen=True)
class Answer:
    """An answer, read whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Parse the body."""
        return json.loads(self.body)


@dataclass
class Connection:
    """One connection that stays open, as a browser's does; made anew when the other side has closed it."""

    port: int
    _reader: asyncio.StreamReader | None = None
    _writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        """Open nothing yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    async def get(self, path: str, **headers: str) -> Answer:
        """GET; `_` in a header's name stands for `-`."""
        return await self.send("GET", path, headers)

    async def post(self, path: str, body: Any) -> Answer:
        """POST JSON."""
        return await self.send("POST", path, {"Content-Type": "application/json"}, json.dumps(body).encode())

    async def send(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Answer:
        """Send a request and read the whole answer."""
        await self._write(method, path, headers, body)
        status, found = await self._head()
        content = b""
        if status not in {204, 304}:
            assert self._reader is not None
            content = await self._reader.readexactly(int(found["content-length"]))
        if found.get("connection") == "close":
            await self.close()
        return Answer(status, found, content)

    async def events(self, path: str) -> AsyncIterator[str]:
        """Follow a stream of events: yield each one's kind, and first `open` or the status that came instead."""
        await self._write("GET", path, {"Accept": "text/event-stream"}, b"")
        status, _ = await self._head()
        yield "open" if status == 200 else str(status)
        assert self._reader is not None
        while status == 200:
            line = await self._reader.readline()  # chunks' lengths stand on lines of their own
            if line.startswith(b"event: "):
                yield line[7:].decode().strip()
            if line in {b"0\r\n", b""}:  # the last chunk, or a connection that broke
                yield "closed" if line else "broken"
                break
        await self.close()

    async def close(self) -> None:
        """Close; a later request opens it again."""
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
        self._reader = self._writer = None

    async def _write(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port, limit=_MOST_BYTES)
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await self._writer.drain()

    async def _head(self) -> tuple[int, dict[str, str]]:
        assert self._reader is not None
        first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        pairs = (line.split(":", 1) for line in lines)
        return int(first.split()[1]), {name.strip().lower(): value.strip() for name, value in pairs}


@dataclass
class Tally:
    """What came back: seconds by kind of request, and how many of each status."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    statuses: dict[str, dict[int, int]] = field(default_factory=dict)
    broken: dict[str, int] = field(default_factory=dict)

    def note(self, kind: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self.seconds.setdefault(kind, []).append(seconds)
        of_kind = self.statuses.setdefault(kind, {})
        of_kind[status] = of_kind.get(status, 0) + 1

    def note_broken(self, kind: str) -> None:
        """Count a connection that broke: as bad as a 5xx."""
        self.broken[kind] = self.broken.get(kind, 0) + 1

    @property
    def num_bad(self) -> int:
        """Count answers that no client should see."""
        return sum(count for of_kind in self.statuses.values() for status, count in of_kind.items() if status >= 500) + sum(
            self.broken.values()
        )


def free_port() -> int:
    """Give a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

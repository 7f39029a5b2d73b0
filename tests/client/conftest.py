"""Both clients: of an imagined service, and of real ones."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

import holdout.retries
from holdout import AsyncClient, Client
from tests.client.blocking import Blocking

Answering = Callable[[httpx2.Request], httpx2.Response]


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Give what makes a client of an address, or of a function that answers; the same tests hold for either kind."""
    with asyncio.Runner() as runner:

        def made(where: str | Answering, **fields: Any) -> Any:
            url = where if isinstance(where, str) else "http://imagined"
            transport = None if isinstance(where, str) else httpx2.MockTransport(where)
            if request.param == "sync":
                return Client(url, transport=transport, **fields)
            return Blocking(AsyncClient(url, transport=transport, **fields), runner)

        yield made


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Note pauses instead of making them."""
    noted: list[float] = []

    async def slept(seconds: float) -> None:
        noted.append(seconds)

    monkeypatch.setattr("holdout.wire.time.sleep", noted.append)
    monkeypatch.setattr("holdout.wire.asyncio.sleep", slept)
    return noted


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> Callable[[], float]:
    """Let time go on by the pauses that are made, and by nothing else."""
    monkeypatch.setattr(holdout.retries.time, "monotonic", lambda: 1000.0 + sum(pauses))
    return time.monotonic

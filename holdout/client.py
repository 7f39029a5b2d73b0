"""The two clients: one that waits, one that is awaited."""

import contextlib
import dataclasses
import os
import re
from collections.abc import Mapping
from importlib import metadata
from typing import Any, Self

import httpx2

from holdout import operations
from holdout.async_jobs import AsyncJobs
from holdout.datasets import AsyncDatasets, Datasets
from holdout.job import AsyncJob, Job
from holdout.jobs import Jobs
from holdout.records import Record
from holdout.requests import Answer, Ask, Call, Steps, as_json, called
from holdout.retries import Policy
from holdout.wire import AsyncWire, Wire

DEFAULT_URL = "http://127.0.0.1:8000"
_TIMEOUT_SECONDS = 60.0
_MAX_RETRIES = 2
_KEPT: Any = ...
_KEY = re.compile(r"[\x21-\x7e]+")


class Client:
    """A client of a service.

    `base_url` is HOLDOUT_URL if it is not given, and what `holdout up` serves at if that is not set; `api_key` is HOLDOUT_API_KEY.
    `timeout` is in seconds, for each attempt (None: none); a request is sent again up to `max_retries` times where that helps (see
    `holdout/retries.py`). Threads may share a client. Leave it as a context manager, or by `close`.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float | None = _TIMEOUT_SECONDS,
        max_retries: int = _MAX_RETRIES,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        """Prepare a client; nothing is sent yet. `transport` is httpx2's, for tests.

        Raises:
            ValueError: the address is none of http or https, the key none that can be sent, or a number is below what it may be.
        """
        http = _Http(base_url=_url(base_url), headers=_headers(api_key), transport=transport)
        self._use(Wire(http, Policy(max_retries=max_retries, timeout=timeout)))

    def _use(self, wire: Wire) -> None:
        self._wire = wire
        self.jobs = Jobs(wire)
        self.datasets = Datasets(wire)

    @property
    def base_url(self) -> str:
        """Where the service is."""
        return str(self._wire.http.base_url).rstrip("/")

    def with_options(self, *, timeout: float | None = _KEPT, max_retries: int = _KEPT) -> Self:
        """Give a client of the same service and connections that is more, or less, patient; what is not given stays as it is."""
        found = object.__new__(type(self))
        found._use(Wire(self._wire.http, _changed(self._wire.policy, timeout, max_retries)))
        return found

    def submit(self, spec: Mapping[str, Any] | None = None, /, *, idempotency_key: str | None = None, **fields: Any) -> Job:
        """Submit a job: `client.submit(dataset="digits").wait().curves()`. See `Jobs.submit`."""
        return self.jobs.submit(spec, idempotency_key=idempotency_key, **fields)

    def techniques(self) -> Record:
        """Read what a spec may name (`["items"]`, with schemas, defaults, rules), the limits, and the schema of a whole spec."""
        return self._wire.run(operations.recorded(called("GET", "techniques")))

    def limits(self) -> Record:
        """Read how much one job, one request and the queue may hold."""
        return self._wire.run(operations.recorded(called("GET", "limits")))

    def request(self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Any = None) -> Answer:
        """Send any request, for what this client has no method for. A POST is sent again only where the service has not acted on it."""
        return self._wire.run(_raw(method, path, query, body))

    def close(self) -> None:
        """Close its connections."""
        self._wire.http.close()

    def __enter__(self) -> Self:
        """Give the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """Say whose client it is, without the key."""
        return f"<{type(self).__name__} of {self.base_url}>"


class AsyncClient:
    """A client of a service whose methods are awaited. See `Client`."""

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float | None = _TIMEOUT_SECONDS,
        max_retries: int = _MAX_RETRIES,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """Prepare a client; nothing is sent yet. `transport` is httpx2's, for tests.

        Raises:
            ValueError: the address is none of http or https, the key none that can be sent, or a number is below what it may be.
        """
        http = httpx2.AsyncClient(base_url=_url(base_url), headers=_headers(api_key), transport=transport)
        self._use(AsyncWire(http, Policy(max_retries=max_retries, timeout=timeout)))

    def _use(self, wire: AsyncWire) -> None:
        self._wire = wire
        self.jobs = AsyncJobs(wire)
        self.datasets = AsyncDatasets(wire)

    @property
    def base_url(self) -> str:
        """Where the service is."""
        return str(self._wire.http.base_url).rstrip("/")

    def with_options(self, *, timeout: float | None = _KEPT, max_retries: int = _KEPT) -> Self:
        """Give a client of the same service and connections that is more, or less, patient; what is not given stays as it is."""
        found = object.__new__(type(self))
        found._use(AsyncWire(self._wire.http, _changed(self._wire.policy, timeout, max_retries)))
        return found

    async def submit(self, spec: Mapping[str, Any] | None = None, /, *, idempotency_key: str | None = None, **fields: Any) -> AsyncJob:
        """Submit a job. See `Jobs.submit`."""
        return await self.jobs.submit(spec, idempotency_key=idempotency_key, **fields)

    async def techniques(self) -> Record:
        """Read what a spec may name (`["items"]`, with schemas, defaults, rules), the limits, and the schema of a whole spec."""
        return await self._wire.run(operations.recorded(called("GET", "techniques")))

    async def limits(self) -> Record:
        """Read how much one job, one request and the queue may hold."""
        return await self._wire.run(operations.recorded(called("GET", "limits")))

    async def request(self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Any = None) -> Answer:
        """Send any request, for what this client has no method for. A POST is sent again only where the service has not acted on it."""
        return await self._wire.run(_raw(method, path, query, body))

    async def close(self) -> None:
        """Close its connections."""
        await self._wire.http.aclose()

    async def __aenter__(self) -> Self:
        """Give the client."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.close()

    def __repr__(self) -> str:
        """Say whose client it is, without the key."""
        return f"<{type(self).__name__} of {self.base_url}>"


class _Http(httpx2.Client):
    """Connections that are closed when nobody can use them any more: `Client().submit(…)` is kept alive by its job alone."""

    def __del__(self) -> None:
        """Close what is open."""
        with contextlib.suppress(Exception):  # the interpreter may be on its way out
            self.close()


def _changed(policy: Policy, timeout: float | None, max_retries: int) -> Policy:
    given: dict[str, Any] = {"timeout": timeout, "max_retries": max_retries}
    return dataclasses.replace(policy, **{name: value for name, value in given.items() if value is not _KEPT})


def _raw(method: str, path: str, query: Mapping[str, Any] | None, body: Any) -> Steps[Answer]:
    pairs = [(name, str(value)) for name, value in (query or {}).items()]
    headers = {} if body is None else {"Content-Type": "application/json"}
    content = None if body is None else as_json(body)
    answer: Answer = yield Ask(
        Call(method=method.upper(), path=path, query=pairs, headers=headers, body=content, may_repeat=method.upper() != "POST")
    )
    return answer


def _url(given: str | None) -> str:
    found = given or os.environ.get("HOLDOUT_URL") or DEFAULT_URL
    try:
        url = httpx2.URL(found)
    except httpx2.InvalidURL as error:
        raise ValueError(f"{found!r} is not the address of a service: {error}") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError(f"{found!r} is not the address of a service: write it like {DEFAULT_URL}")
    path = url.path.rstrip("/")
    return found if not path.endswith("/v1") else str(url.copy_with(path=path.removesuffix("/v1") or "/"))  # as the API's page shows it


def _headers(given: str | None) -> dict[str, str]:
    key = given or os.environ.get("HOLDOUT_API_KEY")
    if key and _KEY.fullmatch(key) is None:
        raise ValueError("the API key has a space, a line's end or a letter that no key has: copy it anew")
    headers = {"Accept": "application/json", "User-Agent": f"holdout-python/{metadata.version('holdout')}"}
    return headers if not key else headers | {"Authorization": f"Bearer {key}"}

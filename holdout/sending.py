"""What both ways of sending share: how a request is handed to httpx2, what its exceptions mean, where a download goes."""

import contextlib
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import httpx2

from holdout.errors import APIConnectionError, APITimeoutError
from holdout.requests import Call
from holdout.retries import Policy

_CONNECT_SECONDS = 5.0
_SILENCE_SECONDS = 45.0
"""A stream of events says something every 15 s; one that is silent for so long is dead."""
_UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol, httpx2.ProxyError)


def options(call: Call, policy: Policy, files: contextlib.ExitStack | contextlib.AsyncExitStack) -> dict[str, Any]:
    """Give the arguments of `httpx2.Client.stream`; a file that is sent stays open as long as `files`."""
    seconds = policy.timeout if call.timeout is None else call.timeout
    if call.headers.get("Accept") == "text/event-stream":
        seconds = _SILENCE_SECONDS
    found: dict[str, Any] = {
        "params": list(call.query) or None,
        "headers": dict(call.headers),
        "timeout": httpx2.Timeout(seconds, connect=_CONNECT_SECONDS if seconds is None else min(_CONNECT_SECONDS, seconds)),
    }
    if call.file is not None:
        source = call.file.content
        content = source if isinstance(source, bytes) else files.enter_context(source.open("rb"))
        return found | {"files": {"file": (call.file.name, content)}, "data": dict(call.form)}
    return found if call.body is None else found | {"content": call.body}


def headers_of(response: httpx2.Response) -> dict[str, str]:
    """Give headers by their names in lower case."""
    return {name.lower(): value for name, value in response.headers.items()}


@contextlib.contextmanager
def explained(base_url: httpx2.URL) -> Iterator[None]:
    """Say which service did not answer; neither key nor body is told."""
    where = f"{base_url.scheme}://{base_url.netloc.decode()}"
    try:
        yield
    except httpx2.TimeoutException as error:
        raise APITimeoutError(
            f"{where} did not answer in time ({type(error).__name__})", was_sent=not isinstance(error, _UNSENT)
        ) from error
    except httpx2.ConnectError as error:
        raise APIConnectionError(f"{where} cannot be reached: {error}", was_sent=False) from error
    except httpx2.TransportError as error:
        raise APIConnectionError(f"the connection to {where} broke: {error}", was_sent=not isinstance(error, _UNSENT)) from error
    except httpx2.HTTPError as error:
        raise APIConnectionError(f"{where} gave an answer that cannot be read: {error}") from error


@contextlib.contextmanager
def place(target: Path, response: httpx2.Response) -> Iterator[tuple[BinaryIO, Path]]:
    """Open a file that takes its name once it is whole. In a folder it gets the name that the service gives it."""
    path = target / _name(response) if target.is_dir() else target
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with part.open("xb") as file:
            yield file, path
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _name(response: httpx2.Response) -> str:
    """Read the name from the answer; a folder in it would lead elsewhere."""
    found = re.search(r'filename="([^"/\\]+)"', response.headers.get("content-disposition", ""))
    name = found.group(1) if found else response.url.path.rpartition("/")[2]
    return name if name.strip(".") else "download"

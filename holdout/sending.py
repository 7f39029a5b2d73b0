"""What both ways of sending share: how a request is handed to httpx2, what its exceptions mean, where a download goes."""

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import httpx2

from holdout.errors import APIConnectionError, APITimeoutError, HoldoutError
from holdout.requests import Answer, Call
from holdout.retries import Policy

_CONNECT_SECONDS = 5.0
_SILENCE_SECONDS = 45.0
"""A stream of events says something every 15 s; one that is silent for so long is dead."""
_PAGES = frozenset({"text/html", "application/xhtml+xml"})
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


def begun(response: httpx2.Response, call: Call) -> Answer:
    """Give what is known of an answer before its body is read.

    Raises:
        UnexpectedAnswerError: no service gives such an answer: nothing of the API is a page or a redirect.
    """
    headers = {name.lower(): value for name, value in response.headers.items()}
    found = Answer(status=response.status_code, headers=headers, origin=_origin(response.url))
    if not call.path.startswith("/v1/") or found.status >= 400 or found.status == 304:
        return found
    if found.status >= 300:
        raise found.unexpected(f"{found.status}, which leads to {headers.get('location', '').partition('?')[0] or 'nowhere'}")
    if (kind := headers.get("content-type", "").partition(";")[0].strip().lower()) in _PAGES:
        raise found.unexpected(f"{found.status} with a page ({kind})")
    return found


def _origin(url: httpx2.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode()}"


@contextlib.contextmanager
def explained(http: httpx2.Client | httpx2.AsyncClient) -> Iterator[None]:
    """Say which service did not answer; neither key nor body is told."""
    if http.is_closed:
        raise HoldoutError("this client is closed: make another one")
    where = _origin(http.base_url)
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
    """Open a file that takes its name once it is whole. In a folder it gets the name that the service gives it.

    Where a link leads is what is replaced, not the link; into what is no file, as a pipe or a device, it is written as it comes.
    """
    path = target / _name(response) if target.is_dir() else target
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            yield stream, path
        return
    whole = Path(os.path.realpath(path))
    if whole.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    if not whole.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(whole.parent))
    part = whole.with_name(f".{whole.name}.{secrets.token_hex(4)}")
    try:
        opened = part.open("xb")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error  # the other name is nobody's concern
    try:
        with opened as file:
            yield file, path
        part.replace(whole)
    finally:
        part.unlink(missing_ok=True)


def _name(response: httpx2.Response) -> str:
    """Read the name from the answer; a folder in it would lead elsewhere."""
    found = re.search(r'filename="([^"/\\]+)"', response.headers.get("content-disposition", ""))
    name = found.group(1) if found else response.url.path.rpartition("/")[2]
    return name if name.strip(".") else "download"

"""Requests and answers as data, and the steps that operations are made of.

An operation is a generator: it yields what is to be done (send this, wait so long) and is sent what came of it. It does nothing
itself, so the synchronous and the asynchronous client share it; `holdout/wire.py` does what it asks for, in either way.
"""

import datetime as dt
import json
import math
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from holdout.errors import UnexpectedAnswerError

Result = TypeVar("Result")
Steps: TypeAlias = Generator[Any, Any, Result]
"""An operation: yields the steps below, returns its result."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RETRY_AFTER = re.compile(r"[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of a form: its content, or where it lies."""

    name: str
    content: bytes | Path


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request. `may_repeat` tells whether sending it twice does what sending it once does; `timeout` is in seconds.

    What comes back goes to the file `save_to`, or into that folder.
    """

    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    file: File | None = None
    form: Mapping[str, str] = field(default_factory=dict)
    may_repeat: bool = True
    timeout: float | None = None
    save_to: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back, from the service at `origin`. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes = b""
    saved_to: Path | None = None
    origin: str = "the address"

    def json(self) -> Any:
        """Read the body.

        Raises:
            UnexpectedAnswerError: it is no JSON.
        """
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise self.unexpected(f"{self.status} with {self.headers.get('content-type') or 'a body'} that is no JSON") from error

    def fields(self, *names: str) -> dict[str, Any]:
        """Read the body: a JSON object that has these fields.

        Raises:
            UnexpectedAnswerError: it is none.
        """
        found = self.json()
        if not isinstance(found, dict) or not all(name in found for name in names):
            raise self.unexpected(f"{self.status} with JSON that is none of its own")
        return found

    def unexpected(self, what: str) -> UnexpectedAnswerError:
        """Make the exception for an answer that no service gives."""
        return UnexpectedAnswerError(f"{self.origin} does not look like a Holdout service: it answered {what}")

    @property
    def request_id(self) -> str | None:
        """The id under which the service's log has this request."""
        return self.headers.get("x-request-id")

    @property
    def retry_after(self) -> float | None:
        """How many seconds the service asks to wait, if it does."""
        text = self.headers.get("retry-after", "")
        return float(text) if _RETRY_AFTER.fullmatch(text) else None


@dataclass(frozen=True)
class Ask:
    """Step: send a request, as often as retries allow; gives an `Answer` below 400, or an `APIError` is thrown."""

    call: Call


@dataclass(frozen=True)
class Send:
    """Step: send a request once; gives its `Answer` whatever its status, or an `APIConnectionError` is thrown."""

    call: Call


@dataclass(frozen=True)
class Listen:
    """Step: open an event stream once; gives its `Answer` without a body (with it, if it is no stream)."""

    call: Call


@dataclass(frozen=True)
class Hear:
    """Step: give the next server-sent event of the stream that is open; None at its end, or an `APIConnectionError` is thrown."""


@dataclass(frozen=True)
class Pause:
    """Step: wait."""

    seconds: float


@dataclass(frozen=True)
class Tell:
    """Step: call back."""

    function: Callable[[Any], Any]
    argument: Any


@dataclass(frozen=True)
class Give:
    """Step of operations that are iterated over: give this to whoever iterates."""

    item: Any


def called(method: str, *path: str, query: Mapping[str, Any] | None = None, body: Any = None, **options: Any) -> Call:
    """Make a request. Parts of the path are ids or fixed words; None in `query` is left out, a list repeats its parameter.

    Raises:
        TypeError: an id is no text.
        ValueError: an id is none, or the body is not JSON.
    """
    for part in path:
        if not isinstance(part, str):
            raise TypeError(f"an id is text, not {part!r}")
        if _ID.fullmatch(part) is None and part not in _FILES:
            raise ValueError(f"{part!r} is not an id: letters, digits, _ and - make one")
    given = [(name, one) for name, value in (query or {}).items() for one in (value if isinstance(value, list | tuple) else [value])]
    headers = dict(options.pop("headers", {}))
    content = None
    if body is not None:
        content = as_json(body)
        headers["Content-Type"] = "application/json"
    return Call(
        method=method,
        path="/v1/" + "/".join(path),
        query=[(name, _text(value)) for name, value in given if value is not None],
        headers=headers,
        body=content,
        **options,
    )


_FILES = frozenset({"report.png", "report.svg", "curves.csv"})


def as_json(value: Any) -> bytes:
    """Write strict JSON; numbers and arrays of NumPy are taken as what they hold.

    Raises:
        ValueError: it holds NaN or Infinity, or something that JSON has not.
    """
    try:
        return json.dumps(value, allow_nan=False, default=_plain).encode()
    except TypeError as error:
        raise ValueError(f"this cannot be sent as JSON: {error}") from error
    except ValueError as error:
        if str(error).startswith("Circular"):
            raise
        pointer, number = next(_unsendable(value, ""))
        raise ValueError(f"{pointer or 'this'} is {number}: NaN and Infinity cannot be sent as JSON; a missing value is None") from error


def _unsendable(value: Any, pointer: str) -> Iterator[tuple[str, float]]:
    """Find numbers that JSON has not, by their JSON pointers."""
    if isinstance(value, float) and not math.isfinite(value):
        yield pointer, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _unsendable(inner, f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from _unsendable(inner, f"{pointer}/{i}")
    elif hasattr(value, "tolist"):
        yield from _unsendable(value.tolist(), pointer)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no JSON type")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)

"""When a request is sent again.

Every operation of this client may be repeated: GETs read; POSTs that create carry an `Idempotency-Key` that is kept; an equal
upload is the same dataset; orders (cancel, pause, resume) given twice are no error; previews and predictions leave nothing behind.
Only a POST through `Client.request` is sent again in no case but those in which the service has not acted on it.
"""

import itertools
import math
import random
import time
from dataclasses import dataclass

from holdout.errors import APIConnectionError, APIError, status_error
from holdout.requests import Answer, Call, Pause, Send, Steps

_FIRST_SECONDS = 0.5
_MOST_SECONDS = 8.0
_OBEYED_SECONDS = 60.0
"""A service that asks for more patience than this is not waited for."""
_PATIENCE_SECONDS = 60.0
_REPEATABLE = frozenset({408, 500, 502, 503, 504})


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How often a request is sent again at most, and how long each attempt may take (seconds)."""

    max_retries: int = 2
    timeout: float | None = 60.0

    def __post_init__(self) -> None:
        """Refuse what is no such number at once, not where it is first reckoned with."""
        if not isinstance(self.max_retries, int):
            raise TypeError(f"max_retries is a whole number, not {self.max_retries!r}")
        if self.timeout is not None and not isinstance(self.timeout, int | float):
            raise TypeError(f"timeout is a number of seconds, or None, not {self.timeout!r}")
        if self.max_retries < 0:
            raise ValueError(f"max_retries is a whole number from 0, not {self.max_retries!r}")
        if self.timeout is not None and not self.timeout > 0:
            raise ValueError(f"timeout is a number of seconds above 0, or None, not {self.timeout!r}")


def backoff(attempt: int) -> float:
    """Give the pause after an attempt, from 0: doubled each time, with up to a fifth off so that not all come back at once."""
    return min(_MOST_SECONDS, math.ldexp(_FIRST_SECONDS, attempt)) / _spread()


def _spread() -> float:
    return 1 + 0.25 * random.random()  # noqa: S311  it spreads load, it guards nothing


class Patience:
    """With a service that answered before and is away, as when it is started anew: for a minute."""

    def __init__(self) -> None:
        """Begin with a service that is there."""
        self._lost_at: float | None = None
        self._attempt = 0

    def reached(self) -> None:
        """Note that it is there."""
        self._lost_at, self._attempt = None, 0

    def pause(self, error: APIError) -> float:
        """Give the pause before it is tried again.

        Raises:
            APIError: it was away for too long; the one that was given.
        """
        now = time.monotonic()
        self._lost_at = self._lost_at or now
        if now - self._lost_at > _PATIENCE_SECONDS:
            raise error
        self._attempt += 1
        return backoff(self._attempt - 1)


def exchanged(call: Call, policy: Policy) -> Steps[Answer]:
    """Send a request, again where that helps; give an answer below 400.

    Raises:
        APIConnectionError: no answer came, to the last.
        APIStatusError: the answer was an error.
    """
    for attempt in itertools.count():
        is_last = attempt >= policy.max_retries
        try:
            answer: Answer = yield Send(call)
        except APIConnectionError as error:
            if is_last or (error.was_sent and not call.may_repeat):
                raise
            yield Pause(backoff(attempt))
            continue
        if answer.status < 400 or (call.method == "DELETE" and answer.status == 404 and attempt > 0):
            return answer  # what an attempt without an answer deleted is gone
        asked = answer.retry_after
        if is_last or not _helps(call, answer.status) or (asked is not None and asked > _OBEYED_SECONDS):
            raise status_error(answer.status, answer.content, answer.request_id)
        yield Pause(asked * _spread() if asked else backoff(attempt))
    raise AssertionError("unreachable")


def _helps(call: Call, status: int) -> bool:
    return status == 429 or (call.may_repeat and status in _REPEATABLE)

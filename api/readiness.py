"""What `/readyz` and `/metrics` ask: database, broker and artifacts, side by side and none for long.

A part that hangs must not hold requests, nor gather threads: each has one thread at a time, whoever asks meanwhile waits
for the same answer, and nobody waits longer than `PATIENCE_SECONDS`.
"""

import asyncio
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from store.artifacts import Artifacts
from store.engine import Database
from store.errors import DatabaseUnavailable
from store.facts import EndedJobs, Facts, ended_jobs, service_facts
from store.migrate import revisions

_log = structlog.get_logger()
PATIENCE_SECONDS = 1.5
_ARTIFACTS_SECONDS = 15.0
"""How long an answer of the artifacts' store holds: each look writes a file."""
_ENDED_REST = 20.0
"""How many times as long as counting ended jobs took nobody counts them again: where they are millions, it is a twentieth of one connection's time."""
_OK = "ok"
_T = TypeVar("_T")


class NotReady(RuntimeError):
    """A part does not do its work; the text says why, and names no host or password."""


class _Check(Generic[_T]):
    """A question that may take long, or for ever."""

    def __init__(self, name: str, ask: Callable[[], _T], keep_seconds: float = 0.0, rest: float = 0.0) -> None:
        """Prepare; a good answer holds for `keep_seconds`, and for `rest` times as long as it took."""
        self._name = name
        self._ask = ask
        self._keep_seconds = keep_seconds
        self._rest = rest
        self._lock = threading.Lock()
        self._last: Future[_T] | None = None
        self._keep_until = 0.0

    async def answer(self) -> tuple[_T | None, str]:
        """Give the answer and `ok`, or nothing and why."""
        asked = asyncio.wrap_future(self._begun())
        done, _ = await asyncio.wait([asked], timeout=PATIENCE_SECONDS)
        if not done:
            asked.cancel()  # this wait only: the question itself runs, and cannot be taken back
            return None, f"no answer within {PATIENCE_SECONDS} s"
        error = asked.exception()
        return (asked.result(), _OK) if error is None else (None, str(error))

    def _begun(self) -> Future[_T]:
        with self._lock:
            last = self._last
            if last is not None and (not last.done() or (last.exception() is None and time.monotonic() < self._keep_until)):
                return last
            self._last = Future()
            self._last.set_running_or_notify_cancel()
            threading.Thread(target=self._run, args=(self._last,), name=f"check-{self._name}", daemon=True).start()
            return self._last

    def _run(self, future: "Future[_T]") -> None:
        began = time.monotonic()
        try:
            found = self._ask()
        except (NotReady, DatabaseUnavailable) as error:
            future.set_exception(error)
        except Exception as error:  # noqa: BLE001  whatever it is, whoever waits must hear of it
            _log.exception("check_failed", part=self._name)
            future.set_exception(NotReady(f"the check failed with {type(error).__name__}"))
        else:
            ended = time.monotonic()
            self._keep_until = ended + max(self._keep_seconds, self._rest * (ended - began))
            future.set_result(found)


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """What was found. `checks` decide whether the service is ready; `warnings` are for whoever looks after it."""

    facts: Facts | None
    checks: dict[str, str]
    warnings: dict[str, str]

    @property
    def is_ready(self) -> bool:
        """Tell whether a job would be accepted and run."""
        return all(found == _OK for found in self.checks.values())

    @property
    def up(self) -> dict[str, bool]:
        """Tell of each part whether it does its work; nothing of those that only the database knows of while it is away."""
        found = {name: text == _OK for name, text in self.checks.items() if self.facts is not None or name != "worker"}
        return found if self.facts is None else found | {"sweeper": bool(self.facts.sweepers)}


class Checks:
    """The checks of one API process."""

    def __init__(self, db: Database, broker_url: str, artifacts: Artifacts) -> None:
        """Prepare; nothing is asked yet."""
        revisions()  # read now, not while somebody waits
        self._database = _Check("database", lambda: service_facts(db))
        self._broker = _Check("broker", lambda: _write_to_broker(broker_url))
        self._artifacts = _Check("artifacts", lambda: _write_artifact(artifacts), _ARTIFACTS_SECONDS)
        self._ended = _Check("ended jobs", lambda: ended_jobs(db), rest=_ENDED_REST)
        self._last_ended: EndedJobs | None = None

    async def look(self) -> Readiness:
        """Ask all of them at once."""
        (facts, database), (_, broker), (_, artifacts) = await asyncio.gather(
            self._database.answer(), self._broker.answer(), self._artifacts.answer()
        )
        checks = {"database": database, "broker": broker, "artifacts": artifacts, "worker": _OK}
        if facts is None:
            checks["worker"] = "not known without the database"
        elif not facts.workers:
            checks["worker"] = "no worker was heard of lately"
        return Readiness(facts=facts, checks=checks, warnings={} if facts is None else _warnings(facts))

    async def ended(self) -> EndedJobs | None:
        """Count ended jobs, or give the last count where counting takes longer than anybody waits; None before the first."""
        found, _ = await self._ended.answer()
        if found is not None:
            self._last_ended = found
        return self._last_ended


def _warnings(facts: Facts) -> dict[str, str]:
    """Say what keeps no job from being accepted and trained, and is to be mended all the same."""
    found = {}
    if not facts.sweepers:
        found["sweeper"] = "no sweeper was heard of lately: what workers lose is not sent again"
    if facts.is_ahead:
        found["database"] = "it was migrated by a newer release than this process is of"
    waiting = facts.queued_by_device["cuda"]
    if waiting and not facts.workers_by_device["cuda"]:
        found["devices"] = f"queued jobs that ask for cuda, which no live worker has: {waiting}"
    return found


def _write_to_broker(url: str) -> None:
    """Write a key that soon goes by itself: a broker that is full, or a copy of another, answers pings and takes no job."""
    options = {"socket_connect_timeout": 0.7, "socket_timeout": 0.7}
    try:
        with redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **options) as client:
            client.set("holdout:readyz", "1", ex=60)
    except redis.exceptions.ReadOnlyError as error:
        raise NotReady("the broker is a copy that takes no writes") from error
    except redis.exceptions.OutOfMemoryError as error:
        raise NotReady("the broker's memory is full") from error
    except (redis.AuthenticationError, redis.exceptions.NoPermissionError) as error:
        raise NotReady("the broker refuses this service's password or rights") from error
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise NotReady("the broker cannot be reached") from error
    except redis.RedisError as error:
        raise NotReady(f"the broker takes no writes ({str(error).split(' ', 1)[0]})") from error


def _write_artifact(artifacts: Artifacts) -> None:
    """Write a block of bytes: a full disk takes an empty file."""
    try:
        key = artifacts.write(f"readyz/{secrets.token_hex(8)}.probe", bytes(4096))
        artifacts.delete([key])
    except Exception as error:
        reason = type(error.__cause__ or error).__name__
        _log.warning("artifacts_unwritable", reason=reason)
        raise NotReady(f"the artifacts cannot be written ({reason})") from error

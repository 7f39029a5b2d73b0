"""Who a request comes from: keys verified against the database, and believed for a moment."""

import asyncio
import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from starlette.concurrency import run_in_threadpool

from api.settings import ApiSettings
from store.engine import Database
from store.keys import ApiKey, find_key, has_keys, hashed, parts_of
from store.owners import owns_dataset, owns_job
from store.tables import LOCAL

_BELIEVED_SECONDS = 1.5
"""How long an answer of the database is good; with the time of a query, what changed is noticed within 2 s."""
_REMEMBERED = 10_000
_NO_KEY = hashlib.sha256(b"").hexdigest()
_Found = TypeVar("_Found")


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who asks. What is made is `owner`'s; what is seen is that of `sees`, None is everybody's; `key_id` is None without a key."""

    owner: str
    sees: str | None
    key_id: str | None


NOBODY = Identity(owner=LOCAL, sees=None, key_id=None)
"""Whoever comes where no key is needed."""


@dataclass(frozen=True, kw_only=True)
class _Verified:
    identity: Identity
    hash: str
    at: float


class _Shared(Generic[_Found]):
    """One question at a time: who asks what is being asked waits for the same answer, or for the same failure."""

    def __init__(self) -> None:
        self._asked: dict[str, asyncio.Task[tuple[float, _Found]]] = {}

    async def get(self, name: str, ask: Callable[[], _Found]) -> tuple[float, _Found]:
        """Ask in a thread; give when it was asked, and the answer."""
        task = self._asked.get(name)
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            task = asyncio.create_task(_answered(ask))
            self._asked[name] = task
            task.add_done_callback(lambda done: self._forget(name, done))
        return await asyncio.shield(task)

    def _forget(self, name: str, task: asyncio.Task[tuple[float, _Found]]) -> None:
        if not task.cancelled():
            task.exception()  # told to whoever waits; nobody may
        if self._asked.get(name) is task:
            del self._asked[name]


async def _answered(ask: Callable[[], _Found]) -> tuple[float, _Found]:
    at = time.monotonic()
    return at, await run_in_threadpool(ask)


class Guard:
    """Decides who is let in, and what is whose. Nothing is believed for long, and nothing at all without the database."""

    def __init__(self, settings: ApiSettings, db: Database) -> None:
        """Remember nothing yet."""
        self._access = settings.access
        self._db = db
        self._has_keys = False
        self._had_none_at = -_BELIEVED_SECONDS
        self._verified: OrderedDict[str, _Verified] = OrderedDict()
        self._owned: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._key_questions: _Shared[ApiKey | None] = _Shared()
        self._questions: _Shared[bool] = _Shared()

    async def needs_key(self) -> bool:
        """Tell whether a key is required.

        Raises:
            DatabaseUnavailable: it cannot be told.
        """
        if self._access != "auto" or self._has_keys:  # keys are never deleted: what was required stays so
            return self._access != "open"
        if time.monotonic() - self._had_none_at < _BELIEVED_SECONDS:
            return False
        at, self._has_keys = await self._questions.get("", lambda: has_keys(self._db))
        self._had_none_at = at
        return self._has_keys

    def knows(self, key: str) -> bool:
        """Tell whether this very key was verified here before, if perhaps not lately."""
        parts = parts_of(key)
        known = None if parts is None else self._verified.get(parts[0])
        return parts is not None and known is not None and hmac.compare_digest(known.hash, hashed(parts[1]))

    async def verified(self, key: str) -> Identity | None:
        """Tell whose key this is; None if it is nobody's, whatever the reason.

        Raises:
            DatabaseUnavailable: it cannot be told.
        """
        parts = parts_of(key)
        if parts is None:
            return None
        key_id, given = parts[0], hashed(parts[1])
        known = self._verified.get(key_id)
        if known is not None and time.monotonic() - known.at < _BELIEVED_SECONDS and hmac.compare_digest(known.hash, given):
            return known.identity
        found = await self._looked_up(key_id)
        # An unknown id is compared as a known one is: time tells nothing.
        is_right = hmac.compare_digest(_NO_KEY if found is None else found.hash, given)
        return found.identity if is_right and found is not None else None

    async def still_lets_in(self, identity: Identity) -> bool:
        """Tell whether who was let in would be let in again: asked by streams, as long as they are open.

        Raises:
            DatabaseUnavailable: it cannot be told.
        """
        if identity.key_id is None or self._access == "open":
            return not await self.needs_key()
        known = self._verified.get(identity.key_id)
        if known is not None and time.monotonic() - known.at < _BELIEVED_SECONDS:
            return True
        return await self._looked_up(identity.key_id) is not None

    async def lets_see(self, identity: Identity, kind: str, thing_id: str) -> bool:
        """Tell whether a job or an upload is there for this client. Owners never change: a yes is remembered, a no is asked again.

        Raises:
            DatabaseUnavailable: it cannot be told.
        """
        owner = identity.sees
        if owner is None or (owner, thing_id) in self._owned:
            return True
        ask = owns_job if kind == "job" else owns_dataset
        is_owned = await run_in_threadpool(ask, self._db, owner, thing_id)
        if is_owned:
            self._owned[owner, thing_id] = None
            while len(self._owned) > _REMEMBERED:
                self._owned.popitem(last=False)
        return is_owned

    async def _looked_up(self, key_id: str) -> _Verified | None:
        """Read a key that is not revoked, and believe it for a moment. Whether its secret was sent is for the caller to compare."""
        at, found = await self._key_questions.get(key_id, lambda: find_key(self._db, key_id))
        if found is None or found.revoked_at is not None:
            self._verified.pop(key_id, None)
            return None
        known = _Verified(identity=Identity(owner=found.owner, sees=found.owner, key_id=key_id), hash=found.hash, at=at)
        self._verified[key_id] = known
        self._verified.move_to_end(key_id)
        while len(self._verified) > _REMEMBERED:
            self._verified.popitem(last=False)
        return known

"""Questions to the database that are put together: however many requests wait, one turn answers them all."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

_AT_ONCE = 4
"""Turns that run at once. One is enough, unless the database hangs."""
_PATIENCE_SECONDS = 0.1
"""How long requests wait for the turn before theirs; then theirs is run beside it."""
_Asked = TypeVar("_Asked", bound=Hashable)
_Found = TypeVar("_Found")


class Together(Generic[_Asked, _Found]):
    """Asks in turns. A request that comes while one runs is answered by the next one: by nothing older than itself."""

    def __init__(self, ask: Callable[[tuple[_Asked, ...]], Mapping[_Asked, _Found]]) -> None:
        """Ask nothing yet; `ask` answers all that it can, in a thread."""
        self._ask = ask
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="together")
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns[_Asked, _Found]] = WeakKeyDictionary()

    async def get(self, asked: _Asked) -> _Found | None:
        """Give the answer; None if there is none.

        Raises:
            Exception: whatever `ask` raised, to all whom that turn was to answer.
        """
        loop = asyncio.get_running_loop()
        turns = self._turns.get(loop)
        if turns is None:  # an application may be served by several loops
            turns = self._turns[loop] = _Turns(loop, self._threads, self._ask)
        # Shielded: who goes away must not take the others' answer along.
        return (await asyncio.shield(turns.next(asked))).get(asked)


class Shared(Generic[_Found]):
    """One question that many requests ask at once. Who comes while it is answered shares the next answer: nothing older than itself."""

    def __init__(self, read: Callable[[], Awaitable[_Found]]) -> None:
        """Ask nothing yet."""
        self._read = read
        self._running: asyncio.Task[_Found] | None = None
        self._next: asyncio.Task[_Found] | None = None

    async def get(self) -> _Found:
        """Give the answer.

        Raises:
            Exception: whatever `read` raised, to those who shared this answer.
        """
        loop, asked = asyncio.get_running_loop(), self._next
        if asked is None or asked.get_loop() is not loop:
            running = self._running
            before = running if running is not None and running.get_loop() is loop else None
            asked = self._next = loop.create_task(self._turn(before))
            asked.add_done_callback(_seen)
        return await asyncio.shield(asked)

    async def _turn(self, before: "asyncio.Task[_Found] | None") -> _Found:
        """Answer once the answer before is there, or late."""
        if before is not None and not before.done():
            await asyncio.wait({before}, timeout=_PATIENCE_SECONDS)
        own = self._running = self._next
        self._next = None
        try:
            return await self._read()
        finally:
            if self._running is own:  # it holds its answer, and pages that are remembered are many
                self._running = None


class _Turns(Generic[_Asked, _Found]):
    """The turns of one event loop: those that run, and the one that gathers questions."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, threads: Executor, ask: Callable[[tuple[_Asked, ...]], Mapping[_Asked, _Found]]
    ) -> None:
        self._loop = loop
        self._threads = threads
        self._ask = ask
        self._running = 0
        self._asked: dict[_Asked, None] = {}
        self._answer: asyncio.Future[Mapping[_Asked, _Found]] | None = None

    def next(self, asked: _Asked) -> "asyncio.Future[Mapping[_Asked, _Found]]":
        """Let the next turn ask this too; give its answers to come."""
        self._asked[asked] = None
        if self._answer is None:
            self._answer = self._loop.create_future()
            self._answer.add_done_callback(_seen)
            if self._running:
                self._loop.call_later(_PATIENCE_SECONDS, self._start)
            else:
                self._loop.call_soon(self._start)
        return self._answer

    def _start(self) -> None:
        if self._answer is None or self._running >= _AT_ONCE:
            return
        answer, asked = self._answer, tuple(self._asked)
        self._answer, self._asked = None, {}
        self._running += 1
        done = self._loop.run_in_executor(self._threads, self._ask, asked)
        done.add_done_callback(lambda done: self._end(answer, done))

    def _end(self, answer: "asyncio.Future[Mapping[_Asked, _Found]]", done: "asyncio.Future[Mapping[_Asked, _Found]]") -> None:
        self._running -= 1
        self._start()
        if answer.done() or done.cancelled():
            return
        error = done.exception()
        if error is None:
            answer.set_result(done.result())
        else:
            answer.set_exception(error)


def _seen(answer: "asyncio.Future[Any]") -> None:
    if not answer.cancelled():
        answer.exception()  # told to whoever waits; nobody may

"""Steps done over HTTP, synchronously and asynchronously: whatever differs between the two clients."""

import asyncio
import contextlib
import dataclasses
import inspect
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeVar

import httpx2

from holdout.errors import APIError
from holdout.requests import Answer, Ask, Call, Give, Hear, Listen, Pause, Send, Steps, Tell
from holdout.retries import Policy, exchanged
from holdout.sending import begun, explained, options, place

Result = TypeVar("Result")


class Wire:
    """Does steps with a synchronous HTTP client."""

    def __init__(self, http: httpx2.Client, policy: Policy) -> None:
        """Send by `http`, again as `policy` says."""
        self.http = http
        self.policy = policy

    def run(self, steps: Steps[Result]) -> Result:
        """Do an operation; give its result."""
        result: list[Result] = []
        for _ in self._done(steps, contextlib.ExitStack(), result):
            raise AssertionError("an operation that gives things is iterated over")
        return result[0]

    def iterate(self, steps: Steps[None]) -> Iterator[Any]:
        """Do an operation that gives things one by one. Leaving it early closes what it has open."""
        with contextlib.ExitStack() as opened:
            yield from self._done(steps, opened, [])

    def _done(self, steps: Steps[Any], opened: contextlib.ExitStack, result: list[Any]) -> Iterator[Any]:
        heard: list[Iterator[httpx2.ServerSentEvent]] = []
        outcome: Any = None
        thrown: Exception | None = None
        with contextlib.closing(steps):
            while True:
                try:
                    step = steps.send(outcome) if thrown is None else steps.throw(thrown)
                except StopIteration as stop:
                    result.append(stop.value)
                    return
                outcome = thrown = None
                try:
                    if isinstance(step, Give):
                        yield step.item
                    else:
                        outcome = self._do(step, opened, heard)
                except APIError as error:
                    thrown = error

    def _do(self, step: Any, opened: contextlib.ExitStack, heard: list[Iterator[httpx2.ServerSentEvent]]) -> Any:
        match step:
            case Ask(call):
                return self.run(exchanged(call, self.policy))
            case Send(call):
                return self._send(call)
            case Pause(seconds):
                return time.sleep(seconds)
            case Tell(function, argument):
                return function(argument)
            case Listen(call):
                opened.close()
                with explained(self.http):
                    sent = options(call, self.policy, opened)
                    found = opened.enter_context(self.http.stream(call.method, call.path, **sent))
                    answer = begun(found, call)
                    content = b"" if found.status_code == 200 else found.read()
                heard[:] = [iter(httpx2.EventSource(found))]
                return dataclasses.replace(answer, content=content)
            case Hear():
                with explained(self.http):
                    return next(heard[0], None)
        raise AssertionError(step)

    def _send(self, call: Call) -> Answer:
        with explained(self.http), contextlib.ExitStack() as files:
            sent = options(call, self.policy, files)
            with self.http.stream(call.method, call.path, **sent) as found:
                answer = begun(found, call)
                if call.save_to is None or found.status_code >= 300:
                    return dataclasses.replace(answer, content=found.read())
                with place(call.save_to, found) as (file, path):
                    for chunk in found.iter_bytes():
                        file.write(chunk)
                return dataclasses.replace(answer, saved_to=path)


class AsyncWire:
    """Does steps with an asynchronous HTTP client."""

    def __init__(self, http: httpx2.AsyncClient, policy: Policy) -> None:
        """Send by `http`, again as `policy` says."""
        self.http = http
        self.policy = policy

    async def run(self, steps: Steps[Result]) -> Result:
        """Do an operation; give its result."""
        result: list[Result] = []
        async for _ in self._done(steps, contextlib.AsyncExitStack(), result):
            raise AssertionError("an operation that gives things is iterated over")
        return result[0]

    async def iterate(self, steps: Steps[None]) -> AsyncIterator[Any]:
        """Do an operation that gives things one by one. Leaving it early, by `aclose`, closes what it has open."""
        async with contextlib.AsyncExitStack() as opened:
            async for item in self._done(steps, opened, []):
                yield item

    async def _done(self, steps: Steps[Any], opened: contextlib.AsyncExitStack, result: list[Any]) -> AsyncIterator[Any]:
        heard: list[AsyncIterator[httpx2.ServerSentEvent]] = []
        outcome: Any = None
        thrown: Exception | None = None
        with contextlib.closing(steps):
            while True:
                try:
                    step = steps.send(outcome) if thrown is None else steps.throw(thrown)
                except StopIteration as stop:
                    result.append(stop.value)
                    return
                outcome = thrown = None
                try:
                    if isinstance(step, Give):
                        yield step.item
                    else:
                        outcome = await self._do(step, opened, heard)
                except APIError as error:
                    thrown = error

    async def _do(self, step: Any, opened: contextlib.AsyncExitStack, heard: list[AsyncIterator[httpx2.ServerSentEvent]]) -> Any:
        match step:
            case Ask(call):
                return await self.run(exchanged(call, self.policy))
            case Send(call):
                return await self._send(call)
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case Tell(function, argument):
                told = function(argument)
                return await told if inspect.isawaitable(told) else told
            case Listen(call):
                await opened.aclose()
                with explained(self.http):
                    sent = options(call, self.policy, opened)
                    found = await opened.enter_async_context(self.http.stream(call.method, call.path, **sent))
                    answer = begun(found, call)
                    content = b"" if found.status_code == 200 else await found.aread()
                heard[:] = [aiter(httpx2.EventSource(found))]
                return dataclasses.replace(answer, content=content)
            case Hear():
                with explained(self.http):
                    return await anext(heard[0], None)
        raise AssertionError(step)

    async def _send(self, call: Call) -> Answer:
        with explained(self.http), contextlib.ExitStack() as files:
            sent = options(call, self.policy, files)
            async with self.http.stream(call.method, call.path, **sent) as found:
                answer = begun(found, call)
                if call.save_to is None or found.status_code >= 300:
                    return dataclasses.replace(answer, content=await found.aread())
                with place(call.save_to, found) as (file, path):
                    async for chunk in found.aiter_bytes():
                        file.write(chunk)
                return dataclasses.replace(answer, saved_to=path)

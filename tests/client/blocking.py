"""The asynchronous client behind synchronous calls, so that one test holds both clients to the same."""

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any, Self

from holdout import AsyncClient, AsyncJob
from holdout.async_jobs import AsyncJobs
from holdout.datasets import AsyncDatasets


class Blocking:
    """Stands for an asynchronous object: what is to be awaited is awaited, what is iterated over is run step by step."""

    def __init__(self, thing: Any, runner: asyncio.Runner) -> None:
        self.thing = thing
        self.runner = runner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.thing, name)
        if not inspect.ismethod(found):
            return self.settled(found)
        return lambda *arguments, **named: self.settled(found(*arguments, **named))

    def __getitem__(self, name: str) -> Any:
        return self.thing[name]

    def __repr__(self) -> str:
        return repr(self.thing)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def settled(self, value: Any) -> Any:
        if inspect.isawaitable(value):
            return self.settled(self.runner.run(_awaited(value)))
        if inspect.isasyncgen(value):
            return self._stepped(value)
        return Blocking(value, self.runner) if isinstance(value, AsyncClient | AsyncJob | AsyncJobs | AsyncDatasets) else value

    def _stepped(self, steps: Any) -> Iterator[Any]:
        try:
            while True:
                try:
                    yield self.settled(self.runner.run(_awaited(anext(steps))))
                except StopAsyncIteration:
                    return
        finally:
            self.runner.run(_awaited(steps.aclose()))


async def _awaited(value: Any) -> Any:
    return await value

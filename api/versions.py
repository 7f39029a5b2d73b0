"""Versions of jobs, asked for together: however many polls wait, one statement answers them all."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from weakref import WeakKeyDictionary

from jobs.states import JobStatus
from store.engine import Database
from store.errors import NotFound
from store.jobs import job_versions

_AT_ONCE = 8
"""Statements that run at once. One is enough, unless the database hangs."""
_PATIENCE_SECONDS = 0.1
"""How long polls wait for the statement before theirs; then theirs is run beside it."""

Version = tuple[int, JobStatus]
_Answers = dict[str, Version]


class Versions:
    """Reads versions. A poll that comes while a statement runs is answered by the next one: by nothing older than itself."""

    def __init__(self, db: Database) -> None:
        """Ask nothing yet."""
        self._db = db
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="versions")
        self._gathered: WeakKeyDictionary[asyncio.AbstractEventLoop, _Gathered] = WeakKeyDictionary()

    async def of(self, job_id: str) -> Version:
        """Give a job's version and status.

        Raises:
            NotFound: no job has this id.
            DatabaseUnavailable: it cannot be told.
        """
        loop = asyncio.get_running_loop()
        gathered = self._gathered.get(loop)
        if gathered is None:  # one for each loop: an application may be served by several
            gathered = self._gathered[loop] = _Gathered(loop, self._threads, self._ask)
        # Shielded: who goes away must not take the others' answer along.
        found = (await asyncio.shield(gathered.answer_to(job_id))).get(job_id)
        if found is None:
            raise NotFound(job_id)
        return found

    def _ask(self, job_ids: tuple[str, ...]) -> _Answers:
        return job_versions(self._db, job_ids)


class _Gathered:
    """What is asked on one event loop: the statements that run, and what the next one is to ask."""

    def __init__(self, loop: asyncio.AbstractEventLoop, threads: Executor, ask: Callable[[tuple[str, ...]], _Answers]) -> None:
        self._loop = loop
        self._threads = threads
        self._ask = ask
        self._running = 0
        self._job_ids: set[str] = set()
        self._answer: asyncio.Future[_Answers] | None = None

    def answer_to(self, job_id: str) -> "asyncio.Future[_Answers]":
        """Let the next statement ask for this job too; give its answer to come."""
        self._job_ids.add(job_id)
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
        answer, job_ids = self._answer, tuple(self._job_ids)
        self._answer, self._job_ids = None, set()
        self._running += 1
        asked = self._loop.run_in_executor(self._threads, self._ask, job_ids)
        asked.add_done_callback(lambda done: self._end(answer, done))

    def _end(self, answer: "asyncio.Future[_Answers]", done: "asyncio.Future[_Answers]") -> None:
        self._running -= 1
        self._start()
        if answer.done() or done.cancelled():
            return
        error = done.exception()
        if error is None:
            answer.set_result(done.result())
        else:
            answer.set_exception(error)


def _seen(answer: "asyncio.Future[_Answers]") -> None:
    if not answer.cancelled():
        answer.exception()  # told to whoever waits; nobody may

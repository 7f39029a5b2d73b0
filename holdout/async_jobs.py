"""`client.jobs` of an asynchronous client: what `holdout/jobs.py` has, to be awaited."""

import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from holdout import operations, remedies
from holdout.curves import Curves
from holdout.events import Event, followed
from holdout.job import AsyncJob, ModelFormat
from holdout.records import Page, Record
from holdout.requests import Steps, called
from holdout.wire import AsyncWire

Spec = Mapping[str, Any]
Instant = dt.datetime | str
Statuses = str | Sequence[str]
Order = Literal["created_at", "-created_at"]
PictureKind = Literal["png", "svg"]


class AsyncJobs:
    """The jobs of a service."""

    def __init__(self, wire: AsyncWire) -> None:
        """Ask over this wire."""
        self._wire = wire

    async def submit(self, spec: Spec | None = None, /, *, idempotency_key: str | None = None, **fields: Any) -> AsyncJob:
        """Submit a job: a spec, fields of one, or both, where fields take the place of the spec's. Only `dataset` is required.

        Raises:
            UnprocessableEntityError: the spec is refused; `errors` points at what is wrong.
            RateLimitError: too many jobs wait.
        """
        return self._job(await self._wire.run(operations.submitted(spec, fields, idempotency_key)))

    create = submit

    async def preview(self, spec: Spec | None = None, /, **fields: Any) -> Record:
        """Ask what a job would be, creating nothing: defaults, divisions, layers, fits, steps, warnings."""
        return await self._wire.run(operations.previewed(spec, fields))

    async def get(self, job_id: str) -> AsyncJob:
        """Read a job."""
        return self._job(await self._wire.run(operations.job_read(job_id)))

    def list(
        self,
        *,
        status: Statuses | None = None,
        plan: str | None = None,
        dataset: str | None = None,
        name: str | None = None,
        created_after: Instant | None = None,
        created_before: Instant | None = None,
        metadata: Mapping[str, str] | None = None,
        sort: Order = "-created_at",
        fields: str | Sequence[str] | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> AsyncIterator[AsyncJob]:
        """Give jobs, newest first, page after page of `limit` as they are come to. `name` is a part of the name; `fields` those that are read, listed or with commas between."""
        query: dict[str, Any] = {
            "status": status,
            "plan": plan,
            "dataset": dataset,
            "name": name,
            "created_after": created_after,
            "created_before": created_before,
        }
        query |= {"metadata": metadata, "sort": sort, "fields": fields, "limit": limit, "cursor": cursor}
        return self._jobs(operations.paged("jobs", operations.job_query(query)))

    async def page(self, **query: Any) -> Page[AsyncJob]:
        """Read one page; takes what `list` takes."""
        found = await self._wire.run(operations.page("jobs", operations.job_query(query)))
        return Page(items=[self._job(one) for one in found.items], next_cursor=found.next_cursor, has_more=found.has_more)

    async def wait(
        self,
        job_id: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  it is the job's, and cancels nothing
        poll_interval: float | None = None,
        on_update: Callable[[AsyncJob], Awaitable[Any] | None] | None = None,
    ) -> AsyncJob:
        """Wait until a job has succeeded. See `Job.wait`."""
        return await self._job({"id": job_id}).wait(timeout, poll_interval=poll_interval, on_update=on_update)

    async def until_ended(
        self,
        job_id: str,
        *,
        timeout: float | None,  # noqa: ASYNC109  it is the job's, and cancels nothing
        poll_interval: float | None,
        tell: Callable[[dict[str, Any]], Any] | None,
    ) -> tuple[dict[str, Any], bool]:
        """Wait for a job's end, whichever it is; give its fields, and whether it came in time."""
        return await self._wire.run(operations.waited(job_id, timeout, poll_interval, tell))

    async def cancel(self, job_id: str) -> AsyncJob:
        """Stop a job within an epoch; what it has come to is kept."""
        return self._job(await self._wire.run(operations.ordered(job_id, "cancel")))

    async def pause(self, job_id: str) -> AsyncJob:
        """Let a job stand within an epoch."""
        return self._job(await self._wire.run(operations.ordered(job_id, "pause")))

    async def resume(self, job_id: str) -> AsyncJob:
        """Let a paused job go on."""
        return self._job(await self._wire.run(operations.ordered(job_id, "resume")))

    async def extend(self, job_id: str, max_epochs: int, *, idempotency_key: str | None = None, **fields: Any) -> AsyncJob:
        """Make a new job that goes on where this one ended, to so many epochs in all; `time_limit_seconds` may be given anew."""
        return self._job(await self._wire.run(operations.extended(job_id, {"max_epochs": max_epochs, **fields}, idempotency_key)))

    async def delete(self, job_id: str) -> None:
        """Delete a job that has ended, with all that it left."""
        await self._wire.run(operations.done(called("DELETE", "jobs", job_id)))

    async def fits(self, job_id: str) -> Sequence[Record]:
        """Read a job's fits."""
        return await self._wire.run(operations.listed(called("GET", "jobs", job_id, "fits")))

    async def what_helps(self, job_id: str, *, fit: int | None = None) -> dict[str, Any]:
        """Give a spec, ready to be submitted, that tells which of the changes that a fit's diagnosis suggests helps.

        It is a comparison of them with the fit as it is: the job's spec with what its plan set otherwise for this fit. `fit` is the fit's
        number; the only one, if it is not given.

        Raises:
            NothingToTry: nothing is suggested: the fit is good, or has no diagnosis.
            ValueError: the job has several fits, and none is named.
        """
        return await self._wire.run(remedies.what_helps(job_id, fit))

    async def result(self, job_id: str) -> Record:
        """Read what a job concluded.

        Raises:
            ConflictError: it has no result.
        """
        return await self._wire.run(operations.recorded(called("GET", "jobs", job_id, "result")))

    async def curves(
        self,
        job_id: str,
        *,
        fits: operations.Numbers | None = None,
        after_version: int | None = None,
        max_points: int | None = None,
        smoothing: float | None = None,
    ) -> Curves:
        """Read curves: of all fits or those numbered so, whole or what is new after a version."""
        query = {"after_version": after_version, "max_points": max_points, "smoothing": smoothing}
        return await self._wire.run(operations.read_curves(job_id, fits, **query))

    async def curves_csv(self, job_id: str, path: str | Path | None = None, *, fits: operations.Numbers | None = None) -> bytes | Path:
        """Download every epoch's figures as CSV: to a file or into a folder, of which the path is given, or else as bytes."""
        return await self._wire.run(operations.received(operations.csv_call(job_id, fits, path)))

    def events(self, job_id: str, after_version: int = 0) -> AsyncIterator[Event]:
        """Follow a job until it has ended, by a stream that is taken up where it breaks off, or by polling where there is none."""
        return self._wire.iterate(followed(job_id, after_version))

    async def model(
        self,
        job_id: str,
        path: str | Path | None = None,
        *,
        format: ModelFormat | None = None,  # noqa: A002  the API's word
        fit: int | None = None,
    ) -> bytes | Path:
        """Download the kept model: to a file or into a folder, of which the path is given, or else as bytes.

        Its format is what the file's name ends with, if it is not given, and safetensors where nothing says it.
        """
        call = operations.model_call(job_id, format, fit, path)
        return await self._wire.run(operations.received(call))

    async def report(self, job_id: str, path: str | Path | None = None, *, kind: PictureKind | None = None) -> bytes | Path:
        """Download the picture of what a job came to, as its file's name says: png or svg."""
        call = operations.report_call(job_id, kind, path)
        return await self._wire.run(operations.received(call))

    async def predict(self, job_id: str, rows: Any, *, fit: int | None = None, members: bool = False) -> Record:
        """Let a job's model answer for raw rows."""
        return await self._wire.run(operations.predicted(job_id, rows, fit=fit, members=members or None))

    async def _jobs(self, steps: Steps[None]) -> AsyncIterator[AsyncJob]:
        async for one in self._wire.iterate(steps):
            yield self._job(one)

    def _job(self, fields: Mapping[str, Any]) -> AsyncJob:
        return AsyncJob(fields, self)

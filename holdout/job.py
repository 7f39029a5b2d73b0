"""A job as an object: its fields by name, what may be done with it, and how a notebook shows it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from holdout.curves import Curves
from holdout.errors import HoldoutError, JobCancelled, JobFailed, WaitTimeout
from holdout.events import Event
from holdout.notebook import job_html
from holdout.operations import ENDED
from holdout.records import Record

if TYPE_CHECKING:
    import pandas as pd

    from holdout.async_jobs import AsyncJobs
    from holdout.jobs import Jobs

ModelFormat = Literal["safetensors", "onnx", "zip"]
_SPARK_POINTS = 120


class JobFields(Record):
    """The fields of a job, as of when it was last read."""

    id: str
    name: str | None
    status: Literal["queued", "running", "paused", "succeeded", "failed", "cancelled"]
    phase: str
    progress: float
    plan: str
    dataset: str
    warnings: list[str]
    version: int
    num_fits: int
    result: Any
    failure: Any

    _curves: Curves | None = None

    @property
    def has_ended(self) -> bool:
        """Whether its status is final."""
        return self.status in ENDED

    def __repr__(self) -> str:
        """Say how it stands."""
        name = self.get("name")
        told = [] if name is None else [repr(name)]
        told += [str(self["status"])] if "status" in self else []
        told += [f"{self['progress']:.0%}"] if "progress" in self else []
        return f"<{type(self).__name__} {self['id']}: {', '.join(told)}>"

    def __eq__(self, other: object) -> bool:
        """Take a job as itself, however it stood when it was read."""
        return self["id"] == other["id"] if isinstance(other, JobFields) else NotImplemented

    def __hash__(self) -> int:
        """Hash what is compared."""
        return hash(self["id"])

    def __getstate__(self) -> dict[str, Any]:
        """Leave the client, and so its key, out of what is pickled: fields are kept, asking again is not."""
        return {"_fields": self._fields, "_given": None}

    def _renewed(self, fields: Mapping[str, Any]) -> Self:
        self._fields = dict(fields)
        return self

    def _concluded(self, fields: Mapping[str, Any], *, in_time: bool) -> Self:
        self._renewed(fields)
        if not in_time:
            raise WaitTimeout(self)
        if self.status == "failed":
            raise JobFailed(self)
        if self.status == "cancelled":
            raise JobCancelled(self)
        return self


class Job(JobFields):
    """A job of a `Client`. Methods that change it give it back as it is then."""

    def __init__(self, fields: Mapping[str, Any], jobs: "Jobs | None" = None) -> None:
        """Stand for a job; `jobs` is whom to ask about it."""
        super().__init__(fields)
        self._given = jobs

    @property
    def _jobs(self) -> "Jobs":
        if self._given is None:
            raise HoldoutError("this job came out of a pickle and knows no client: client.jobs.get(job.id)")
        return self._given

    def refresh(self) -> Self:
        """Read it again."""
        return self._renewed(self._jobs.get(self.id))

    def wait(
        self, timeout: float | None = None, *, poll_interval: float | None = None, on_update: Callable[["Job"], Any] | None = None
    ) -> Self:
        """Wait until it has succeeded. `timeout` and `poll_interval` are in seconds; `on_update` is told of each change seen.

        Raises:
            JobFailed: it failed.
            JobCancelled: it was cancelled.
            WaitTimeout: it has not ended in time. It goes on, unless it is paused.
        """
        tell = None if on_update is None else lambda fields: on_update(self._renewed(fields))
        fields, in_time = self._jobs.until_ended(self.id, timeout=timeout, poll_interval=poll_interval, tell=tell)
        return self._concluded(fields, in_time=in_time)

    def curves(self) -> "pd.DataFrame":
        """Read its curves as a tidy pandas frame: job, fit, label, epoch, train_loss, val_loss, generalization_gap, ...

        Raises:
            ImportError: pandas is not installed; `client.jobs.curves(job.id)` needs none.
        """
        return self._jobs.curves(self.id).to_pandas()

    def fits(self) -> Sequence[Record]:
        """Read its fits: best and last figures, gap, diagnosis, final evaluation."""
        return self._jobs.fits(self.id)

    def what_helps(self, *, fit: int | None = None) -> dict[str, Any]:
        """Give a spec, ready to be submitted, that tells which of the changes that a fit's diagnosis suggests helps.

        Raises:
            NothingToTry: nothing is suggested.
            ValueError: it has several fits, and none is named.
        """
        return self._jobs.what_helps(self.id, fit=fit)

    def events(self, after_version: int = 0) -> Iterator[Event]:
        """Follow it: every change of status and every epoch, until it has ended."""
        return self._jobs.events(self.id, after_version)

    def predict(self, rows: Any, *, fit: int | None = None, members: bool = False) -> Record:
        """Let its model answer for raw rows: a list of objects or lists, or a frame of pandas."""
        return self._jobs.predict(self.id, rows, fit=fit, members=members)

    def download_model(self, path: str | Path, format: ModelFormat | None = None, *, fit: int | None = None) -> Path:  # noqa: A002  the API's word
        """Save its model to a file, as whose name ends (.safetensors, .onnx, .zip), or into a folder; give the file."""
        found = self._jobs.model(self.id, path, format=format, fit=fit)
        assert isinstance(found, Path)
        return found

    def report(self, path: str | Path) -> Path:
        """Save the picture of what it came to; .png or .svg."""
        found = self._jobs.report(self.id, path)
        assert isinstance(found, Path)
        return found

    def cancel(self) -> Self:
        """Stop it within an epoch; what it has come to is kept."""
        return self._renewed(self._jobs.cancel(self.id))

    def pause(self) -> Self:
        """Let it stand within an epoch."""
        return self._renewed(self._jobs.pause(self.id))

    def resume(self) -> Self:
        """Let it go on."""
        return self._renewed(self._jobs.resume(self.id))

    def extend(self, max_epochs: int, **fields: Any) -> "Job":
        """Give a new job that goes on where this one ended, to so many epochs in all."""
        return self._jobs.extend(self.id, max_epochs, **fields)

    def delete(self) -> None:
        """Delete it, once it has ended, with all that it left."""
        self._jobs.delete(self.id)

    def _repr_html_(self) -> str:
        """Show status, progress, and the losses as a small line. That they cannot be read keeps nothing else from being shown."""
        if self._curves is None or self._curves.version != self.version:
            try:
                self._curves = self._jobs.curves(self.id, max_points=_SPARK_POINTS)
            except HoldoutError:
                self._curves = None
        return job_html(self, self._curves)


class AsyncJob(JobFields):
    """A job of an `AsyncClient`. Methods that change it give it back as it is then."""

    def __init__(self, fields: Mapping[str, Any], jobs: "AsyncJobs | None" = None) -> None:
        """Stand for a job; `jobs` is whom to ask about it."""
        super().__init__(fields)
        self._given = jobs

    @property
    def _jobs(self) -> "AsyncJobs":
        if self._given is None:
            raise HoldoutError("this job came out of a pickle and knows no client: await client.jobs.get(job.id)")
        return self._given

    async def refresh(self) -> Self:
        """Read it again."""
        return self._renewed(await self._jobs.get(self.id))

    async def wait(
        self,
        timeout: float | None = None,  # noqa: ASYNC109  it is the job's, and cancels nothing
        *,
        poll_interval: float | None = None,
        on_update: Callable[["AsyncJob"], Awaitable[Any] | None] | None = None,
    ) -> Self:
        """Wait until it has succeeded; `on_update` may be a coroutine function. See `Job.wait`."""
        tell = None if on_update is None else lambda fields: on_update(self._renewed(fields))
        fields, in_time = await self._jobs.until_ended(self.id, timeout=timeout, poll_interval=poll_interval, tell=tell)
        return self._concluded(fields, in_time=in_time)

    async def curves(self) -> "pd.DataFrame":
        """Read its curves as a tidy pandas frame. See `Job.curves`."""
        self._curves = await self._jobs.curves(self.id)
        return self._curves.to_pandas()

    async def fits(self) -> Sequence[Record]:
        """Read its fits: best and last figures, gap, diagnosis, final evaluation."""
        return await self._jobs.fits(self.id)

    async def what_helps(self, *, fit: int | None = None) -> dict[str, Any]:
        """Give a spec that tells which of the changes that a fit's diagnosis suggests helps. See `Job.what_helps`."""
        return await self._jobs.what_helps(self.id, fit=fit)

    def events(self, after_version: int = 0) -> AsyncIterator[Event]:
        """Follow it: every change of status and every epoch, until it has ended."""
        return self._jobs.events(self.id, after_version)

    async def predict(self, rows: Any, *, fit: int | None = None, members: bool = False) -> Record:
        """Let its model answer for raw rows: a list of objects or lists, or a frame of pandas."""
        return await self._jobs.predict(self.id, rows, fit=fit, members=members)

    async def download_model(self, path: str | Path, format: ModelFormat | None = None, *, fit: int | None = None) -> Path:  # noqa: A002  the API's word
        """Save its model to a file, as whose name ends (.safetensors, .onnx, .zip), or into a folder; give the file."""
        found = await self._jobs.model(self.id, path, format=format, fit=fit)
        assert isinstance(found, Path)
        return found

    async def report(self, path: str | Path) -> Path:
        """Save the picture of what it came to; .png or .svg."""
        found = await self._jobs.report(self.id, path)
        assert isinstance(found, Path)
        return found

    async def cancel(self) -> Self:
        """Stop it within an epoch; what it has come to is kept."""
        return self._renewed(await self._jobs.cancel(self.id))

    async def pause(self) -> Self:
        """Let it stand within an epoch."""
        return self._renewed(await self._jobs.pause(self.id))

    async def resume(self) -> Self:
        """Let it go on."""
        return self._renewed(await self._jobs.resume(self.id))

    async def extend(self, max_epochs: int, **fields: Any) -> "AsyncJob":
        """Give a new job that goes on where this one ended, to so many epochs in all."""
        return await self._jobs.extend(self.id, max_epochs, **fields)

    async def delete(self) -> None:
        """Delete it, once it has ended, with all that it left."""
        await self._jobs.delete(self.id)

    def _repr_html_(self) -> str:
        """Show status, progress, and the losses that were read last: nothing can be awaited here."""
        return job_html(self, self._curves)

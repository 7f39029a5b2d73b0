"""`client.datasets`, for both clients."""

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from holdout import operations
from holdout.records import Record
from holdout.requests import Steps, called
from holdout.wire import AsyncWire, Wire

Source = str | Path | bytes | BinaryIO | Any
"""A path, bytes, an open file, or a frame of pandas."""


class Datasets:
    """The datasets of a service: built in and uploaded."""

    def __init__(self, wire: Wire) -> None:
        """Ask over this wire."""
        self._wire = wire

    def upload(self, source: Source, schema: Mapping[str, Any] | None = None, *, file_name: str | None = None, **fields: Any) -> Record:
        """Upload a file, or a frame of pandas, with its schema, whose fields may be given by name: `upload("p.csv", target="species")`.

        Equal content under an equal schema is one dataset: the one that was there is given.

        Raises:
            UnprocessableEntityError: it cannot become a dataset; `errors` says why.
        """
        return self._wire.run(operations.uploaded(source, schema, fields, file_name))

    def get(self, dataset_id: str) -> Record:
        """Read what is known of a dataset; of an upload its profile too."""
        return self._wire.run(operations.recorded(called("GET", "datasets", dataset_id)))

    def list(self, *, limit: int = 100) -> Iterator[Record]:
        """Give the datasets that can be used: built-in ones, then uploads, newest first, page after page."""
        return map(Record, self._wire.iterate(operations.paged("datasets", {"limit": limit})))

    def delete(self, dataset_id: str) -> None:
        """Delete an upload that no job uses."""
        self._wire.run(operations.done(called("DELETE", "datasets", dataset_id)))


class AsyncDatasets:
    """The datasets of a service: built in and uploaded."""

    def __init__(self, wire: AsyncWire) -> None:
        """Ask over this wire."""
        self._wire = wire

    async def upload(
        self, source: Source, schema: Mapping[str, Any] | None = None, *, file_name: str | None = None, **fields: Any
    ) -> Record:
        """Upload a file, or a frame of pandas, with its schema. See `Datasets.upload`."""
        return await self._wire.run(operations.uploaded(source, schema, fields, file_name))

    async def get(self, dataset_id: str) -> Record:
        """Read what is known of a dataset; of an upload its profile too."""
        return await self._wire.run(operations.recorded(called("GET", "datasets", dataset_id)))

    def list(self, *, limit: int = 100) -> AsyncIterator[Record]:
        """Give the datasets that can be used: built-in ones, then uploads, newest first, page after page."""
        return self._records(operations.paged("datasets", {"limit": limit}))

    async def delete(self, dataset_id: str) -> None:
        """Delete an upload that no job uses."""
        await self._wire.run(operations.done(called("DELETE", "datasets", dataset_id)))

    async def _records(self, steps: Steps[None]) -> AsyncIterator[Record]:
        async for one in self._wire.iterate(steps):
            yield Record(one)

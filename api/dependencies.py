"""What routes are given."""

import threading
from typing import Annotated

from fastapi import Depends, Header, Path, Request
from fastapi.openapi.models import Example

from api.bodies import Bodies
from api.examples import offered
from api.guard import Guard, Identity
from api.kept import KeptModels
from api.limiting import Rates, Streams
from api.measures import Measures
from api.memory import hand_back
from api.nudges import Nudges
from api.queue import Queue
from api.readiness import Checks
from api.sent import Sent
from api.settings import ApiSettings
from api.shortcuts import Shortcuts
from api.together import Together
from jobs.resolve import Resolved, resolve
from jobs.spec import JobSpec
from jobs.states import JobStatus
from store.artifacts import Artifacts
from store.datasets import PREFIX, Datasets
from store.engine import Database
from store.errors import NotFound
from store.jobs import job_versions

_LISTED_BYTES = 16_000_000
"""What jobs as they stand in lists may take: those of fifty pages."""
_ID = r"^[A-Za-z0-9_-]+$"
_MANY_ROWS = 500_000
"""Rows from which on what a division took is handed back, and made again when it is asked for again."""


class Resources:
    """What one API process holds open."""

    def __init__(self, settings: ApiSettings, db: Database) -> None:
        """Prepare everything; nothing connects yet."""
        self.settings = settings
        self.db = db
        self.queue = Queue(settings.broker_url)
        self.sent = Sent(db)
        self.nudges = Nudges(settings.broker_url, db)
        self.artifacts = Artifacts(settings.artifacts_url)
        self.datasets = Datasets(db, self.artifacts)
        self.models = KeptModels(self.artifacts)
        self.checks = Checks(db, settings.broker_url, self.artifacts)
        self.measures = Measures(lambda: self.nudges.listeners)
        self.bodies = Bodies()
        self.listed = Bodies(_LISTED_BYTES)
        self.shortcuts = Shortcuts()
        self._versions = Together[str, tuple[int, JobStatus]](lambda job_ids: job_versions(db, job_ids))
        self.guard = Guard(settings, db)
        self.rates = Rates(settings)
        self.streams = Streams(settings)
        self.uploading = threading.BoundedSemaphore(settings.max_uploads_at_once)

    async def version_of(self, job_id: str) -> tuple[int, JobStatus]:
        """Read a job's version and status, together with whoever else asks.

        Raises:
            NotFound: no job has this id.
        """
        found = await self._versions.get(job_id)
        if found is None:
            raise NotFound(job_id)
        return found

    def resolve(self, spec: JobSpec, me: Identity) -> Resolved:
        """Resolve a spec against the datasets that this client sees and this service's limits.

        Raises:
            SpecProblems: with every problem found.
        """
        found = resolve(spec, self.settings.limits, self.datasets.seen_by(me.sees))
        if found.info.num_rows > _MANY_ROWS:
            self.datasets.forget(spec.dataset)
            hand_back()
        return found


# Coroutines, for the framework sends plain functions to a thread of their own.
async def _resources(request: Request) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


async def _database(request: Request) -> Database:
    return (await _resources(request)).db


Everything = Annotated[Resources, Depends(_resources)]
Db = Annotated[Database, Depends(_database)]


async def _identity(request: Request) -> Identity:
    identity: Identity = request.scope["identity"]  # without the door there is none, and no answer
    return identity


Me = Annotated[Identity, Depends(_identity)]


async def _job_of_mine(
    job_id: Annotated[
        str,
        Path(
            description="Id of a job, `job_...`, as `POST /v1/jobs` gives it.",
            max_length=64,
            pattern=_ID,
            examples=["job_01m89c2r93efn2v1dcmy61vf08"],
        ),
    ],
    me: Me,
    resources: Everything,
) -> str:
    """Give the id of a job that this client may know of; another's is not found, as one that is not there."""
    if not await resources.guard.lets_see(me, "job", job_id):
        raise NotFound(job_id)
    return job_id


async def _dataset_of_mine(
    dataset_id: Annotated[
        str,
        Path(
            description="Id of a dataset.",
            max_length=64,
            pattern=_ID,
            openapi_examples={"built_in": Example(summary="A dataset that is built in", value="digits")},
        ),
    ],
    me: Me,
    resources: Everything,
) -> str:
    """Give the id of a dataset that this client may know of: built in, or its own upload."""
    if dataset_id.startswith(PREFIX) and not await resources.guard.lets_see(me, "dataset", dataset_id):
        raise NotFound(dataset_id)
    return dataset_id


async def _upload_of_mine(
    dataset_id: Annotated[
        str,
        Path(
            description="Id of an upload, `ds_...`, as `POST /v1/datasets` gives it.",
            max_length=64,
            pattern=_ID,
            examples=["ds_01m8bapj9ws3f81vyq0jypxj98"],
        ),
    ],
    me: Me,
    resources: Everything,
) -> str:
    """Give the id of a dataset as above, where it should be an upload: built-in ones are told of as such."""
    return await _dataset_of_mine(dataset_id, me, resources)


JobId = Annotated[str, Depends(_job_of_mine)]
"""A path's job. Every route below a job takes it, and so none can forget whose it is."""
DatasetId = Annotated[str, Depends(_dataset_of_mine)]
"""A path's dataset, likewise."""
UploadId = Annotated[str, Depends(_upload_of_mine)]
"""The same where only uploads are meant."""
IfNoneMatch = Annotated[
    str | None, Header(description="An ETag that was given: 304 while it still holds.", openapi_examples=offered('W/"1"'))
]

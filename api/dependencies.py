"""What routes are given."""

import threading
from typing import Annotated

from fastapi import Depends, Path, Request

from api.bodies import Bodies
from api.kept import KeptModels
from api.nudges import Nudges
from api.queue import Queue
from api.settings import ApiSettings
from store.artifacts import Artifacts
from store.datasets import Datasets
from store.engine import Database


class Resources:
    """What one API process holds open."""

    def __init__(self, settings: ApiSettings, db: Database) -> None:
        """Prepare everything; nothing connects yet."""
        self.settings = settings
        self.db = db
        self.queue = Queue(settings.broker_url)
        self.nudges = Nudges(settings.broker_url)
        self.artifacts = Artifacts(settings.artifacts_url)
        self.datasets = Datasets(db, self.artifacts)
        self.models = KeptModels(self.artifacts)
        self.bodies = Bodies()
        self.uploading = threading.BoundedSemaphore(settings.max_uploads_at_once)


def _resources(request: Request) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


def _database(request: Request) -> Database:
    return _resources(request).db


Everything = Annotated[Resources, Depends(_resources)]
Db = Annotated[Database, Depends(_database)]
DatasetId = Annotated[str, Path(description="Id of a dataset.", max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
JobId = Annotated[str, Path(description="Id of a job.", max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]

"""Uploaded datasets: stored once, listed, opened, deleted when no job uses them; and all datasets as one source."""

import contextlib
import datetime as dt
import hashlib
import itertools
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from data.builtin import BUILTINS
from data.dataset import Dataset, DatasetInfo
from data.uploads.stored import StoredFiles, open_stored
from store.artifacts import Artifacts
from store.engine import Database, again_if_undone, is_duplicate
from store.errors import ArtifactsUnavailable, Conflict, DatabaseUnavailable, NotFound
from store.ids import new_id
from store.owners import owns_dataset
from store.tables import LOCAL, DatasetRow, JobRow, table

_DATASETS = table(DatasetRow)
_INFO = TypeAdapter(DatasetInfo)
_OPEN = 4
_FILES_AT_ONCE = 500
PREFIX = "ds_"


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A dataset ready to be stored: `info` has its content's hash, `files` are local files by role."""

    info: DatasetInfo
    schema: dict[str, Any]
    profile: dict[str, Any]
    files: dict[str, Path]
    x_unit: float
    file_name: str
    num_bytes: int

    @property
    def identity(self) -> str:
        """Name content and schema, apart from titles (SHA-256, hex)."""
        schema = {name: value for name, value in self.schema.items() if name not in {"name", "description", "licence"}}
        return hashlib.sha256(f"{self.info.content_hash} {json.dumps(schema, sort_keys=True)}".encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class DatasetState:
    """An uploaded dataset as it is stored. `profile` is None where it was not asked for."""

    info: DatasetInfo
    schema: dict[str, Any]
    profile: dict[str, Any] | None
    created_at: dt.datetime
    file_name: str
    num_bytes: int


def store_dataset(db: Database, artifacts: Artifacts, upload: Upload, *, owner: str = LOCAL) -> tuple[DatasetState, bool]:
    """Store files, then the row that names them; an equal upload of this owner is found again. Give the dataset and whether it is new.

    What fails leaves no file. A process that dies in between, or a database that goes away while the row is written, leaves some
    that perhaps no row names: the sweeper collects them.
    """
    known = _of_identity(db, owner, upload.identity)
    if known is not None:
        return known, False
    dataset_id = new_id("ds")
    keys: dict[str, str] = {}
    try:
        for role, path in upload.files.items():
            keys[role] = artifacts.put(f"datasets/{dataset_id}/{role}.npy", path)
        with db.write() as connection:
            now = db.now(connection)
            info = replace(upload.info, id=dataset_id)
            values = {"id": dataset_id, "owner": owner, "identity": upload.identity, "created_at": now, "files": keys}
            values |= {"info": _INFO.dump_python(info, mode="json"), "upload_schema": upload.schema, "profile": upload.profile}
            values |= {"x_unit": upload.x_unit, "file_name": upload.file_name, "num_bytes": upload.num_bytes}
            connection.execute(insert(_DATASETS).values(**values))
    except IntegrityError as error:
        artifacts.delete(list(keys.values()))
        known = _of_identity(db, owner, upload.identity)
        if known is None or not is_duplicate(error):
            raise
        return known, False  # an equal upload was committed first
    except DatabaseUnavailable:  # the row may have been committed all the same: the sweeper finds out
        raise
    except BaseException:
        with contextlib.suppress(ArtifactsUnavailable):  # the sweeper deletes what no row names
            artifacts.delete(list(keys.values()))
        raise
    return get_dataset(db, dataset_id), True


def get_dataset(db: Database, dataset_id: str) -> DatasetState:
    """Read an uploaded dataset.

    Raises:
        NotFound: none has this id.
    """
    with db.read() as connection:
        row = connection.execute(select(_DATASETS).where(_DATASETS.c.id == dataset_id)).first()
    if row is None:
        raise NotFound(dataset_id)
    return _state(row)


def list_datasets(db: Database, *, owner: str | None, before: str | None = None, limit: int = 100) -> list[DatasetState]:
    """List an owner's uploads (None: everybody's) without their profiles, newest first, from before an id on."""
    columns = [column for column in _DATASETS.c if column.name != "profile"]
    query = select(*columns).order_by(_DATASETS.c.id.desc()).limit(limit)
    if owner is not None:
        query = query.where(_DATASETS.c.owner == owner)
    if before is not None:
        query = query.where(_DATASETS.c.id < before)
    with db.read() as connection:
        return [_state(row) for row in connection.execute(query)]


@again_if_undone
def delete_dataset(db: Database, artifacts: Artifacts, dataset_id: str) -> None:
    """Delete a dataset that no job uses, with its files.

    Raises:
        NotFound: none has this id.
        Conflict: `dataset_in_use`, jobs name it.
    """
    with db.write() as connection:
        row = connection.execute(select(_DATASETS.c.files).where(_DATASETS.c.id == dataset_id).with_for_update()).first()
        if row is None:
            raise NotFound(dataset_id)
        uses = connection.execute(select(func.count()).where(JobRow.uploaded_dataset == dataset_id)).scalar_one()
        if uses:
            raise Conflict(
                "dataset_in_use",
                f"dataset {dataset_id} is used by {uses} job{'s' if uses > 1 else ''}: delete {'them' if uses > 1 else 'it'} first (GET /v1/jobs?dataset={dataset_id})",
            )
        connection.execute(delete(_DATASETS).where(_DATASETS.c.id == dataset_id))
    with contextlib.suppress(ArtifactsUnavailable):  # the row is gone: the sweeper deletes what is missed here
        artifacts.delete(list(row.files.values()))


class Datasets:
    """Built-in and uploaded datasets as one source. Those opened last stay open; an upload never changes."""

    def __init__(self, db: Database, artifacts: Artifacts) -> None:
        """Look into a database and its artifacts; nothing connects yet."""
        self._db = db
        self._artifacts = artifacts
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Dataset] = OrderedDict()

    def info(self, dataset_id: str) -> DatasetInfo:
        """Describe a dataset; KeyError if there is none of this id."""
        if not dataset_id.startswith(PREFIX):
            return BUILTINS.info(dataset_id)
        with self._lock:
            if dataset_id in self._open:
                return self._open[dataset_id].info
        with self._db.read() as connection:
            found = connection.scalar(select(_DATASETS.c.info).where(_DATASETS.c.id == dataset_id))
        if found is None:
            raise KeyError(dataset_id)
        return _INFO.validate_python(found)

    def load(self, dataset_id: str) -> Dataset:
        """Open a dataset; KeyError if there is none of this id, OSError if its files are not there."""
        if not dataset_id.startswith(PREFIX):
            return BUILTINS.load(dataset_id)
        with self._lock:
            if dataset_id in self._open:
                self._open.move_to_end(dataset_id)
                return self._open[dataset_id]
        opened = self._opened(dataset_id)
        with self._lock:
            self._open[dataset_id] = opened
            while len(self._open) > _OPEN:
                self._open.popitem(last=False)
        return opened

    def forget(self, dataset_id: str) -> None:
        """Close a dataset: one that was deleted, or is too large to be kept open."""
        with self._lock:
            self._open.pop(dataset_id, None)

    def suggestions(self) -> Sequence[str]:
        """Name the built-in datasets that can be used here, and the uploads made last."""
        return [*BUILTINS.suggestions(), *(state.info.id for state in list_datasets(self._db, owner=None, limit=3))]

    def seen_by(self, owner: str | None) -> "DatasetsOf":
        """Give the datasets that an owner sees: built-in ones and their own uploads. None sees all."""
        return DatasetsOf(self, self._db, owner)

    def _opened(self, dataset_id: str) -> Dataset:
        with self._db.read() as connection:
            columns = (_DATASETS.c.info, _DATASETS.c.files, _DATASETS.c.x_unit)
            row = connection.execute(select(*columns).where(_DATASETS.c.id == dataset_id)).first()
        if row is None:
            raise KeyError(dataset_id)
        files = StoredFiles(**{role: self._artifacts.local(key) for role, key in row.files.items()})
        return open_stored(_INFO.validate_python(row.info), files, row.x_unit)


class DatasetsOf:
    """All datasets as one owner sees them: another's upload is as unknown as one that is not there."""

    def __init__(self, datasets: Datasets, db: Database, owner: str | None) -> None:
        """Look through an owner's eyes; None sees all."""
        self._datasets, self._db, self._owner = datasets, db, owner

    def info(self, dataset_id: str) -> DatasetInfo:
        """Describe a dataset; KeyError if this owner has none of this id."""
        self._check(dataset_id)
        return self._datasets.info(dataset_id)

    def load(self, dataset_id: str) -> Dataset:
        """Open a dataset; KeyError if this owner has none of this id, OSError if its files are not there."""
        self._check(dataset_id)
        return self._datasets.load(dataset_id)

    def suggestions(self) -> Sequence[str]:
        """Name the built-in datasets that can be used here, and the owner's uploads made last."""
        return [*BUILTINS.suggestions(), *(state.info.id for state in list_datasets(self._db, owner=self._owner, limit=3))]

    def _check(self, dataset_id: str) -> None:
        if self._owner is not None and dataset_id.startswith(PREFIX) and not owns_dataset(self._db, self._owner, dataset_id):
            raise KeyError(dataset_id)


def collect_garbage(db: Database, artifacts: Artifacts, *, age: dt.timedelta = dt.timedelta(hours=1)) -> list[str]:
    """Delete files older than `age` that no row names; give their names. Younger ones may belong to work that is not committed yet."""
    gone: list[str] = []
    for folder in ("datasets", "jobs"):
        for names in _batches(artifacts.old(folder, age)):
            kept = _kept(db, folder, {name.split("/")[1] for name in names})
            gone += [name for name in names if name not in kept and name.rsplit("/", 1)[0] not in kept]
    artifacts.discard(gone)
    return gone


def _kept(db: Database, folder: str, owners: set[str]) -> set[str]:
    """Give what rows of these ids name: a dataset's row names its files, a job's row all in its folder."""
    with db.read() as connection:
        if folder == "jobs":
            return {f"jobs/{job_id}" for job_id in connection.scalars(select(JobRow.id).where(JobRow.id.in_(owners)))}
        rows = connection.scalars(select(_DATASETS.c.files).where(_DATASETS.c.id.in_(owners)))
        return {name for files in rows for name in files.values()}


def _batches(names: Iterator[str]) -> Iterator[list[str]]:
    while batch := list(itertools.islice(names, _FILES_AT_ONCE)):
        yield batch


def _of_identity(db: Database, owner: str, identity: str) -> DatasetState | None:
    with db.read() as connection:
        row = connection.execute(select(_DATASETS).where(_DATASETS.c.owner == owner, _DATASETS.c.identity == identity)).first()
    return None if row is None else _state(row)


def _state(row: Any) -> DatasetState:
    return DatasetState(
        info=_INFO.validate_python(row.info),
        schema=row.upload_schema,
        profile=getattr(row, "profile", None),
        created_at=row.created_at,
        file_name=row.file_name,
        num_bytes=row.num_bytes,
    )

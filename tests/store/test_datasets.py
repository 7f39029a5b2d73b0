"""Uploaded datasets on both databases: stored once, opened, held by jobs, deleted with their files."""

import datetime as dt
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection

from data import builtin
from jobs.problems import SpecProblems
from jobs.resolve import resolve
from jobs.spec import JobSpec
from store.artifacts import Artifacts
from store.datasets import Datasets, Upload, collect_garbage, delete_dataset, get_dataset, list_datasets, store_dataset
from store.engine import Database
from store.errors import Conflict, DatabaseUnavailable, NotFound
from store.jobs import Created, create_job, delete_job, get_job
from store.orders import request_cancel
from tests.factories import a_dataset, a_job, an_upload

UNKNOWN = "ds_00000000000000000000000000"
HOUR = 3600


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    """Give an empty folder of artifacts."""
    return Artifacts(f"file://{tmp_path}/files")


def _files(tmp_path: Path) -> list[str]:
    root = tmp_path / "files"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def _stored(db: Database, artifacts: Artifacts, tmp_path: Path, **schema: Any) -> str:
    return store_dataset(db, artifacts, an_upload(tmp_path / "upload", **schema))[0].info.id


def _a_job_on(db: Database, artifacts: Artifacts, dataset_id: str) -> Created:
    spec = JobSpec.model_validate({"dataset": dataset_id, "seed": 0, "training": {"max_epochs": 2}})
    return create_job(db, resolve(spec, source=Datasets(db, artifacts)))


def test_an_upload_is_stored_with_its_files_and_read_back(db: Database, artifacts: Artifacts, tmp_path: Path) -> None:
    upload = an_upload(tmp_path / "upload", name="mine")
    state, is_new = store_dataset(db, artifacts, upload)
    assert is_new
    assert state == get_dataset(db, state.info.id)
    assert state.info == replace(upload.info, id=state.info.id)
    assert (state.schema, state.profile, state.file_name, state.num_bytes) == ({"target": "y", "name": "mine"}, {"rows": 40}, "a.csv", 99)
    folder = f"datasets/{state.info.id}"
    assert _files(tmp_path) == ["datasets", folder, *(f"{folder}/{role}.npy" for role in ("groups", "x", "y"))]


def test_an_equal_upload_is_the_same_dataset(db: Database, artifacts: Artifacts, tmp_path: Path) -> None:
    """Titles do not count; content and the rest of the schema do."""
    first = _stored(db, artifacts, tmp_path, name="one", licence="MIT")
    before = _files(tmp_path)
    again, is_new = store_dataset(db, artifacts, an_upload(tmp_path / "again", name="two", description="other"))
    assert (again.info.id, is_new) == (first, False)
    assert _files(tmp_path) == before
    assert _stored(db, artifacts, tmp_path, unit="m") != first
    other = an_upload(tmp_path / "other", a_dataset(np.zeros((40, 2)), np.arange(40) % 2))
    assert store_dataset(db, artifacts, other)[1]


class _Meeting(Artifacts):
    """Artifacts whose first file is stored only when all who store have looked for an equal upload."""

    def __init__(self, url: str, parties: int) -> None:
        super().__init__(url)
        self._met = threading.Barrier(parties)

    def put(self, key: str, file: Path) -> str:
        if key.endswith("/x.npy"):
            self._met.wait(10)
        return super().put(key, file)


def test_equal_uploads_at_once_make_one_dataset_and_no_stray_file(db: Database, tmp_path: Path) -> None:
    """B026: none finds the other, all store their files, one row stays."""
    artifacts, upload = _Meeting(f"file://{tmp_path}/files", 4), an_upload(tmp_path / "upload")
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: store_dataset(db, artifacts, upload), range(4)))
    assert len({state.info.id for state, _ in made}) == 1
    assert sum(is_new for _, is_new in made) == 1
    folder = f"datasets/{made[0][0].info.id}"
    assert _files(tmp_path) == ["datasets", folder, *(f"{folder}/{role}.npy" for role in ("groups", "x", "y"))]


def test_an_upload_that_fails_leaves_no_file_and_no_row(db: Database, artifacts: Artifacts, tmp_path: Path) -> None:
    upload = an_upload(tmp_path / "upload")
    broken = replace(upload, files={**upload.files, "times": tmp_path / "nothing.npy"})
    with pytest.raises(FileNotFoundError):
        store_dataset(db, artifacts, broken)
    unwritable: Upload = replace(upload, profile={"set": {1}})
    with pytest.raises(Exception, match="not JSON serializable"):
        store_dataset(db, artifacts, unwritable)
    assert [name for name in _files(tmp_path) if "." in name] == []
    assert list_datasets(db, owner=None) == []


def test_datasets_are_listed_newest_first_without_their_profiles(db: Database, artifacts: Artifacts, tmp_path: Path) -> None:
    made = []
    for unit in ("m", "s", "kg"):
        made.append(_stored(db, artifacts, tmp_path, unit=unit))
        time.sleep(0.002)  # ids sort by the millisecond
    assert [state.info.id for state in list_datasets(db, owner=None)] == made[::-1]
    assert [state.info.id for state in list_datasets(db, owner=None, before=made[2], limit=1)] == [made[1]]
    assert list_datasets(db, owner=None, before=made[0]) == []
    assert {state.profile is None for state in list_datasets(db, owner=None)} == {True}


def test_a_dataset_that_jobs_use_is_not_deleted(db: Database, artifacts: Artifacts, tmp_path: Path) -> None:
    dataset_id = _stored(db, artifacts, tmp_path)
    job_id = _a_job_on(db, artifacts, dataset_id).job.id
    before = _files(tmp_path)
    with pytest.raises(Conflict, match="is used by 1 job: delete it first") as caught:
        delete_dataset(db, artifacts, dataset_id)
    assert caught.value.code == "dataset_in_use"
    request_cancel(db, job_id)
    with pytest.raises(Conflict):
        delete_dataset(db, artifacts, dataset_id)
    assert _files(tmp_path) == before
    delete_job(db, job_id)
    delete_dataset(db, artifacts, dataset_id)
    assert _files(tmp_path) == ["datasets"]
    for act in (lambda: get_dataset(db, dataset_id), lambda: delete_dataset(db, artifacts, dataset_id)):
        with pytest.raises(NotFound):
            act()


def test_a_dataset_deleted_while_a_job_is_asked_for_is_a_conflict(db: Database, artifacts: Artifacts, tmp_path: Path) -> None:
    dataset_id = _stored(db, artifacts, tmp_path)
    resolved = resolve(JobSpec.model_validate({"dataset": dataset_id, "seed": 0}), source=Datasets(db, artifacts))
    delete_dataset(db, artifacts, dataset_id)
    for key in (None, "key"):
        with pytest.raises(Conflict) as caught:
            create_job(db, resolved, idempotency_key=key, body_hash="h")
        assert caught.value.code == "dataset_deleted"


@pytest.mark.parametrize("attempt", range(4))
def test_a_job_and_the_deletion_of_its_dataset_at_once_leave_both_or_none(
    db: Database, artifacts: Artifacts, tmp_path: Path, attempt: int
) -> None:
    """B049: a job never names a dataset that is gone."""
    dataset_id = _stored(db, artifacts, tmp_path)
    resolved = resolve(JobSpec.model_validate({"dataset": dataset_id, "seed": attempt}), source=Datasets(db, artifacts))
    ready = threading.Barrier(2)

    def attempted(act: Any) -> str:
        ready.wait(10)
        try:
            act()
        except Conflict as conflict:
            return conflict.code
        return "done"

    with ThreadPoolExecutor(2) as pool:
        made = pool.submit(attempted, lambda: create_job(db, resolved))
        gone = pool.submit(attempted, lambda: delete_dataset(db, artifacts, dataset_id))
    assert (made.result(), gone.result()) in {("done", "dataset_in_use"), ("dataset_deleted", "done")}
    assert bool(list_datasets(db, owner=None)) == (made.result() == "done")
    assert len(_files(tmp_path)) == (5 if made.result() == "done" else 1)


def test_all_datasets_are_one_source(db: Database, artifacts: Artifacts, tmp_path: Path) -> None:
    source, before = Datasets(db, artifacts), an_upload(tmp_path / "upload")
    dataset_id = _stored(db, artifacts, tmp_path)
    opened = source.load(dataset_id)
    assert source.info(dataset_id) == opened.info == get_dataset(db, dataset_id).info
    assert np.array_equal(opened.x, np.load(before.files["x"]))
    assert np.array_equal(opened.column(1), opened.x[:, 1])
    assert np.array_equal(opened.y, np.load(before.files["y"]))
    assert opened.groups is not None
    assert (opened.times, opened.parts, len(opened.groups)) == (None, None, 40)
    assert source.load("iris") is builtin.load("iris")
    assert source.info("iris") == builtin.info("iris")
    assert source.suggestions()[-1] == dataset_id
    assert "iris" in source.suggestions()
    for look in (source.info, source.load):
        for unknown in (UNKNOWN, "ds_", "nope"):
            with pytest.raises(KeyError):
                look(unknown)


def test_a_job_may_name_only_datasets_that_are_there(db: Database, artifacts: Artifacts, tmp_path: Path) -> None:
    dataset_id = _stored(db, artifacts, tmp_path)
    with pytest.raises(SpecProblems) as caught:
        _a_job_on(db, artifacts, UNKNOWN)
    assert caught.value.problems[0].code == "unknown_dataset"
    assert dataset_id in caught.value.problems[0].message
    assert get_job(db, _a_job_on(db, artifacts, dataset_id).job.id).fit_counts == {"pending": 1}


def test_those_opened_last_stay_open(sqlite_db: Database, artifacts: Artifacts, tmp_path: Path) -> None:
    source = Datasets(sqlite_db, artifacts)
    made = [_stored(sqlite_db, artifacts, tmp_path, unit=str(i)) for i in range(5)]
    first = source.load(made[0])
    for other in made[1:4]:
        source.load(other)
    assert source.load(made[0]) is first
    second = source.load(made[1])
    source.load(made[4])
    assert source.load(made[1]) is second
    assert source.load(made[2]).info.id == made[2]


def test_a_dataset_whose_files_are_gone_cannot_be_opened(sqlite_db: Database, artifacts: Artifacts, tmp_path: Path) -> None:
    dataset_id = _stored(sqlite_db, artifacts, tmp_path)
    (tmp_path / "files" / "datasets" / dataset_id / "y.npy").unlink()
    source = Datasets(sqlite_db, artifacts)
    with pytest.raises(FileNotFoundError):
        source.load(dataset_id)
    with pytest.raises(SpecProblems, match="cannot be read here") as caught:
        resolve(JobSpec.model_validate({"dataset": dataset_id}), source=source)
    assert [one.code for one in caught.value.problems] == ["dataset_unavailable"]


def test_only_old_files_that_no_row_names_are_collected(db: Database, artifacts: Artifacts, tmp_path: Path) -> None:
    """Files of live datasets and jobs stay however old, younger ones may belong to work that is not committed yet."""
    dataset_id, job_id, root = _stored(db, artifacts, tmp_path), a_job(db).job.id, tmp_path / "files"
    stray = [
        f"datasets/{UNKNOWN}/x.npy",
        f"datasets/{UNKNOWN}/y.npy.0123456789abcdef",
        f"datasets/{dataset_id}/times.npy",
        f"datasets/{dataset_id}/x.npy.0123456789abcdef",
        "jobs/job_00000000000000000000000000/fit-1.safetensors",
    ]
    named = [f"jobs/{job_id}/fit-1.safetensors", f"jobs/{job_id}/fit-1.safetensors.0123456789abcdef"]
    for name in (*stray, *named):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    assert collect_garbage(db, artifacts) == []
    now = time.time()
    for path in root.rglob("*.*"):
        os.utime(path, (now - 2 * HOUR, now - 2 * HOUR))
    (root / "datasets" / UNKNOWN / "young.npy").write_bytes(b"x")
    assert collect_garbage(db, artifacts, age=dt.timedelta(hours=3)) == []
    assert sorted(collect_garbage(db, artifacts)) == sorted(stray)
    kept = [f"datasets/{dataset_id}/{role}.npy" for role in ("groups", "x", "y")] + [f"datasets/{UNKNOWN}/young.npy", *named]
    assert [name for name in _files(tmp_path) if "." in name] == sorted(kept)
    assert not (root / "jobs" / "job_00000000000000000000000000").exists()
    assert np.array_equal(Datasets(db, artifacts).load(dataset_id).y, np.arange(40) % 2)


def test_there_is_no_garbage_before_there_is_a_file(sqlite_db: Database, artifacts: Artifacts) -> None:
    assert collect_garbage(sqlite_db, artifacts) == []


class _AnswerLost(Database):
    """A database that commits, and whose answer to that is lost with the connection."""

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with super().write() as connection:
            yield connection
        raise DatabaseUnavailable("gone")


def test_a_commit_whose_answer_was_lost_keeps_its_files(db: Database, artifacts: Artifacts, tmp_path: Path) -> None:
    upload = an_upload(tmp_path / "upload")
    with pytest.raises(DatabaseUnavailable):
        store_dataset(_AnswerLost(db.engine), artifacts, upload)
    [state] = list_datasets(db, owner=None)
    assert np.array_equal(Datasets(db, artifacts).load(state.info.id).x, np.load(upload.files["x"]))
    assert store_dataset(db, artifacts, upload) == (get_dataset(db, state.info.id), False)

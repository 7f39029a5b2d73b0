"""Artifacts: whole or not at all, and only under keys of the service's making."""

import datetime as dt
import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from moto.server import ThreadedMotoServer

from store.artifacts import Artifacts
from store.settings import StoreSettings


def test_an_artifact_is_read_back_and_deleted(tmp_path: Path) -> None:
    artifacts = Artifacts(f"file://{tmp_path}/files")
    key = artifacts.write("jobs/job_1/fit-1.safetensors", b"abc")
    assert artifacts.read(key) == b"abc"
    assert [path.name for path in (tmp_path / "files" / "jobs" / "job_1").iterdir()] == ["fit-1.safetensors"]
    artifacts.write(key, b"abcd")
    assert artifacts.read(key) == b"abcd"
    artifacts.delete([key])
    artifacts.delete([key])
    with pytest.raises(FileNotFoundError):
        artifacts.read(key)


@pytest.mark.parametrize(
    "key", ["../x", "..%2fx", "/etc/passwd", "a/../../b", "C:\\x", "a\x00", "", "a//b", "jobs/../../secret.txt", "a/b/c/d/e/f/g", "~/x"]
)
def test_no_key_leaves_the_folder(tmp_path: Path, key: str) -> None:
    """B123."""
    (tmp_path / "secret.txt").write_text("canary")
    artifacts = Artifacts(f"file://{tmp_path}/files")
    with pytest.raises(ValueError, match="not an artifact key"):
        artifacts.read(key)
    with pytest.raises(ValueError, match="not an artifact key"):
        artifacts.write(key, b"x")
    with pytest.raises(ValueError, match="not an artifact key"):
        artifacts.put(key, tmp_path / "secret.txt")
    with pytest.raises(ValueError, match="not an artifact key"):
        artifacts.local(key)
    with pytest.raises(ValueError, match="not an artifact key"):
        artifacts.delete([key])
    assert (tmp_path / "secret.txt").read_text() == "canary"


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """Serve S3's protocol on loopback; give a URL in an empty bucket."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "DEFAULT_REGION": "us-east-1"}.items():
            environment.setenv(f"AWS_{name}", value)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        environment.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir("bucket")
        yield "s3://bucket/holdout"
        server.stop()


@pytest.fixture(params=["file", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artifacts:
    """Give a folder of this machine, and stores that are none: their artifacts are copied to be opened."""
    (tmp_path / "copies").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "copies"))
    match request.param:
        case "file":
            return Artifacts(f"file://{tmp_path}/files")
        case "memory":
            return Artifacts(f"memory://{uuid.uuid4().hex}")
        case _:
            return Artifacts(f"{request.getfixturevalue('bucket')}/{uuid.uuid4().hex}")


def test_a_file_is_stored_whole_and_opened_here(place: Artifacts, tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(b"content")
    key = place.put("datasets/ds_1/x.npy", tmp_path / "x.npy")
    assert key == "datasets/ds_1/x.npy"
    assert place.read(key) == place.local(key).read_bytes() == b"content"
    assert place.local(key) == place.local(key)
    assert (tmp_path / "x.npy").read_bytes() == b"content"
    assert list(place.old("datasets", dt.timedelta(seconds=-60))) == [key]
    place.delete([key])
    assert list(place.old("datasets", dt.timedelta(seconds=-60))) == []
    with pytest.raises(FileNotFoundError):
        place.read(key)


def test_what_is_not_there_is_not_opened_and_leaves_no_copy(place: Artifacts, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        place.local("datasets/ds_1/x.npy")
    assert [path for path in (tmp_path / "copies").rglob("*") if path.is_file()] == []


def test_a_file_that_cannot_be_read_is_not_stored(place: Artifacts, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        place.put("datasets/ds_1/x.npy", tmp_path / "nothing.npy")
    assert list(place.old("datasets", dt.timedelta(seconds=-60))) == []


def test_files_are_old_when_they_were_written_long_ago(tmp_path: Path) -> None:
    artifacts, root = Artifacts(f"file://{tmp_path}/files/"), tmp_path / "files"
    assert list(artifacts.old("jobs", dt.timedelta())) == []
    artifacts.write("jobs/job_1/fit-0.safetensors", b"young")
    for name in ("job_1/fit-1.safetensors", "job_1/fit-2.safetensors.0123456789abcdef", "job_2/fit-1.safetensors"):
        (root / "jobs" / name).parent.mkdir(exist_ok=True)
        (root / "jobs" / name).write_bytes(b"x")
        os.utime(root / "jobs" / name, (time.time() - 90, time.time() - 90))
    (root / "jobs" / "lost.txt").write_bytes(b"lies on another level")
    assert list(artifacts.old("jobs", dt.timedelta(seconds=100))) == []
    found = list(artifacts.old("jobs", dt.timedelta(seconds=80)))
    assert sorted(found) == [
        "jobs/job_1/fit-1.safetensors",
        "jobs/job_1/fit-2.safetensors.0123456789abcdef",
        "jobs/job_2/fit-1.safetensors",
    ]
    artifacts.discard(found)
    left = sorted(str(path.relative_to(root)) for path in root.rglob("*"))
    assert left == ["jobs", "jobs/job_1", "jobs/job_1/fit-0.safetensors", "jobs/lost.txt"]


def test_what_another_sweeper_has_discarded_is_gone_all_the_same(place: Artifacts, tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(b"content")
    keys = [place.put(f"datasets/ds_1/{role}.npy", tmp_path / "x.npy") for role in ("x", "y")]
    place.delete(keys[:1])
    place.discard(keys)
    assert list(place.old("datasets", dt.timedelta(seconds=-60))) == []


def test_settings_do_not_show_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDOUT_DATABASE_URL", "postgresql://user:secret@host/db")
    assert "secret" not in repr(StoreSettings())


def test_defaults_live_in_the_home_folder(tmp_path: Path) -> None:
    settings = StoreSettings(home=tmp_path)
    assert settings.database_url == f"sqlite:///{tmp_path}/holdout.db"
    assert settings.artifacts_url == f"file://{tmp_path}/artifacts"

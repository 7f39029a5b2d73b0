"""Artifacts: whole or not at all, and only under keys of the service's making."""

from pathlib import Path

import pytest

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


def test_settings_do_not_show_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDOUT_DATABASE_URL", "postgresql://user:secret@host/db")
    assert "secret" not in repr(StoreSettings())


def test_defaults_live_in_the_home_folder(tmp_path: Path) -> None:
    settings = StoreSettings(home=tmp_path)
    assert settings.database_url == f"sqlite:///{tmp_path}/holdout.db"
    assert settings.artifacts_url == f"file://{tmp_path}/artifacts"

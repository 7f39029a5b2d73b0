"""Large files are read in a process of their own, as they would be read here."""

import dataclasses
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.uploads import apart
from data.uploads.ingest import ingest
from data.uploads.problems import UploadProblem
from data.uploads.spec import UploadSpec
from tests.uploads import LIMITS, folders, npz, zipped

CSV = "a;wörd;g;t;s;y\n" + "".join(
    f"{i},5;{'uvw'[i % 3]};{i // 4};2026-01-{i + 1:02};{['train', 'test'][i % 2]};{'pq'[i % 2]}\n" for i in range(24)
)
FILES: dict[str, tuple[bytes, dict[str, Any]]] = {
    "csv": (CSV.encode(), {"target": "y", "group": "g", "time": "t", "split": "s", "columns": {"wörd": {"order": ["w", "v", "u"]}}}),
    "npz": (npz(x=np.arange(24.0).reshape(4, 1, 3, 2), y=np.array([0, 1, 0, 1])), {}),
    "images": (zipped(folders()), {"images": {"size": [3, 2]}}),
}


@pytest.mark.parametrize("kind", FILES)
def test_what_is_read_apart_is_what_is_read_here(tmp_path: Path, kind: str) -> None:
    content, schema = FILES[kind]
    path, spec = tmp_path / "upload", UploadSpec.model_validate(schema)
    path.write_bytes(content)
    found = []
    for read, folder in ((ingest, tmp_path / "here"), (apart.ingest_apart, tmp_path / "there")):
        folder.mkdir()
        with path.open("rb") as file:
            file.seek(3)
            found.append(read(file, spec, folder, LIMITS))
    here, there = found
    assert dataclasses.replace(here, files={}) == dataclasses.replace(there, files={})
    for role, written in here.files.items():
        assert written.read_bytes() == there.files[role].read_bytes()


def test_what_is_wrong_comes_back_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(CSV.encode())
    with (tmp_path / "upload").open("rb") as file, pytest.raises(UploadProblem, match="no column 'z'") as caught:
        apart.ingest_apart(file, UploadSpec(target="y", features=("a", "z")), tmp_path, LIMITS)
    assert (caught.value.pointer, caught.value.code) == ("/features/1", "unknown_column")


@pytest.mark.parametrize(
    ("status", "error", "said"), [(-signal.SIGKILL, UploadProblem, "more memory than there is"), (1, RuntimeError, "status 1")]
)
def test_a_reader_that_dies_ends_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, error: type[Exception], said: str
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], status))
    (tmp_path / "upload").write_bytes(b"")
    with (tmp_path / "upload").open("rb") as file, pytest.raises(error, match=said):
        apart.ingest_apart(file, UploadSpec(target="y"), tmp_path, LIMITS)

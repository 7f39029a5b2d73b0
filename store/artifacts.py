"""Files: datasets that were uploaded, weights that jobs leave. Kept under one URL that fsspec understands; keys are made by the service, never by a client."""

import contextlib
import datetime as dt
import os
import re
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import fsspec
from fsspec.core import url_to_fs

from store.errors import ArtifactsUnavailable

_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){0,4}(\.[a-z]{1,16})?")


_TRIES = 5
_FOREIGN = frozenset({"aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google", "s3fs"})
"""Packages of object stores whose errors of the connection are no OSErrors."""
_KEPT_COPIES = 64
"""Copies of artifacts from elsewhere that stay on this machine."""


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Tell a store that is away, or full, from a file that is not there."""
    try:
        yield
    except (FileNotFoundError, ArtifactsUnavailable):
        raise
    except OSError as error:
        raise ArtifactsUnavailable(error.errno, f"{type(error).__name__}: {error.strerror or 'no reason given'}") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] in _FOREIGN:
            raise ArtifactsUnavailable(None, type(error).__name__) from error
        raise


class Artifacts:
    """A folder, bucket or volume of artifacts."""

    def __init__(self, url: str) -> None:
        """Use the place that `url` names; nothing is opened yet."""
        self._url = url.rstrip("/")

    def write(self, key: str, content: bytes) -> str:
        """Store `content` whole or not at all; give the key back as what to store.

        Raises:
            ValueError: the key is not of the service's making.
        """
        files, path = self._place(key)
        with _finished(files, path) as unfinished:
            for _ in range(_TRIES):
                files.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
                with contextlib.suppress(FileNotFoundError):  # somebody deleted the last file of this folder, and the folder with it
                    files.pipe_file(unfinished, content)
                    break
            files.mv(unfinished, path)
        return key

    def put(self, key: str, file: Path) -> str:
        """Store a file whole or not at all, without reading it into memory; give the key back.

        Raises:
            ValueError: the key is not of the service's making.
        """
        files, path = self._place(key)
        with _finished(files, path) as unfinished:
            files.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            files.put_file(str(file), unfinished)
            files.mv(unfinished, path)
        return key

    def copy(self, key: str, copy: str) -> str:
        """Copy an artifact under another key, whole or not at all, within the store where it can; give the new key back.

        Raises:
            FileNotFoundError: there is none of this key.
            ValueError: a key is not of the service's making.
        """
        (files, path), (_, target) = self._place(key), self._place(copy)
        with _finished(files, target) as unfinished:
            files.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
            files.cp_file(path, unfinished)
            files.mv(unfinished, target)
        return copy

    @_translated()
    def local(self, key: str) -> Path:
        """Give a file on this machine with an artifact's content: itself, or a copy that a later call finds again.

        Raises:
            FileNotFoundError: there is none of this key.
        """
        files, path = self._place(key)
        if "file" in (files.protocol if isinstance(files.protocol, tuple) else (files.protocol,)):
            if not Path(path).is_file():
                raise FileNotFoundError(key)
            return Path(path)
        folder = Path(tempfile.gettempdir()) / f"holdout-artifacts-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        copy = folder / key  # keys name content that never changes
        if not copy.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            unfinished = copy.with_name(f"{copy.name}.{uuid.uuid4().hex}")
            files.get_file(path, str(unfinished))
            unfinished.rename(copy)
            _forget_oldest(folder)
        return copy

    def old(self, folder: str, age: dt.timedelta) -> Iterator[str]:
        """List what lies two levels below a folder (`folder/owner/file`) and was last written longer than `age` ago, unfinished files too."""
        files, root = url_to_fs(f"{self._url}/{folder}")
        limit = dt.datetime.now(dt.UTC) - age
        with _translated():
            files.invalidate_cache()  # other processes write too
            owners = files.ls(root, detail=False) if files.exists(root) else []
        for owner in owners:
            found = []
            with _translated(), contextlib.suppress(FileNotFoundError):  # another sweeper was here first
                for entry in files.ls(owner, detail=True) if files.isdir(owner) else ():
                    written = files.modified(entry["name"])
                    if entry["type"] == "file" and (written if written.tzinfo else written.replace(tzinfo=dt.UTC)) < limit:
                        found.append("/".join([folder, *str(entry["name"]).rsplit("/", 2)[1:]]))
            yield from found

    @_translated()
    def names(self, folder: str) -> list[str]:
        """List the files in a folder, unfinished ones too; none if there is no such folder.

        Raises:
            ValueError: the folder is not of the service's making.
        """
        files, path = self._place(folder)
        files.invalidate_cache()  # other processes write too
        try:
            return [f"{folder}/{str(entry['name']).rsplit('/', 1)[1]}" for entry in files.ls(path, detail=True) if entry["type"] == "file"]
        except FileNotFoundError:
            return []

    @_translated()
    def discard(self, names: Sequence[str]) -> None:
        """Delete files that `old` listed, and folders that are empty then; one that is gone already is no error."""
        for name in names:
            files, path = url_to_fs(f"{self._url}/{name}")
            with contextlib.suppress(FileNotFoundError):
                files.rm_file(path)
            _drop_if_empty(files, path.rsplit("/", 1)[0])

    @_translated()
    def read(self, key: str) -> bytes:
        """Read an artifact.

        Raises:
            FileNotFoundError: there is none of this key.
        """
        files, path = self._place(key)
        content: bytes = files.cat_file(path)
        return content

    @_translated()
    def delete(self, keys: Sequence[str]) -> None:
        """Delete artifacts; one that is gone already is no error."""
        folders: dict[str, fsspec.AbstractFileSystem] = {}
        for key in keys:
            files, path = self._place(key)
            with contextlib.suppress(FileNotFoundError):
                files.rm_file(path)
            folders[path.rsplit("/", 1)[0]] = files
        for folder, files in folders.items():
            _drop_if_empty(files, folder)

    @_translated()
    def clear(self, folder: str) -> None:
        """Delete all that lies in a folder, files that no row names too; none is no error.

        Raises:
            ValueError: the folder is not of the service's making.
        """
        files, path = self._place(folder)
        files.invalidate_cache()  # other processes write too
        with contextlib.suppress(FileNotFoundError):
            files.rm(path, recursive=True)

    def _place(self, key: str) -> tuple[fsspec.AbstractFileSystem, str]:
        if _KEY.fullmatch(key) is None:
            raise ValueError("not an artifact key")
        files, path = url_to_fs(f"{self._url}/{key}")
        return files, str(path)


@contextlib.contextmanager
def _finished(files: fsspec.AbstractFileSystem, path: str) -> Iterator[str]:
    """Give a name to write under until a file is whole; what fails leaves neither a file nor an empty folder."""
    unfinished = f"{path}.{uuid.uuid4().hex}"
    with _translated():
        try:
            yield unfinished
        except BaseException:
            with contextlib.suppress(Exception):
                files.rm_file(unfinished)
            _drop_if_empty(files, path.rsplit("/", 1)[0])
            raise


def _drop_if_empty(files: fsspec.AbstractFileSystem, folder: str) -> None:
    """Leave no empty folder behind; object stores have none."""
    with contextlib.suppress(OSError):
        if files.isdir(folder) and not files.ls(folder, detail=False):
            files.rmdir(folder)


def _forget_oldest(folder: Path) -> None:
    """Delete the copies made first, beyond a number; what is open stays readable."""
    copies = sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_mtime)
    for path in copies[:-_KEPT_COPIES]:
        path.unlink(missing_ok=True)

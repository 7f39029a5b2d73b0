"""Files that jobs leave: weights. Kept under one URL that fsspec understands; keys are made by the service, never by a client."""

import re
import uuid
from collections.abc import Sequence

import fsspec
from fsspec.core import url_to_fs

_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){0,4}(\.[a-z]{1,16})?")


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
        files.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        unfinished = f"{path}.{uuid.uuid4().hex}"
        files.pipe_file(unfinished, content)
        files.mv(unfinished, path)
        return key

    def read(self, key: str) -> bytes:
        """Read an artifact.

        Raises:
            FileNotFoundError: there is none of this key.
        """
        files, path = self._place(key)
        content: bytes = files.cat_file(path)
        return content

    def delete(self, keys: Sequence[str]) -> None:
        """Delete artifacts; one that is gone already is no error."""
        for key in keys:
            files, path = self._place(key)
            if files.exists(path):
                files.rm_file(path)

    def _place(self, key: str) -> tuple[fsspec.AbstractFileSystem, str]:
        if _KEY.fullmatch(key) is None:
            raise ValueError("not an artifact key")
        files, path = url_to_fs(f"{self._url}/{key}")
        return files, str(path)

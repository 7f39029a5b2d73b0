"""Archives: opened warily, measured before they are unpacked, never unpacked to a path."""

import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from data.uploads.limits import UploadLimits
from data.uploads.problems import UploadProblem, shown

_FREE_BYTES = 100_000_000
"""An archive of up to so many unpacked bytes is no bomb, whatever its ratio."""
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    OverflowError,
)
"""What Python's readers raise on archives that are damaged, encrypted or of an unknown method."""


@dataclass(frozen=True)
class Packed:
    """A regular file in an archive: its display name and its content."""

    name: str
    content: bytes


def open_zip(file: BinaryIO) -> zipfile.ZipFile:
    """Open a ZIP file.

    Raises:
        UploadProblem: it is damaged.
    """
    file.seek(0)
    try:
        return zipfile.ZipFile(file)
    except _DAMAGED as error:
        raise UploadProblem("the archive is damaged or cut short", code="damaged_archive") from error


def check_sizes(archive: zipfile.ZipFile, file: BinaryIO, limits: UploadLimits) -> None:
    """Refuse what would unpack to too much, by what the archive says of itself; readers hold it to that.

    Raises:
        UploadProblem: too many entries or bytes, too high a ratio, or an encrypted entry.
    """
    _check_entries(len(archive.infolist()), limits)
    _check_unpacked(sum(info.file_size for info in archive.infolist()), _size(file), limits)
    for info in archive.infolist():
        if info.flag_bits & 0x1:
            raise UploadProblem(f"{shown(info.filename)} is encrypted", code="encrypted")


def files_in(file: BinaryIO, limits: UploadLimits) -> Iterator[Packed]:
    """Read the regular files of a ZIP or tar archive one after another; hidden ones and those of the system's are passed over.

    Raises:
        UploadProblem: the archive is damaged, encrypted or too large.
    """
    file.seek(0)
    is_zip = file.read(4).startswith(b"PK")
    yield from _zipped(file, limits) if is_zip else _tarred(file, limits)


def _zipped(file: BinaryIO, limits: UploadLimits) -> Iterator[Packed]:
    with open_zip(file) as archive:
        check_sizes(archive, file, limits)
        for info in archive.infolist():
            if info.is_dir() or _is_hidden(info.filename):
                continue
            _check_entry(info.filename, info.file_size, limits)
            try:
                content = archive.read(info)
            except _DAMAGED as error:
                raise UploadProblem(f"{shown(info.filename)} cannot be unpacked: the archive is damaged", code="damaged_archive") from error
            yield Packed(info.filename, content)


def _tarred(file: BinaryIO, limits: UploadLimits) -> Iterator[Packed]:
    received, unpacked, entries = _size(file), 0, 0
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:*") as archive:
            for member in archive:
                entries += 1
                _check_entries(entries, limits)
                unpacked += max(0, member.size)
                _check_unpacked(unpacked, received, limits)
                if not member.isfile() or _is_hidden(member.name):
                    continue
                _check_entry(member.name, member.size, limits)
                opened = archive.extractfile(member)
                content = b"" if opened is None else opened.read()
                if len(content) != member.size:
                    raise UploadProblem(f"{shown(member.name)} is cut short: the archive is damaged", code="damaged_archive")
                yield Packed(member.name, content)
    except _DAMAGED as error:
        if isinstance(error, UploadProblem):
            raise
        raise UploadProblem("the archive is damaged or cut short", code="damaged_archive") from error


def _size(file: BinaryIO) -> int:
    return file.seek(0, 2)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _check_entries(count: int, limits: UploadLimits) -> None:
    if count > limits.max_archive_entries:
        raise UploadProblem(f"the archive has more than the {limits.max_archive_entries} entries allowed", code="too_many_entries")


def _check_entry(name: str, size: int, limits: UploadLimits) -> None:
    if size > limits.max_entry_bytes:
        raise UploadProblem(f"{shown(name)} is of {size} bytes, more than the {limits.max_entry_bytes} allowed", code="entry_too_large")


def _check_unpacked(unpacked: int, received: int, limits: UploadLimits) -> None:
    if unpacked > limits.max_unpacked_bytes or unpacked > max(_FREE_BYTES, received * limits.max_ratio):
        message = f"the archive unpacks to {unpacked} bytes or more from {received}, more than is allowed"
        raise UploadProblem(message, code="unpacks_too_large")

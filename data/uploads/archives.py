"""Archives: opened warily, measured before they are unpacked, never unpacked to a path."""

import bz2
import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, cast

from data.uploads.limits import UploadLimits
from data.uploads.problems import UploadProblem, shown

_FREE_BYTES = 100_000_000
"""An archive of up to so many unpacked bytes is no bomb, whatever its ratio."""
_MOST_OF_HEADERS = 4_194_304
"""Bytes that the headers of one entry of a tar archive may take."""
_PIECE = 65_536
_CHUNK = 1_048_576
_ENTRY_MARK = b"PK\x01\x02"
COMPRESSED_TARS = {b"\x1f\x8b": gzip.GzipFile, b"BZh": bz2.BZ2File, b"\xfd7zXZ\x00": lzma.LZMAFile}
DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    LookupError,
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


def open_zip(file: BinaryIO, limits: UploadLimits) -> zipfile.ZipFile:
    """Open a ZIP file, after its entries were counted: a listing takes memory.

    Raises:
        UploadProblem: it is damaged, or has too many entries.
    """
    _check_entries(_occurrences(file, _ENTRY_MARK), limits)
    file.seek(0)
    try:
        return zipfile.ZipFile(file)
    except DAMAGED as error:
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
            raise UploadProblem(f"{shown(info.filename)} is encrypted: pack it without a password", code="encrypted")


def files_in(file: BinaryIO, limits: UploadLimits) -> Iterator[Packed]:
    """Read the regular files of a ZIP or tar archive one after another; hidden ones and those of the system's are passed over.

    Raises:
        UploadProblem: the archive is damaged, encrypted or too large.
    """
    file.seek(0)
    is_zip = file.read(4).startswith(b"PK")
    yield from _zipped(file, limits) if is_zip else _tarred(file, limits)


def _zipped(file: BinaryIO, limits: UploadLimits) -> Iterator[Packed]:
    with open_zip(file, limits) as archive:
        check_sizes(archive, file, limits)
        for info in archive.infolist():
            if info.is_dir() or _is_hidden(info.filename):
                continue
            _check_entry(info.filename, info.file_size, limits)
            try:
                content = archive.read(info)
            except DAMAGED as error:
                raise UploadProblem(f"{shown(info.filename)} cannot be unpacked: the archive is damaged", code="damaged_archive") from error
            yield Packed(info.filename, content)


def _tarred(file: BinaryIO, limits: UploadLimits) -> Iterator[Packed]:
    received, unpacked, entries = _size(file), 0, 0
    metered = _Metered(_decompressed(file))
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", metered), mode="r:") as archive:
            for member in archive:
                metered.spent = 0
                entries += 1
                _check_entries(entries, limits)
                unpacked += max(0, member.size)
                _check_unpacked(unpacked, received, limits)
                if not member.isfile() or _is_hidden(member.name):
                    continue
                _check_entry(member.name, member.size, limits)
                yield Packed(member.name, _content(archive, member, metered))
        if metered.last != bytes(tarfile.BLOCKSIZE):  # tarfile takes a header that is damaged or cut off for the end
            raise UploadProblem("the archive is damaged or cut short: it has no end mark", code="damaged_archive")
    except DAMAGED as error:
        if isinstance(error, UploadProblem):
            raise
        raise UploadProblem(
            "the archive is damaged or cut short, or is no tar archive (tables are sent as they are, not packed)", code="damaged_archive"
        ) from error


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, metered: "_Metered") -> bytes:
    opened = archive.extractfile(member)
    pieces: list[bytes] = []
    while opened is not None and (piece := opened.read(_PIECE)):
        pieces.append(piece)
        metered.spent = 0
    content = b"".join(pieces)
    if len(content) != member.size:
        raise UploadProblem(f"{shown(member.name)} is cut short: the archive is damaged", code="damaged_archive")
    return content


class _Metered:
    """A tar archive's bytes, of which only so many may be read before the next entry is known: headers can claim to be of any size."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.spent = 0
        self.last = b""

    def read(self, size: int) -> bytes:
        """Read some bytes."""
        self.spent += size
        if size < 0 or self.spent > _MOST_OF_HEADERS:
            raise tarfile.ReadError("headers are too long")
        self.last = self._file.read(size)
        return self.last

    def seek(self, position: int) -> int:
        """Go to a place."""
        return self._file.seek(position)

    def tell(self) -> int:
        """Tell the place."""
        return self._file.tell()


def _decompressed(file: BinaryIO) -> BinaryIO:
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    for mark, reader in COMPRESSED_TARS.items():
        if start.startswith(mark):
            opened: Any = reader(file) if reader is not gzip.GzipFile else gzip.GzipFile(fileobj=file, mode="rb")
            return cast("BinaryIO", opened)
    return file


def _occurrences(file: BinaryIO, mark: bytes) -> int:
    file.seek(0)
    count, end = 0, b""
    while chunk := file.read(_CHUNK):
        count += (end + chunk).count(mark)
        end = (end + chunk)[-(len(mark) - 1) :]
    return count


def _size(file: BinaryIO) -> int:
    return file.seek(0, 2)


def _is_hidden(name: str) -> bool:
    return any((part.startswith(".") and part not in {".", ".."}) or part == "__MACOSX" for part in name.split("/"))


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

"""Archives that would do harm: bombs, false names, endless headers. Nothing of them is written anywhere but into rows."""

import contextlib
import gzip
import io
import tarfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from data.uploads.limits import UploadLimits
from data.uploads.problems import UploadProblem
from tests.uploads import folders, gray, npz, parquet_of, refused, take, tarred, zipped


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_what_unpacks_to_too_much_is_refused(pack: Any) -> None:
    bomb = pack({"a/1.png": gray(), "b/zeros.png": bytes(2_000_000)})
    assert refused(bomb, UploadLimits(max_unpacked_bytes=1_000_000)).code == "unpacks_too_large"
    assert refused(bomb, UploadLimits(max_entry_bytes=1_000_000)).code == "entry_too_large"


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_ratio_that_only_bombs_have_is_refused(pack: Any) -> None:
    bomb = pack({f"b/{i}.bin": bytes(10_000_000) for i in range(11)})
    assert len(bomb) < 1_000_000
    assert refused(bomb, UploadLimits(max_ratio=100)).code == "unpacks_too_large"


def test_a_word_that_parquet_holds_once_and_rows_a_million_times_takes_no_memory() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(300_000, np.int32)), pa.array(["w" * 1_000_000]))
    content = parquet_of({"a": column, "y": pa.array(np.arange(300_000) % 2)})
    assert len(content) < 2_000_000
    problem = refused(content, target="y")
    assert problem.code == "too_large"
    assert pa.default_memory_pool().max_memory() < 2_000_000_000


def test_arrays_are_bombs_too() -> None:
    content = npz(x=np.zeros((20_000, 100)), y=np.arange(20_000) % 2)
    assert refused(content, UploadLimits(max_unpacked_bytes=1_000_000)).code == "unpacks_too_large"
    assert len(take(content).x) == 20_000


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_too_many_entries_are_refused_before_they_are_listed(pack: Any) -> None:
    content = pack({f"a/{i}.txt": b"" for i in range(50)})
    assert refused(content, UploadLimits(max_archive_entries=49)).code == "too_many_entries"


def test_an_entry_that_says_less_than_it_holds_gives_no_more() -> None:
    content = bytearray(zipped({"a/1.png": gray(), "b/1.png": bytes(1_000_000)}))
    size = (1_000_000).to_bytes(4, "little")
    assert content.count(size) == 2
    assert refused(bytes(content.replace(size, (100).to_bytes(4, "little")))).code == "damaged_archive"


def test_encrypted_entries_are_refused() -> None:
    content = bytearray(zipped(folders()))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.index(mark)
        content[at + offset] |= 1
    problem = refused(bytes(content))
    assert problem.code == "encrypted"
    assert "'cat/0.png'" in str(problem)


def _header(kind: bytes, size: int, format_: int) -> bytes:
    member = tarfile.TarInfo("a/1.png")
    member.type, member.size = kind, size
    return member.tobuf(format_)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_headers_without_end_take_no_memory(kind: bytes) -> None:
    content = gzip.compress(_header(kind, 300_000_000, tarfile.GNU_FORMAT) + bytes(300_000_000), 1)
    tracemalloc.start()
    try:
        problem = refused(content)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
    assert problem.code == "damaged_archive"


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_headers_of_headers_end_somewhere(kind: bytes) -> None:
    assert refused(_header(kind, 0, tarfile.PAX_FORMAT) * 5000 + bytes(1024)).code == "damaged_archive"


def test_links_and_devices_are_passed_over(tmp_path: Path) -> None:
    """B123."""
    (tmp_path / "secret.png").write_bytes(gray(200))
    content = io.BytesIO(tarred(folders(), "w"))
    with tarfile.open(fileobj=content, mode="a") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
            member = tarfile.TarInfo(f"cat/{kind.decode()}.png")
            member.type, member.linkname = kind, str(tmp_path / "secret.png")
            archive.addfile(member)
    taken = take(content.getvalue())
    assert len(taken.x) == 4
    assert taken.x.max() < 200


@pytest.mark.parametrize(
    "name", ["../cat/x.png", "/etc/cat/x.png", "../../../x.png", "C:\\cat\\x.png", "cat/../../x.png", "~/cat/x.png", "cat\\x.png"]
)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_no_name_leads_out_of_the_archive(name: str, pack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """B123: what the folders around hold stays the same."""
    here = tmp_path / "a" / "b"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    content = pack({name: gray(), **folders()})
    before = _around(tmp_path)
    with contextlib.suppress(UploadProblem):  # a name may be refused or read
        assert set(take(content).labels or ()) == {"cat", "dog"}
    assert _around(tmp_path) == before


def _around(folder: Path) -> list[list[str]]:
    return [
        sorted(map(str, folder.rglob("*"))),
        *(sorted(path.name for path in place.iterdir()) for place in (Path("/"), Path("/etc"), Path.home())),
    ]


@pytest.mark.parametrize("name", ["a\x00b/x.png", "a\x1bb/x.png", "\udcff/x.png", f"{'a' * 201}/x.png"])
def test_folders_that_can_name_no_class_are_refused(name: str) -> None:
    """B123: also names with NUL, which tar can hold."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for each in (name, "cat/1.png"):
            member = tarfile.TarInfo("x" if each == name else each)
            member.size = len(gray())
            if each == name:
                member.pax_headers = {"path": name}
            archive.addfile(member, io.BytesIO(gray()))
    problem = refused(content.getvalue())
    assert problem.code in {"bad_class_name", "damaged_archive"}
    str(problem).encode()


@pytest.mark.parametrize(
    "content", [tarred(folders()), tarred(folders(), "w:bz2"), tarred(folders(), "w:xz"), tarred(folders(), "w"), zipped(folders())]
)
def test_archives_that_are_cut_short_or_altered_are_refused(content: bytes) -> None:
    whole = len(content.rstrip(b"\x00"))
    for end in (whole // 4, whole // 2, whole - 1024, whole - 300, whole):
        if end < whole or content.endswith(bytes(1024)):
            assert refused(content[: max(8, end)]).code in {"damaged_archive", "no_target"}
    for at in range(20, len(content), max(1, len(content) // 40)):
        altered = bytearray(content)
        altered[at] ^= 0xFF
        with contextlib.suppress(UploadProblem):
            take(bytes(altered))


def test_a_packed_table_is_refused_with_what_to_do() -> None:
    assert "no tar" in str(refused(gzip.compress(b"a,y\n1,p\n2,q\n" * 50)))
    assert "tables are sent as they are" in str(refused(zipped({"t.csv": b"a,y\n1,p\n"}, zipfile.ZIP_STORED)))

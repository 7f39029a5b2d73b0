"""Uploads nobody would send: every answer is a dataset or a problem, soon, and what is refused leaves no file."""

import io
import json
import struct
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.app import create_app
from data.uploads.limits import UploadLimits
from store.engine import Database
from tests.api.conftest import StrictClient, settings_for
from tests.uploads import folders, npz, parquet_of, picture, tarred, zipped

LIMITS = UploadLimits(
    max_rows=100_000,
    max_values=2_000_000,
    max_row_values=500_000,
    max_image_pixels=1_000_000,
    max_archive_entries=2000,
    max_entry_bytes=2_000_000,
    max_unpacked_bytes=50_000_000,
)
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
TABLE = b"a,b,g,t,s,y\n1,x,u,2026-01-01,train,p\n,z,v,2026-01-02,val,q\n3.5,x,u,2026-01-03,test,p\n"
Y = np.array([0, 1, 0, 1])
WHOLE = [
    TABLE,
    TABLE.replace(b",", b";").decode().encode("utf-16"),
    parquet_of({"a": pa.array([1.5, None, 2]), "b": pa.array(["x", "z", "x"]), "y": pa.array(["p", "q", "p"]).dictionary_encode()}),
    npz(x=np.eye(4), y=Y, t=np.arange(4).astype("M8[D]"), g=np.array(["u", "v", "u", "v"])),
    npz(x=np.ones((4, 1, 3, 3), np.uint8), y=np.array(["p", "q", "p", "q"])),
    zipped(folders()),
    tarred(folders()),
    tarred(folders(), "w"),
    zipped({f"{label}/{i}.jpg": picture(np.full((9, 9, 3), i, np.uint8), "JPEG") for label in "ab" for i in range(2)}, zipfile.ZIP_STORED),
]
CELLS = ["1", "-2.5", "1e308", "-1e308", "1e999", "nan", "inf", "", "NA", "p", "q", '"', '"a,b"', '"a\nb"', "1,5", "é", "\x00", "\u2028", "\ufeff", "\r",
         "2026-01-01", "2026-01-01T00:00:00Z", "2026-13-01", "train", "val", "x" * 300, "+1", " "]  # fmt: skip
SCHEMAS: list[dict[str, Any]] = [
    {"target": "y"},
    {"target": "y", "group": "g", "time": "t", "split": "s"},
    {"target": "y", "task": "regression"},
    {"target": "b", "features": ["a", "y"]},
    {"target": "y", "columns": {"a": "category", "b": {"order": ["x", "z"]}}},
    {"target": "y", "csv": {"delimiter": ";", "decimal": ",", "missing_values": ["1"]}},
    {"images": {"size": [5, 4], "channels": "rgba", "broken": "skip"}},
    {"images": {"broken": "skip"}},
    {},
]


@pytest.fixture
def fuzzed(sqlite_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StrictClient]:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    app = create_app(settings_for(sqlite_db, tmp_path, upload_limits=LIMITS))
    with StrictClient(app, raise_server_exceptions=False) as found:
        yield found


def _artifacts(home: Path) -> int:
    return sum(path.is_file() for path in (home / "artifacts").rglob("*"))


def _check(client: StrictClient, home: Path, content: bytes, schema: str | bytes) -> None:
    before, began = _artifacts(home), time.monotonic()
    files: dict[str, Any] = {"file": ("upload", content), "schema": (None, schema)}
    answer = client.post("/v1/datasets", files=files)
    assert time.monotonic() - began < 20
    assert answer.status_code in {200, 201, 400, 413, 415, 422}, answer.text
    if answer.status_code != 201:
        assert _artifacts(home) == before
    else:
        where = answer.headers["location"]
        assert _artifacts(home) > before
        assert client.get(where).json() == answer.json()
        assert client.get("/v1/datasets").status_code == 200
    assert list((home / "scratch").iterdir()) == []


def _mutated(content: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    altered = bytearray(content)
    for kind, place, piece in changes:
        at = place % (len(altered) + 1)
        if kind == 0:
            altered[at : at + len(piece)] = piece
        elif kind == 1:
            altered[at:at] = piece
        elif kind == 2:
            del altered[at : at + len(piece) + 1]
        elif kind == 3 and len(altered) > at:
            altered[at] ^= 1 << (len(piece) % 8)
        elif kind == 4:
            del altered[at:]
    return bytes(altered)


changes = st.lists(
    st.tuples(st.sampled_from([0, 0, 1, 2, 3, 3, 3, 4]), st.integers(0, 10_000), st.binary(max_size=9)), min_size=1, max_size=8
)
schemas = st.sampled_from(SCHEMAS).map(json.dumps)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(["y", "a", "number", "category", "utf-16", ";"])
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=9) | st.sampled_from(["order", "size", "encoding", "delimiter", "header", "y", "a", "b"]), inner, max_size=4
        )
    ),
    max_leaves=9,
)
near = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(max_size=9) | anything,
        "target": st.sampled_from(["y", "a", "b", "t"]) | anything,
        "task": st.sampled_from(["classification", "regression"]) | anything,
        "features": st.lists(st.sampled_from(["a", "b", "x", "y"]), max_size=3) | anything,
        "group": st.sampled_from(["g", "b", "y"]) | anything,
        "time": st.sampled_from(["t", "a"]) | anything,
        "split": st.sampled_from(["s", "b"]) | anything,
        "columns": st.dictionaries(
            st.sampled_from(["a", "b", "y", "g"]),
            st.sampled_from(["number", "category", "ignore"]) | st.fixed_dictionaries({"order": st.lists(st.sampled_from(["x", "z", "1", "?"]), max_size=4)}),
            max_size=3,
        )
        | anything,
        "csv": st.fixed_dictionaries(
            {},
            optional={
                "delimiter": st.sampled_from([",", ";", "\t", "|"]),
                "decimal": st.sampled_from([".", ","]),
                "header": st.booleans(),
                "missing_values": st.lists(st.sampled_from(["", "1", "x", "p"]), max_size=3),
                "encoding": st.sampled_from(["utf-8", "utf-16", "cp1252", "utf-7", "cp037", "zlib", "idna", "unicode_escape", "hz", "big5", "utf-32-be"])
                | st.text(min_size=1, max_size=9),
            },
        )
        | anything,
        "images": st.fixed_dictionaries(
            {},
            optional={
                "size": st.lists(st.integers(0, 4097), min_size=2, max_size=2),
                "channels": st.sampled_from(["gray", "rgb", "rgba"]),
                "broken": st.just("skip"),
            },
        )
        | anything,
    },
)  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    delimiter, width = draw(st.sampled_from([",", ";", "\t", "|"])), draw(st.integers(1, 6))
    rows = draw(st.lists(st.lists(st.sampled_from(CELLS), min_size=width, max_size=width), max_size=9))
    header = draw(st.permutations(["a", "b", "g", "t", "s", "y"][-width:]))
    text = draw(st.sampled_from(["\n", "\r\n", "\r"])).join(delimiter.join(row) for row in [header, *rows])
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252", "utf-32", "utf-16-be"])), "replace")


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    """Make an array file whose header may say anything."""
    descr = draw(
        st.sampled_from(
            [
                "'<f8'",
                "'>f4'",
                "'|u1'",
                "'<i8'",
                "'<U2'",
                "'|S3'",
                "'<U0'",
                "'|O'",
                "'<M8[D]'",
                "'<M8'",
                "'<c8'",
                "'|V4'",
                "[('a', '<f8')]",
                "('<f8', (2,))",
                "x",
            ]
        )
    )
    shape = draw(st.lists(st.sampled_from([0, 1, 2, 3, 4, 4, 4, -1, 10**6, 10**12, 2**62, 2**70]), max_size=6))
    text = f"{{'descr': {descr}, 'fortran_order': {draw(st.sampled_from([False, False, True]))}, 'shape': {tuple(shape)}, }}\n"
    version = draw(st.sampled_from([1, 1, 1, 2, 3, 7]))
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    content = b"\x93NUMPY" + bytes([version, 0]) + size + text.encode() + draw(st.sampled_from([b"", bytes(32), bytes(128), b"\xff" * 64]))
    return _mutated(content, draw(st.just([]) | changes))


names = st.sampled_from(["a/1.png", "b/2.png", "../a/3.png", "/a/4.jpg", "a\\5.png", "1.png", "x.npy", "y.npy", "train/a/1.png", "test/b/2.png", "a/b.txt", "a/", "b/6.png"]) | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20
)  # fmt: skip
entries = st.lists(st.tuples(names, st.sampled_from([*folders().values(), b"", b"PK", TABLE]) | headers()), max_size=7)


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    content = io.BytesIO()
    found = dict(draw(entries))
    if draw(st.booleans()):
        found = {
            name: file for name, file in found.items() if not name.startswith("\0")
        }  # zipfile cuts names there, and writes no empty one
        return zipped(found, draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])))
    mode: Any = draw(st.sampled_from(["w", "w:gz", "w:bz2", "w:xz"]))
    with tarfile.open(fileobj=content, mode=mode, format=draw(st.sampled_from([0, 1, 2]))) as archive:
        for name, file in found.items():
            member = tarfile.TarInfo(name[:90].replace("\x00", ""))
            member.size, member.type = len(file), draw(st.sampled_from([b"0"] * 8 + [b"1", b"2", b"5", b"S", b"L", b"x", b"g"]))
            archive.addfile(member, io.BytesIO(file))
    return content.getvalue()


@FUZZ
@given(content=tables() | st.binary(max_size=200), schema=schemas)
def test_tables_of_any_cells(fuzzed: StrictClient, tmp_path: Path, content: bytes, schema: str) -> None:
    _check(fuzzed, tmp_path, content, schema)


@settings(FUZZ, max_examples=120)
@given(content=st.sampled_from(WHOLE), altered=changes, schema=schemas)
def test_files_that_were_altered(
    fuzzed: StrictClient, tmp_path: Path, content: bytes, altered: list[tuple[int, int, bytes]], schema: str
) -> None:
    _check(fuzzed, tmp_path, _mutated(content, altered), schema)


@FUZZ
@given(content=archives(), schema=schemas)
def test_archives_of_anything(fuzzed: StrictClient, tmp_path: Path, content: bytes, schema: str) -> None:
    _check(fuzzed, tmp_path, content, schema)


@FUZZ
@given(x=headers(), y=headers())
def test_arrays_whose_headers_say_anything(fuzzed: StrictClient, tmp_path: Path, x: bytes, y: bytes) -> None:
    _check(fuzzed, tmp_path, zipped({"x.npy": x, "y.npy": y}), "{}")


@settings(FUZZ, max_examples=120)
@given(content=st.sampled_from(WHOLE), schema=st.one_of(near, near, anything).map(json.dumps) | st.text(max_size=20))
def test_schemas_of_any_shape(fuzzed: StrictClient, tmp_path: Path, content: bytes, schema: str) -> None:
    _check(fuzzed, tmp_path, content, schema.encode("utf-8", "surrogatepass"))

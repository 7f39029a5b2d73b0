"""NPZ files: ranks, types, words; and what damaged or hostile ones do not get done."""

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.dataset import Array
from data.uploads.limits import UploadLimits
from tests.uploads import npz, refused, take, zipped

Y = np.array([0, 1, 0, 1])


def _npy(descr: str = "'<f8'", shape: object = (4, 2), data: bytes = b"", version: int = 1, header: str | None = None) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}" if header is None else header
    size = struct.pack("<H" if version == 1 else "<I", len(text) + 1)
    return b"\x93NUMPY" + bytes([version, 0]) + size + text.encode("latin-1") + b"\n" + data


def _saved(array: Any, *, pickled: bool = False) -> bytes:
    content = io.BytesIO()
    np.save(content, array, allow_pickle=pickled)
    return content.getvalue()


@pytest.mark.parametrize(
    ("shape", "kind"), [((4, 3), "table"), ((4, 2, 5), "signal"), ((4, 1, 3, 2), "image"), ((4, 1, 3, 2, 2), "volume")]
)
def test_each_rank_is_a_kind_and_rows_stay_as_they_are(shape: tuple[int, ...], kind: str) -> None:
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    taken = take(npz(x=x, y=Y))
    assert (taken.ingested.info.kind, taken.ingested.info.input_shape) == (kind, shape[1:])
    assert np.array_equal(taken.x, x)
    assert taken.labels == ("0", "1")


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "<u2", ">u2", "<i4", ">i8", "u8", "<f2", ">f4", "<f8"])
@pytest.mark.parametrize("shape", [(4, 3), (4, 1, 3, 2)])
def test_numbers_of_every_type_are_read_exactly(dtype: str, shape: tuple[int, ...]) -> None:
    x = (np.arange(np.prod(shape)) % 2 if dtype == "?" else np.arange(np.prod(shape))).reshape(shape).astype(dtype)
    taken = take(npz(x=x, y=Y))
    assert np.array_equal(taken.x.astype(np.float64), x.astype(np.float64))
    assert taken.x.dtype.isnative


@pytest.mark.parametrize(
    ("dtype", "high", "unit"),
    [
        ("u1", 9, 255),
        ("<u2", 256, 65535),
        ("<u2", 9, 65535),
        ("<f4", 1, 1),
        ("<f4", 200, 1),
        ("<i4", 255, 255),
        ("<i8", 300, 255),
        ("?", 1, 1),
    ],
)
def test_pixels_are_divided_by_what_their_type_says_whatever_they_are(dtype: str, high: int, unit: int) -> None:
    """B006: a divisor by value would tell the training rows of those that are held out."""
    x = np.zeros((4, 1, 2, 2), dtype)
    x[0, 0, 0, 0] = high
    taken = take(npz(x=x, y=Y))
    assert taken.ingested.x_unit == unit
    assert ("augmentations expect [0, 1]" in taken.warnings) == (high > unit)


@pytest.mark.parametrize(
    ("y", "labels"),
    [
        (np.array(["b", "a", "b", "ü"]), ("a", "b", "ü")),
        (np.array([b"b", b"a", b"b", "ü".encode()]), ("a", "b", "ü")),
        (np.array([10, 2, 10, 2]), ("2", "10")),
        (np.array(["10", "2", "10", "2"]), ("2", "10")),
        (np.array([True, False, True, False]), ("0", "1")),
        (np.array([10.5, 2.5, 10.5, -1]), None),
    ],
)
def test_labels_are_words_or_numbers_in_order(y: Array, labels: tuple[str, ...] | None) -> None:
    taken = take(npz(x=np.eye(4), y=y))
    assert taken.labels == labels
    if labels is None:
        assert np.array_equal(taken.y, y)
    else:
        words = [one.decode() if isinstance(one, bytes) else one if isinstance(one, str) else str(int(one)) for one in y.tolist()]
        assert [labels[i] for i in taken.y] == words


def test_classes_asked_of_numbers_with_fractions_stay_in_order_of_size() -> None:
    taken = take(npz(x=np.eye(4), y=np.array([10.5, 2.5, 10.5, -1])), task="classification")
    assert taken.labels == ("-1", "2.5", "10.5")
    assert taken.y.tolist() == [2, 1, 2, 0]


def test_group_time_and_split_are_arrays_too() -> None:
    arrays = {"g": np.array(["v", "u", "v", "u"]), "t": np.array(["2026-01-02", "2026-01-01", "2026-01-03", "2026-01-04"], "M8[D]")}
    content = npz(x=np.eye(4), y=Y, s=np.array(["train", "VAL", b"test".decode(), "train"]), **arrays)
    taken = take(content, group="g", time="t", split="s")
    assert taken.arrays["groups"].tolist() == [1, 0, 1, 0]
    assert np.argsort(taken.arrays["times"]).tolist() == [1, 0, 2, 3]
    assert taken.arrays["parts"].tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("arrays", "schema", "pointer", "word"),
    [
        ({"g": [1, np.nan, 2, 2]}, {"group": "g"}, "/group", "row 2"),
        ({"t": [1, 2, np.inf, 3]}, {"time": "t"}, "/time", "row 3"),
        ({"t": np.array(["2026", "NaT", "2027", "2028"], "M8[Y]")}, {"time": "t"}, "/time", "row 2"),
        ({"t": ["a", "b", "c", "d"]}, {"time": "t"}, "/time", "numbers or datetime64"),
        ({"s": ["train", "dev", "val", "val"]}, {"split": "s"}, "/split", "row 2"),
        ({"s": ["val", "val", "val", "val"]}, {"split": "s"}, "/split", "no row to train on"),
        ({"y": [0.0, 1, np.nan, 1]}, {}, "/target", "row 3"),
        ({"y": [0, 1, 0]}, {}, "/target", "has 4 rows"),
        ({"y": [[0], [1], [0], [1]]}, {}, "/target", "must be [4]"),
        ({"y": np.array(["2026"] * 4, "M8[Y]")}, {}, "/target", "instant"),
        ({"y": ["a", "b", "a", "b"]}, {"task": "regression"}, "/task", "words"),
        ({"y": [1, 1, 1, 1]}, {"task": "classification"}, "/target", "one value only"),
        ({"y": np.array([b"\xff", b"a", b"a", b"a"])}, {}, "/target", "not Unicode"),
        ({"y": np.array(["\ud800", "a", "a", "a"])}, {}, "/target", "not Unicode"),
        ({"y": np.array(["a" * 251, "b", "b", "b"])}, {}, "/target", "250 characters"),
        ({"y": [1j, 0, 1, 0]}, {}, "/target", "complex"),
        ({"y": np.array(["", "", "", ""])}, {}, "/target", "one value only"),
        ({"x": [[1, np.nan]] * 4}, {}, "/features/0", "no value in any row"),
        ({"x": [[[1.0, np.nan]]] * 4}, {}, "/features/0", "row 1"),
        ({"x": np.eye(4) * 1j}, {}, "/features/0", "complex"),
        ({"x": np.array(["a", "b"] * 4).reshape(4, 2)}, {}, "/features/0", "numbers"),
        ({"x": [1, 2, 3, 4]}, {}, "/features/0", "rows are"),
        ({"x": np.ones((4, 0))}, {}, "/features/0", "rows are"),
        ({"x": np.ones((1, 2)), "y": [1]}, {}, "/features/0", "one row"),
        ({}, {"target": "z"}, "/target", "no array 'z'"),
        ({}, {"features": ["z"]}, "/features/0", "no array 'z'"),
        ({}, {"features": ["x", "y"]}, "/features", "one array"),
        ({}, {"group": "y"}, "/target", "two of"),
        ({}, {"columns": {"a": "number"}}, "/columns", "nothing of arrays"),
        ({}, {"csv": {"header": False}}, "/csv", "nothing of arrays"),
    ],
)
def test_what_cannot_be_used_is_pointed_at(arrays: dict[str, Any], schema: dict[str, Any], pointer: str, word: str) -> None:
    problem = refused(npz(**{"x": np.eye(4), "y": Y, **{name: np.asarray(array) for name, array in arrays.items()}}), **schema)
    assert problem.pointer == pointer
    assert word in str(problem)


def test_no_label_holds_nul() -> None:
    """B019."""
    problem = refused(npz(x=np.eye(4), y=np.array(["a", "b\x00b", "a", "a"])))
    assert (problem.code, problem.pointer) == ("holds_nul", "/target")
    assert "row 2" in str(problem)


def test_what_is_not_finite_in_a_table_is_missing() -> None:
    """B021."""
    taken = take(npz(x=np.array([[1, np.inf], [2, 3], [np.nan, 4], [5, -np.inf]]), y=Y))
    assert np.isnan(taken.x).tolist() == [[False, True], [False, False], [True, False], [False, True]]
    assert [(column.num_missing, column.first_missing_row) for column in taken.ingested.info.columns or ()] == [(1, 3), (2, 1)]


def test_objects_are_refused_and_no_pickle_is_run(tmp_path: Path) -> None:
    """B128: a file that would write a marker when it is unpickled writes none."""

    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "marker"),)

    hostile = np.array([Hostile()] * 4, dtype=object)
    for name in ("x", "y", "unused"):
        arrays = {"x.npy": _saved(np.eye(4)), "y.npy": _saved(Y), f"{name}.npy": _saved(hostile, pickled=True)}
        assert refused(zipped(arrays)).code == "holds_objects"
    assert refused(zipped({"x.npy": _saved(np.eye(4)), "y.npy": _saved(Y), "z.npy": pickle.dumps(Hostile())})).code == "damaged_array"
    assert refused(zipped({"x.npy": _saved(np.eye(4)), "data.pkl": pickle.dumps(Hostile())})).code == "unsupported_file"
    assert refused(pickle.dumps(Hostile()), target="y").code == "unsupported_file"
    assert refused(_saved(hostile, pickled=True), target="y").code == "unsupported_file"
    assert list(tmp_path.iterdir()) == []


def test_column_order_is_refused_with_what_to_do() -> None:
    problem = refused(npz(x=np.asfortranarray(np.arange(8.0).reshape(4, 2)), y=Y))
    assert problem.code == "column_order"
    assert "ascontiguousarray" in str(problem)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_entries_packed_in_any_way_are_read_and_damaged_ones_refused(method: int) -> None:
    x = np.random.default_rng(1).normal(size=(400, 20))
    content = zipped({"x.npy": _saved(x), "y.npy": _saved(np.arange(400) % 2)}, method)
    assert np.array_equal(take(content).x, x)
    for at in range(60, len(content) - 400, 997):
        broken = bytearray(content)
        broken[at] ^= 0x55
        assert refused(bytes(broken)).code in {"damaged_array", "damaged_archive"}
    for end in (2, 30, len(content) // 2, len(content) - 30):
        assert refused(content[:end]).code == "damaged_archive"


@pytest.mark.parametrize("cut", [-1, -8, -64, 1, 100])
def test_arrays_shorter_or_longer_than_their_header_says_are_refused(cut: int) -> None:
    whole = _saved(np.ones((4, 2)))
    other = whole[:cut] if cut < 0 else whole + bytes(cut)
    assert refused(zipped({"x.npy": other, "y.npy": _saved(Y)})).code == "damaged_array"


@pytest.mark.parametrize(
    "shape",
    [(10**15, 2), (2**62, 2**62), (4, 10**12), (4, 1, 10**9), (4, 1, 70_000, 70_000), (10**7, 2), (-1, 2), (4, -2), (True, 2), (4, 2**70)],
)
def test_a_header_that_lies_about_its_shape_costs_nothing(shape: tuple[int, ...]) -> None:
    y = _npy("'<i8'", (shape[0],), bytes(32))
    assert refused(zipped({"x.npy": _npy(shape=shape, data=bytes(64)), "y.npy": y})).code in {
        "too_large", "too_many_columns", "damaged_array", "wrong_shape",
    }  # fmt: skip


@pytest.mark.parametrize(
    "header",
    ["", "{", "[" * 3000, "(" * 300 + ")" * 300, "{'descr': '<f8'}", "'\\d'", "1if 2else 3",
     "{'descr': 'zz', 'fortran_order': False, 'shape': (4, 2), }", "{'descr': '<f8', 'fortran_order': 2, 'shape': (4, 2), }", "x" * 60_000, "\n\n  {'a"],
)  # fmt: skip
@pytest.mark.parametrize("version", [1, 2, 3, 9])
def test_headers_that_are_none_are_refused(header: str, version: int) -> None:
    content = zipped({"x.npy": _npy(header=header, version=version, data=bytes(64)), "y.npy": _saved(Y)})
    assert refused(content).code == "damaged_array"


@pytest.mark.parametrize("descr", ["'|S0'", "'<U0'", "'|V8'", "[('a', '<f8')]", "('<f8', (2,))", "'<f16'", "'<c8'", "'<m8[s]'"])
def test_types_that_are_no_numbers_or_words_are_refused(descr: str) -> None:
    for name in ("x", "y"):
        arrays = {"x.npy": _saved(np.eye(4)), "y.npy": _saved(Y)}
        arrays[f"{name}.npy"] = _npy(descr, (4, 4) if name == "x" else (4,), bytes(1024))
        assert refused(zipped(arrays)).code in {"wrong_type", "wrong_shape", "damaged_array"}


def test_entries_that_are_no_arrays_or_repeat_a_name_are_refused() -> None:
    assert refused(zipped({"x.npy": _saved(np.eye(4)), "y.npy": _saved(Y), "readme.txt": b"x"})).code == "not_an_array"
    twice = zipped({"x.npy": _saved(np.eye(4)), "z.npy": _saved(Y), "y.npy": _saved(Y)}).replace(b"z.npy", b"x.npy")
    assert refused(twice).code == "repeated_array"


def test_unused_arrays_are_named_and_signals_that_look_like_images_too() -> None:
    taken = take(npz(x=np.ones((4, 28, 28)), y=Y, z=Y))
    assert "arrays that are not used: 'z'" in taken.warnings
    assert "read as signals of 28 channels" in taken.warnings


@pytest.mark.parametrize(
    "limits", [UploadLimits(max_rows=3), UploadLimits(max_columns=3), UploadLimits(max_values=15), UploadLimits(max_classes=1)]
)
def test_limits_hold(limits: UploadLimits) -> None:
    assert refused(npz(x=np.eye(4), y=Y), limits).code in {"too_large", "too_many_columns", "too_many_classes"}


def test_numbers_near_the_ends_of_their_range_make_no_fuss() -> None:
    x = np.array([[1e308, -1e308], [-1e308, np.nan], [np.inf, 1e308], [5e-324, 0]])
    assert take(npz(x=x, y=np.array([1e308, -1e308, 0, 1e308]))).labels is None
    images = np.full((4, 1, 2, 2), 1e308)
    images[0] = -1e308
    assert take(npz(x=images, y=Y)).ingested.x_unit == 1


def test_headers_of_old_pythons_are_read_without_a_word() -> None:
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (4L, 2L), }"
    assert take(zipped({"x.npy": _npy(header=header, data=bytes(64)), "y.npy": _saved(Y)})).x.shape == (4, 2)


def test_axes_that_are_probably_in_another_order_are_pointed_out() -> None:
    assert "numpy.moveaxis" in take(npz(x=np.zeros((4, 28, 28, 3), np.uint8), y=Y)).warnings
    assert "numpy.moveaxis" not in take(npz(x=np.zeros((4, 3, 28, 28), np.uint8), y=Y)).warnings
    assert "gray images are" in take(npz(x=np.zeros((4, 8, 8)), y=Y)).warnings

"""Built-in datasets: real rows, honest descriptions."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from data import builtin
from data.idx import read_idx

EVERYWHERE = ("digits", "iris", "wine", "breast_cancer", "diabetes", "moons", "spirals", "noisy_sine")


def _write_idx(path: Path, values: np.ndarray) -> None:
    header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    path.write_bytes(gzip.compress(header + values.tobytes()))


@pytest.mark.parametrize("name", EVERYWHERE)
def test_a_dataset_is_what_its_description_says(name: str) -> None:
    info = builtin.info(name)
    data = builtin.load(name)
    assert data.x.shape == (info.num_rows, *info.input_shape)
    assert data.y.shape == (info.num_rows,)
    assert np.isfinite(data.x).all()
    assert info.available
    assert info.licence
    assert info.source
    if info.task == "classification":
        assert info.class_labels is not None
        assert info.class_counts == tuple(np.bincount(data.y, minlength=len(info.class_labels)))
    else:
        assert info.class_counts is None
        assert data.y.dtype == np.float64


@pytest.mark.parametrize("name", EVERYWHERE)
def test_rows_are_the_same_each_time_they_are_read(name: str) -> None:
    first = builtin.info(name).content_hash
    builtin.load.cache_clear()
    assert builtin.info(name).content_hash == first


def test_known_sizes() -> None:
    sizes = {
        name: (builtin.info(name).num_rows, builtin.info(name).input_shape)
        for name in ("digits", "iris", "wine", "breast_cancer", "diabetes")
    }
    assert sizes == {
        "digits": (1797, (1, 8, 8)),
        "iris": (150, (4,)),
        "wine": (178, (13,)),
        "breast_cancer": (569, (30,)),
        "diabetes": (442, (10,)),
    }


def test_an_unknown_id_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        builtin.info("nope")


def test_rows_cannot_be_changed_by_a_fit() -> None:
    with pytest.raises(ValueError, match="read-only"):
        builtin.load("iris").x[0, 0] = 1


def test_fashion_mnist_without_its_files_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDOUT_FASHION_MNIST", str(tmp_path))
    info = builtin.info("fashion_mnist")
    assert not info.available
    assert info.unavailable_reason is not None
    assert "dataset-fashion-mnist" in info.unavailable_reason
    assert info in builtin.catalog()


def test_fashion_mnist_is_read_from_its_idx_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = np.random.default_rng(0)
    for prefix, rows in (("train", 20), ("t10k", 10)):
        _write_idx(tmp_path / f"{prefix}-images-idx3-ubyte.gz", draws.integers(0, 256, (rows, 28, 28), dtype=np.uint8))
        _write_idx(tmp_path / f"{prefix}-labels-idx1-ubyte.gz", (np.arange(rows) % 10).astype(np.uint8))
    monkeypatch.setenv("HOLDOUT_FASHION_MNIST", str(tmp_path))
    builtin.load.cache_clear()
    try:
        info = builtin.info("fashion_mnist")
        assert (info.num_rows, info.input_shape, info.class_counts) == (30, (1, 28, 28), (3,) * 10)
    finally:
        builtin.load.cache_clear()


def test_an_idx_file_shorter_than_its_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "short-idx1-ubyte"
    path.write_bytes(struct.pack(">HBBI", 0, 8, 1, 5) + b"\x00\x01")
    with pytest.raises(ValueError, match="holds 2 values where its header promises 5"):
        read_idx(path)

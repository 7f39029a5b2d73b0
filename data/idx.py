"""The IDX format of the MNIST family, gzipped or plain."""

import gzip
import struct
from pathlib import Path

import numpy as np

from data.dataset import Array

_UNSIGNED_BYTE = 0x08


def read_idx(path: Path) -> Array:
    """Read an IDX file of unsigned bytes (magic 0, 0, 8, number of axes; big-endian sizes; values row-major).

    Raises:
        ValueError: not such a file, or its length disagrees with its header.
        OSError: the file cannot be read.
    """
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    if len(raw) < 4 or raw[:2] != b"\x00\x00" or raw[2] != _UNSIGNED_BYTE:
        raise ValueError(f"{path.name} is not an IDX file of unsigned bytes")
    header = 4 + 4 * raw[3]
    shape = struct.unpack(f">{raw[3]}I", raw[4:header])
    values = np.frombuffer(raw, dtype=np.uint8, offset=header)
    if values.size != int(np.prod(shape)):
        raise ValueError(f"{path.name} holds {values.size} values where its header promises {int(np.prod(shape))}")
    return values.reshape(shape)

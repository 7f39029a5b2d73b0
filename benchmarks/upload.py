"""What it takes to upload large files: seconds, and memory of the API and of the worker that trains on them (Linux).

A file of the size asked for is written, sent to the whole embedded service as a streamed form, understood, trained on for
one epoch, and sent again. Memory is what the kernel counts as resident: `VmHWM`, the peak, is reset before each stage.
The API must stay below 400 MB in all of it while it receives and reads.
"""

import argparse
import contextlib
import io
import json
import socket
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import psutil
import pyarrow as pa
from numpy.lib import format as npy
from PIL import Image
from pyarrow import csv as arrow_csv
from pyarrow import parquet
from rich.console import Console
from rich.table import Table

from cli.service import Service, running
from data.builtin import BUILTINS

TARGET_MB = 400
_BATCH = 100_000
_CSV_ROW_BYTES = 156
_SIGNAL = (8, 128)
_SAMPLE_SECONDS = 0.02
_MLP = {"name": "mlp", "hidden_units": [32]}
_CNN = {"name": "cnn", "blocks": [{"channels": 4}]}


@dataclass(frozen=True)
class _File:
    """A file to upload, its schema, and a network that can take its rows."""

    path: Path
    schema: dict[str, Any]
    network: dict[str, Any]


def _rows(rng: np.random.Generator, rows: int) -> pa.Table:
    """Draw 20 columns of numbers, each fourth whole and the others with four decimals, a column of words, and labels."""
    columns: dict[str, Any] = {}
    for i in range(20):
        whole = i % 4 == 3
        values = rng.integers(0, 10 ** (1 + i // 4), rows) if whole else np.round(rng.normal(0, 10.0 ** (i % 5 - 1), rows), 4)
        columns[f"x{i + 1}"] = values
    columns["word"] = np.array(["north", "south", "east", "west", "centre"])[rng.integers(0, 5, rows)]
    columns["label"] = np.array(["no", "yes"])[rng.integers(0, 2, rows)]
    return pa.table(columns)


def _tables(num_bytes: int) -> Iterator[pa.Table]:
    rng = np.random.default_rng(0)
    for _ in range(max(1, num_bytes // _CSV_ROW_BYTES // _BATCH)):
        yield _rows(rng, _BATCH)


def _csv(folder: Path, num_bytes: int) -> _File:
    path = folder / "table.csv"
    tables = _tables(num_bytes)
    first = next(tables)
    with arrow_csv.CSVWriter(path, first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)
    return _File(path, {"target": "label"}, _MLP)


def _parquet(folder: Path, num_bytes: int) -> _File:
    """Write the same rows, a million to a row group, as pyarrow does unless told otherwise."""
    path = folder / "table.parquet"
    tables = _tables(num_bytes)
    first = next(tables)
    with parquet.ParquetWriter(path, first.schema) as writer:
        group = [first]
        for table in tables:
            group.append(table)
            if len(group) * _BATCH >= 1_000_000:
                writer.write_table(pa.concat_tables(group))
                group = []
        if group:
            writer.write_table(pa.concat_tables(group))
    return _File(path, {"target": "label"}, _MLP)


def _npz(folder: Path, num_bytes: int) -> _File:
    """Write float32 signals [n, 8, 128] and their classes."""
    path = folder / "signals.npz"
    rng = np.random.default_rng(0)
    rows = num_bytes // (int(np.prod(_SIGNAL)) * 4)
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("x.npy", "w", force_zip64=True) as file:
            npy.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (rows, *_SIGNAL)})
            for start in range(0, rows, 1000):
                file.write(rng.standard_normal((min(1000, rows - start), *_SIGNAL), dtype=np.float32).tobytes())
        with archive.open("y.npy", "w") as file:
            npy.write_array(file, rng.integers(0, 5, rows))
    return _File(path, {}, _CNN)


def _png(folder: Path, _num_bytes: int) -> _File:
    """Pack 70 000 images of 28 x 28 in class folders: Fashion-MNIST where it is to be had, else noise."""
    path = folder / "images.zip"
    try:
        dataset = BUILTINS.load("fashion_mnist")
        x, y = dataset.x[:, 0].astype(np.uint8), dataset.y
    except (KeyError, OSError):
        rng = np.random.default_rng(0)
        x, y = rng.integers(0, 256, (70_000, 28, 28), dtype=np.uint8), rng.integers(0, 10, 70_000)
    with zipfile.ZipFile(path, "w") as archive:
        for i, (pixels, label) in enumerate(zip(x, y, strict=True)):
            content = io.BytesIO()
            Image.fromarray(pixels).save(content, "PNG", compress_level=1)
            archive.writestr(f"{label}/{i}.png", content.getvalue())
    return _File(path, {}, _CNN)


KINDS: dict[str, Callable[[Path, int], _File]] = {"csv": _csv, "parquet": _parquet, "npz": _npz, "png": _png}


def _memory(pid: int) -> dict[str, float]:
    """Read a process's resident memory in MB: now, of that what is no file's, and the peak since it was reset."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    found = {words[0]: int(words[1]) * 1024 / 1e6 for words in lines if len(words) == 3 and words[2] == "kB"}
    return {"total": found["VmRSS:"], "anonymous": found["RssAnon:"], "peak": found["VmHWM:"]}


@dataclass
class _Peaks:
    """Watches processes in a thread; `total` and `anonymous` are the largest found of any one of them, `child` of any they started."""

    pids: list[int]
    total: float = 0.0
    child: float = 0.0
    anonymous: float = 0.0
    _done: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        while not self._done.wait(_SAMPLE_SECONDS):
            self._look()

    def _look(self) -> None:
        for pid in self.pids:
            with contextlib.suppress(FileNotFoundError, KeyError):
                found = _memory(pid)
                self.total = max(self.total, found["total"], found["peak"])
                self.anonymous = max(self.anonymous, found["anonymous"])
            with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError, KeyError):
                self.child = max([self.child, *(_memory(one.pid)["peak"] for one in psutil.Process(pid).children())])

    @classmethod
    @contextlib.contextmanager
    def of(cls, pids: list[int]) -> Iterator["_Peaks"]:
        """Reset the kernel's peaks, then watch."""
        for pid in pids:
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        peaks = cls(pids)
        thread = threading.Thread(target=peaks.watch, daemon=True)
        thread.start()
        try:
            yield peaks
        finally:
            peaks._done.set()
            thread.join()
            peaks._look()


class _Sent(io.FileIO):
    """A file that remembers when it was read last: when all of it was sent."""

    read_at = 0.0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as asked."""
        found = super().read(-1 if size is None else size)
        self.read_at = time.perf_counter()
        return found or b""


def _sent(client: httpx2.Client, file: _File) -> tuple[httpx2.Response, float, float]:
    """Upload a file; give the answer, and the seconds of receiving and of reading."""
    with _Sent(file.path) as opened:
        began = time.perf_counter()
        form = {"file": (file.path.name, opened)}
        answer = client.post("/v1/datasets", data={"schema": json.dumps(file.schema)}, files=form)
        ended = time.perf_counter()
        if answer.is_error:
            raise RuntimeError(answer.text)
        return answer, opened.read_at - began, ended - opened.read_at


def _pid(service: Service, name: str) -> int:
    return next(process.popen.pid for process in service.processes if process.name == name and process.popen is not None)


def _measured(name: str, file: _File) -> list[tuple[str, str]]:
    """Send one file to a fresh service; give what was measured, line by line."""
    size = file.path.stat().st_size / 1e6
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (
        tempfile.TemporaryDirectory() as home,
        running(Path(home), port) as service,
        httpx2.Client(base_url=service.url, timeout=3600) as client,
    ):
        api = _pid(service, "api")
        client.get("/v1/datasets").raise_for_status()
        idle = _memory(api)
        with _Peaks.of([api]) as uploading:
            answer, receiving, reading = _sent(client, file)
        after, dataset = _memory(api), answer.json()
        workers = [child.pid for child in psutil.Process(_pid(service, "worker")).children(recursive=True)]
        idle_worker = max(_memory(pid)["total"] for pid in workers)
        with _Peaks.of([api]) as planning:
            spec = {"dataset": dataset["id"], "network": file.network, "training": {"max_epochs": 1, "batch_size": 4096}, "seed": 0}
            spec["evaluation"] = {"resamples": 100}  # the default of 1000 takes minutes on millions of rows
            with _Peaks.of(workers) as training:
                began = time.perf_counter()
                submitted = client.post("/v1/jobs", json=spec)
                if submitted.is_error:
                    raise RuntimeError(submitted.text)
                accepting = time.perf_counter() - began
                loading, epoch, job = _trained(client, submitted.headers["Location"])
        with _Peaks.of([api]) as again:
            repeated, receiving_again, reading_again = _sent(client, file)
        if (repeated.status_code, repeated.json()["id"]) != (200, dataset["id"]):
            raise RuntimeError("an equal upload became another dataset")
        stored = sum(one.stat().st_size for one in Path(home).rglob("*.npy")) / 1e6
    return [
        (f"{name}: rows x shape, MB", f"{dataset['num_rows']} x {dataset['input_shape']}, {size:.0f}"),
        ("API idle, MB (anonymous)", f"{idle['total']:.0f} ({idle['anonymous']:.0f})"),
        ("API peak while uploading, MB (anonymous)", f"{uploading.total:.0f} ({uploading.anonymous:.0f}); {_verdict(uploading)}"),
        ("peak of the process that reads for it, MB", f"{uploading.child:.0f}"),
        ("API after, MB (anonymous)", f"{after['total']:.0f} ({after['anonymous']:.0f})"),
        ("receiving, s", f"{receiving:.1f}"),
        ("reading, s", f"{reading:.1f}"),
        ("MB/s receiving, reading, both", f"{size / receiving:.0f}, {size / reading:.0f}, {size / (receiving + reading):.0f}"),
        ("API peak while planning a job, MB (anonymous)", f"{planning.total:.0f} ({planning.anonymous:.0f})"),
        ("accepting the job, s", f"{accepting:.1f}"),
        ("worker idle, MB", f"{idle_worker:.0f}"),
        ("worker peak, MB (anonymous)", f"{training.total:.0f} ({training.anonymous:.0f})"),
        ("loading and preparing, its epoch, whole job, s", f"{loading:.1f}, {epoch:.1f}, {job['running_seconds']:.1f}"),
        (
            "the same again: receiving, reading, s; API peak, MB",
            f"{receiving_again:.1f}, {reading_again:.1f}; {again.total:.0f}; {_verdict(again)}",
        ),
        ("stored after both, MB", f"{stored:.0f}"),
    ]


def _verdict(peaks: _Peaks) -> str:
    return f"at most {TARGET_MB}: {'holds' if peaks.total <= TARGET_MB else 'DOES NOT HOLD'}"


def _trained(client: httpx2.Client, url: str) -> tuple[float, float, dict[str, Any]]:
    """Wait for a job's end; give the seconds until epoch 0 was begun, those of epoch 1, and the job."""
    began, loading = time.perf_counter(), None
    while (job := client.get(url).json())["status"] in {"queued", "running"}:
        if loading is None and (fits := client.get(f"{url}/curves").json()["fits"]) and fits[0]["epoch"]:
            loading = time.perf_counter() - began - fits[0]["seconds"][0]
        time.sleep(0.1)
    if job["status"] != "succeeded":
        raise RuntimeError(f"the job ended {job['status']}: {job['failure']}")
    [curve] = client.get(f"{url}/curves").json()["fits"]
    return loading or 0.0, float(curve["seconds"][1]), job


def main() -> None:
    """Measure and print a table for each kind of file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=1.0, help="size of the CSV and of the NPZ (default 1)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=["csv"], help="files to send (default csv)")
    options = parser.parse_args()
    console = Console()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for kind in options.kinds:
            file = KINDS[kind](folder, round(options.gigabytes * 1e9))
            table = Table("what", "measured", title=f"An upload of {file.path.name}, and one epoch on it")
            for line in _measured(kind, file):
                table.add_row(*line)
            console.print(table)
            file.path.unlink()


if __name__ == "__main__":
    main()

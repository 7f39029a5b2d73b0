"""The service as the containers run it: a root that cannot be written, and room in the data folder and the one for temporary files."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from cli import commands
from cli.broker import Broker
from tests import closed
from tests.system import Client, free_port

ROOT = Path(__file__).parents[2]
CSV = b"a,b,species\n" + b"".join(f"{i},{i % 3},{'pq'[i % 2]}\n".encode() for i in range(40))


class Closed:
    """Programs with two folders to write to, started in a third."""

    def __init__(self, folder: Path, broker_url: str) -> None:
        """Make the folders."""
        self.data, self.scratch, self.elsewhere = (folder / name for name in ("data", "tmp", "app"))
        for made in (self.data, self.scratch, self.elsewhere):
            made.mkdir()
        keep = {
            name: value for name, value in os.environ.items() if not name.startswith("HOLDOUT_") and name not in {"HOME", "MPLCONFIGDIR"}
        }
        self.environment = keep | {
            "HOME": str(self.scratch),
            "TMPDIR": str(self.scratch),
            "HOLDOUT_HOME": str(self.data),
            "HOLDOUT_BROKER_URL": broker_url,
            "HOLDOUT_CONCURRENCY": "1",
            "HOLDOUT_SWEEPER_NOTE": str(self.scratch / "swept"),
            "HOLDOUT_CHECKPOINT_SECONDS": "0.1",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }

    def start(self, *arguments: str, log: Path | None = None) -> subprocess.Popen[bytes]:
        """Start Python so."""
        command = [sys.executable, str(ROOT / "tests" / "closed.py"), str(self.data), str(self.scratch), "/dev", "/proc", "--", sys.executable, *arguments]  # fmt: skip
        with contextlib.ExitStack() as stack:
            output = subprocess.PIPE if log is None else stack.enter_context(log.open("wb"))
            return subprocess.Popen(command, cwd=self.elsewhere, env=self.environment, stdout=output, stderr=subprocess.STDOUT)

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run Python so; give its status and what it said."""
        process = self.start(*arguments)
        said, _ = process.communicate(timeout=300)
        return process.returncode, said.decode()


@pytest.fixture
def closed_programs(tmp_path: Path, broker: Broker) -> Closed:
    return Closed(tmp_path, broker.url)


@pytest.fixture
def url(closed_programs: Closed, tmp_path: Path) -> Iterator[str]:
    status, said = closed_programs.run("-m", "cli.main", "migrate")
    assert status == 0, said
    port = free_port()
    started = {"api": commands.api("127.0.0.1", port), "worker": commands.worker(), "sweeper": commands.sweeper()}
    processes = {name: closed_programs.start(*arguments, log=tmp_path / f"{name}.log") for name, arguments in started.items()}
    try:
        yield f"http://127.0.0.1:{port}"
        for process in processes.values():
            process.send_signal(signal.SIGTERM)
        statuses = {name: process.wait(60) for name, process in processes.items()}
        logs = {name: (tmp_path / f"{name}.log").read_text() for name in processes}
        assert set(statuses.values()) <= {0, -signal.SIGTERM}, (statuses, logs)
        for log in logs.values():
            assert "Traceback" not in log
            assert "not a writable directory" not in log
    finally:
        for process in processes.values():
            process.kill()
            process.wait()


def test_what_is_closed_is_closed(closed_programs: Closed) -> None:
    """Else the next test shows nothing. Where the kernel has no Landlock, it shows what is left in the folder it started in."""
    program = "from pathlib import Path; Path({!r}).write_text('x')"
    assert closed_programs.run("-c", program.format(str(closed_programs.data / "x")))[0] == 0
    status, said = closed_programs.run("-c", program.format("x"))
    if closed.is_enforced():
        assert status != 0
        assert "PermissionError" in said
        assert list(closed_programs.elsewhere.iterdir()) == []


@pytest.mark.timeout(900)
def test_everything_works_with_two_folders_to_write_to(closed_programs: Closed, url: str) -> None:
    """Uploads, plans, pictures, models, predictions and deletion, by an API, a worker and a sweeper that may write nowhere else."""
    _until_ready(url, closed_programs)
    with Client(url) as client:
        uploaded = client.request(
            "POST", "/v1/datasets", files={"file": ("a.csv", CSV)}, data={"schema": json.dumps({"target": "species"})}
        )
        assert uploaded.status_code == 201, uploaded.text
        dataset = uploaded.json()["id"]
        space = {"/optimizer/learning_rate": {"low": 0.001, "high": 0.1, "log": True}}
        jobs = [
            client.submit(dataset, training={"max_epochs": 3}, split={"name": "holdout", "test_fraction": 0.2})["id"],
            client.submit("iris", training={"max_epochs": 2}, plan={"name": "search", "method": "bayesian", "candidates": 4, "space": space, "refit": True})["id"],
            client.submit("iris", training={"max_epochs": 2}, plan={"name": "bagging", "members": 3})["id"],
        ]  # fmt: skip
        for job in jobs:
            client.until(job, "succeeded", seconds=300)
            for path in ("report.png", "report.svg", "curves.csv", "model?format=onnx", "model?format=zip", "model-card", "result"):
                assert client.request("GET", f"/v1/jobs/{job}/{path}").status_code == 200, path
        assert client.request("POST", f"/v1/jobs/{jobs[1]}/predictions", json={"rows": [[5.1, 3.5, 1.4, 0.2]]}).status_code == 200
        assert client.request("GET", f"/v1/datasets/{dataset}/preview.png").status_code == 200
        for name in ([], ["sweeper"]):  # the checks of the compose file
            assert closed_programs.run("-m", "worker.health", *name) == (0, "")
        assert client.request("DELETE", f"/v1/jobs/{jobs[0]}").status_code == 204
        assert client.request("DELETE", f"/v1/datasets/{dataset}").status_code == 204
    assert list(closed_programs.elsewhere.iterdir()) == []


def test_a_container_without_its_worker_or_sweeper_is_unwell(closed_programs: Closed) -> None:
    closed_programs.run("-m", "cli.main", "migrate")
    for name in ([], ["sweeper"]):
        assert closed_programs.run("-m", "worker.health", *name)[0] == 1
    closed_programs.environment["HOLDOUT_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/x"
    assert closed_programs.run("-m", "worker.health")[0] == 0  # the worker waits for it


def _until_ready(url: str, programs: Closed) -> None:
    give_up_at = time.monotonic() + 300
    while True:
        assert time.monotonic() < give_up_at, [path.read_text() for path in programs.data.parent.glob("*.log")]
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(f"{url}/readyz", timeout=10).status_code == 200:
                return
        time.sleep(0.1)

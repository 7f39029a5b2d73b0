"""H2O-3 as a server of its own, driven through its REST API alone."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
from traffic import free_port

_START_SECONDS = 120.0
_POLL_SECONDS = 0.02
"""Between questions whether a job is done: what H2O's own client waits at least ten times as long for."""


class H2oFailed(RuntimeError):
    """The server did not come up, or a job of it failed; the text says why."""


def jar(python: str) -> Path | None:
    """Find the server in an environment that has the package h2o, without importing it."""
    program = "import importlib.util as i; s = i.find_spec('h2o'); print(s.origin if s else '')"
    found = subprocess.run([python, "-I", "-c", program], capture_output=True, text=True, check=False).stdout.strip()
    path = Path(found).parent / "backend" / "bin" / "h2o.jar"
    return path if found and path.is_file() else None


class H2o:
    """A running server."""

    def __init__(self, client: httpx2.Client, process: subprocess.Popen[bytes]) -> None:
        """Speak to the server of `process` by `client`."""
        self._client = client
        self._process = process

    @property
    def version(self) -> str:
        """Its version."""
        return str(self._get("/3/Cloud")["version"])

    @contextlib.contextmanager
    def standing_still(self) -> Iterator[None]:
        """Give others the machine: a server that has nothing to do still collects garbage, compiles, and looks after itself."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def frame(self, name: str, csv: bytes, types: Mapping[str, str]) -> str:
        """Upload rows with a header as a frame; give its name. Columns are numbers unless `types` says otherwise."""
        answer = self._client.post(f"/3/PostFile?destination_frame={name}.csv", files={"file": (f"{name}.csv", csv)})
        source = answer.raise_for_status().json()["destination_frame"]
        setup = self._post("/3/ParseSetup", source_frames=f'["{source}"]', check_header="1", separator="44")
        columns = setup["column_names"]
        kinds = [types.get(column, "Numeric") for column in columns]
        job = self._post(
            "/3/Parse", destination_frame=name, source_frames=f'["{source}"]', parse_type="CSV", separator="44", check_header="1",
            number_columns=str(len(columns)), column_names=_listed(columns), column_types=_listed(kinds), delete_on_done="true",
            chunk_size=str(setup["chunk_size"]), single_quotes="false",
        )["job"]  # fmt: skip
        self._wait(job["key"]["name"])
        return name

    def train(self, **parameters: str) -> tuple[float, dict[str, Any]]:
        """Train a deep learning model; give seconds from submitting to having its figures, and them. Nothing of it is kept."""
        began = time.perf_counter()
        job = self._post("/3/ModelBuilders/deeplearning", **parameters)["job"]
        self._wait(job["key"]["name"])
        model = self._get(f"/3/Models/{job['dest']['name']}")["models"][0]
        seconds = time.perf_counter() - began
        self._client.delete(f"/3/Models/{job['dest']['name']}").raise_for_status()
        return seconds, model["output"]

    def _wait(self, key: str) -> None:
        while True:
            job = self._get(f"/3/Jobs/{key}")["jobs"][0]
            if job["status"] == "DONE":
                return
            if job["status"] in {"FAILED", "CANCELLED"}:
                raise H2oFailed(f"{job['description']}: {job['status']}: {job.get('exception')}")
            time.sleep(_POLL_SECONDS)

    def _get(self, path: str) -> Any:
        return self._client.get(path).raise_for_status().json()

    def _post(self, path: str, **fields: str) -> Any:
        answer = self._client.post(path, data=fields)
        if answer.status_code >= 400:
            raise H2oFailed(f"{path}: {answer.status_code}: {answer.json().get('msg', answer.text[:300])}")
        return answer.json()


def error_of(figures: Mapping[str, Any]) -> float:
    """Give the share of rows that a model's metrics say it gets wrong."""
    table = figures["cm"]["table"]
    return float(table["data"][[column["name"] for column in table["columns"]].index("Error")][-1])


@contextlib.contextmanager
def serving(archive: Path, folder: Path, threads: int) -> Iterator[H2o]:
    """Start the server with its files in `folder`, and make sure of its end.

    Raises:
        H2oFailed: it did not answer in time, or there is no Java.
    """
    port = free_port()
    command = [
        "java", "-Xmx6g", f"-Djava.io.tmpdir={folder}", "-jar", str(archive), "-name", f"benchmark-{os.getpid()}", "-ip", "127.0.0.1",
        "-web_ip", "127.0.0.1", "-port", str(port), "-nthreads", str(threads), "-ice_root", str(folder), "-flow_dir", str(folder), "-log_level", "WARN",
    ]  # fmt: skip
    log = folder / "server.log"
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    except FileNotFoundError:
        raise H2oFailed("there is no java: H2O-3 needs a Java runtime, 8 to 17") from None
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=600) as client:
            _wait_until_up(client, process, log)
            yield H2o(client, process)
    finally:
        process.send_signal(signal.SIGCONT)  # one that stands still would not hear of its end
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_up(client: httpx2.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up_at = time.monotonic() + _START_SECONDS
    while time.monotonic() < give_up_at:
        if process.poll() is not None:
            raise H2oFailed(f"java ended with {process.returncode} before it served: {log.read_text(errors='replace')[-500:]}")
        with contextlib.suppress(httpx2.TransportError):
            if client.get("/3/Cloud").status_code == 200:
                return
        time.sleep(0.2)
    raise H2oFailed(f"the server did not answer within {_START_SECONDS:.0f} s")


def _listed(values: list[str]) -> str:
    return "[" + ",".join(f'"{value}"' for value in values) + "]"

"""What is at the doors of the served API: paths as they are written, files that are code, bytes that are no request."""

import contextlib
import io
import json
import pickle
import socket
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.factories import a_job, a_succeeded_job, no_constant
from tests.kept import a_kept_job
from tests.serving import Served, served
from tests.uploads import zipped

CANARY = "canary-5f1c"
NAMES = [
    "../x", "../../x", "..", ".", "..%2fx", "%2e%2e%2fx", "%2e%2e/x", "..%252fx", "....//x", "..;/x", "%2e%2e%5cx", "..\\x", "C:\\x", "C:%5cx",
    "/etc/passwd", "%2fetc%2fpasswd", "//etc/passwd", "file:%2f%2f%2fetc%2fpasswd", "a/../../x", "a%00", "a%0a", "a%0d%0aX-Bad:%201", "%c0%ae%c0%ae/x",
    "%ef%bc%8e%ef%bc%8e/x", "%ff", "%", "%zz", "~", "$HOME", "{job_id}", "*", "x" * 65, "%61" * 300, "holdout.db", "artifacts",
]  # fmt: skip
"""What somebody would write in the place of an id."""
PLACES = [
    ("GET", "/v1/jobs/{}"), ("DELETE", "/v1/jobs/{}"), ("POST", "/v1/jobs/{}/cancel"), ("GET", "/v1/jobs/{}/fits"), ("GET", "/v1/jobs/{}/fits/1"),
    ("GET", "/v1/jobs/JOB/fits/{}"), ("GET", "/v1/jobs/{}/result"), ("GET", "/v1/jobs/{}/curves"), ("GET", "/v1/jobs/{}/curves.csv"),
    ("GET", "/v1/jobs/{}/events"), ("GET", "/v1/jobs/{}/report.png"), ("GET", "/v1/jobs/{}/model"), ("GET", "/v1/jobs/JOB/model?format={}"),
    ("GET", "/v1/jobs/{}/preparation"), ("GET", "/v1/jobs/{}/model-card"), ("GET", "/v1/datasets/{}"), ("DELETE", "/v1/datasets/{}"),
    ("GET", "/v1/datasets/{}/preview.png"), ("GET", "/static-offline-docs/{}"), ("GET", "/{}"),
]  # fmt: skip


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("doors") / "home"
    home.mkdir()
    with served(home, _sqlite_template, upload_limits={"max_expanded_bytes": 2_000_000}) as found:
        for folder in (home.parent, home, home / "artifacts", home / "artifacts" / "jobs", home / "artifacts" / "datasets"):
            folder.mkdir(exist_ok=True)
            (folder / "x").write_text(CANARY)
        yield found


@pytest.fixture(scope="module")
def kept_job(api: Served) -> str:
    return a_kept_job(api.db, api.artifacts, {"dataset": "iris"}, [np.arange(100)], result=None).id


def _kept(api: Served) -> dict[str, bytes]:
    """Read every file that no request of these may change."""
    return {str(path): path.read_bytes() for path in api.home.parent.rglob("x")}


@pytest.mark.parametrize(("method", "place"), PLACES)
def test_no_path_leads_out_of_what_is_served(api: Served, method: str, place: str) -> None:
    """B123: whatever stands in the place of an id, nothing is read or removed that is not a job's or a dataset's; 404 or 422, never a 5xx."""
    job, before = a_succeeded_job(api.db), _kept(api)
    assert len(before) == 5
    for name in NAMES:
        status, headers, body = api.raw(method, place.replace("JOB", job).format(name).replace(" ", "%20"))
        if name == "." and place == "/{}":  # not a name but the folder: uvicorn passes it on as it is
            assert status in {307, 404}
        assert status in {307, 400, 404, 405, 409, 422} or (place == "/{}" and status == 200), (name, status, body)
        assert CANARY.encode() not in body
        assert b"root:" not in body
        assert "x-bad" not in headers
        if status == 307:
            assert headers["location"].startswith(("/docs", "/v1/", api.url)), headers
    assert _kept(api) == before


@pytest.mark.parametrize("name", [*NAMES, "ds_" + "0" * 200, "\ud800", "a\x00b"])
def test_no_name_of_a_dataset_in_a_spec_leads_to_a_file(api: Served, name: str) -> None:
    """B123."""
    for path in ("/v1/jobs", "/v1/previews"):
        status, _, body = api.raw("POST", path, json.dumps({"dataset": name}).encode(), Content_Type="application/json")
        assert status == 422
        assert CANARY.encode() not in body


class _Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.marker,)


def _npy(value: object) -> bytes:
    content = io.BytesIO()
    array = np.empty(1, dtype=object)
    array[0] = value
    np.save(content, array, allow_pickle=True)
    return content.getvalue()


def _torch(value: object) -> bytes:
    content = io.BytesIO()
    torch.save(value, content)
    return content.getvalue()


def _tarred(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def _codes(marker: Path) -> dict[str, bytes]:
    """Make files that run code where somebody unpickles them."""
    bomb = _Bomb(marker)
    pickled = pickle.dumps(bomb)
    y = io.BytesIO()
    np.save(y, np.zeros(4))
    return {
        "weights.pt": _torch(bomb),
        "weights.pth": _torch({"state": bomb}),
        "model.pkl": pickled,
        "model.joblib": pickled,
        "protocol-0.pkl": pickle.dumps(bomb, protocol=0),
        "x.npy": _npy(bomb),
        "x.npz": zipped({"x.npy": _npy(bomb), "y.npy": y.getvalue()}),
        "pickle-in.npz": zipped({"x.npy": pickled, "y.npy": y.getvalue()}),
        "images.zip": zipped({"a/1.png": pickled, "b/1.png": pickled}, zipfile.ZIP_STORED),
        "images.tar.gz": _tarred("a/1.png", pickled),
    }


@pytest.mark.parametrize("name", list(_codes(Path("nowhere"))))
def test_files_that_are_code_are_refused_and_never_run(api: Served, tmp_path: Path, name: str) -> None:
    """B128: pickles in every guise; what they would write is not written."""
    marker = tmp_path / "marker"
    content = _codes(marker)[name]
    if name.endswith(".pkl"):
        pickle.loads(content)
        assert marker.exists()  # it would have worked
        marker.unlink()
    for schema in ({"target": "y"}, {}):
        boundary = "b0undary"
        form = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="schema"\r\n\r\n{json.dumps(schema)}\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        ).encode() + content + f"\r\n--{boundary}--\r\n".encode()  # fmt: skip
        status, _, body = api.raw("POST", "/v1/datasets", form, Content_Type=f"multipart/form-data; boundary={boundary}")
        assert status in {415, 422}, body
        assert json.loads(body)["code"] in {"invalid_upload", "invalid_request"}
    assert not marker.exists()


@pytest.mark.parametrize(
    "text",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"GET  HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nA\x00B: 1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n",
        b"\x00" * 1000,
    ],
)
def test_what_is_no_request_is_answered_or_hung_up_on(api: Served, text: bytes) -> None:
    """No bytes make a 5xx or take the process away, and no second request hides in one."""
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as connection:
        found = b""
        try:
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65_536):
                found += piece
        except OSError:  # hung up on in the middle
            pass
    assert not found or found.startswith((b"HTTP/1.1 4", b"HTTP/1.1 2")), found
    assert b"holdout_jobs" not in found
    assert api.raw("GET", "/healthz")[0] == 200


DEEP = 50_000


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/previews", "/v1/jobs/JOB/predictions"])
@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"0", b'""', b"{", b"\xff\xfe", b"\x00", b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b"{'a': 1}", b'{"a": 1,}', b"{} {}",
        b'{"dataset": "iris", "dataset": "iris"}', b'{"rows": [[NaN]]}', b'{"rows": [[Infinity]]}', b'{"seed": -Infinity, "dataset": "iris"}',
        b'{"dataset": "iris", "seed": 1' + b"0" * 5000 + b"}", b'{"rows": [[1' + b"0" * 400 + b", 1, 1, 1]]}", b'{"rows": [[1e999, 1, 1, 1]]}',
        b'{"dataset": "\\ud800"}', b'{"\\udfff": 1}', b'{"rows": [{"\\ud800": 1}]}', b'{"dataset": "a\\u0000b"}', b'{"rows": [{"\\u0000": 1}]}',
        b"[" * DEEP + b"]" * DEEP, b'{"a":' * DEEP + b"1" + b"}" * DEEP, b'{"rows": ' + b"[" * 900 + b"]" * 900 + b"}", b'{"dataset": ' + b"[" * 900 + b"]" * 900 + b"}",
    ],
)  # fmt: skip
def test_bodies_that_are_no_request_are_422(api: Served, kept_job: str, path: str, body: bytes) -> None:
    """B019, B029: garbage, other encodings, repeated keys, numbers no double holds, NUL, half characters, depth."""
    status, headers, content = api.raw("POST", path.replace("JOB", kept_job), body, Content_Type="application/json")
    assert status == 422, content
    assert headers["content-type"] == "application/problem+json"
    problem = json.loads(content, parse_constant=no_constant)
    assert problem["errors"]
    assert len(content) < 20_000


def test_a_request_that_dawdles_holds_nobody_else_up(api: Served) -> None:
    """B105: a body that never comes to its end is one connection, not the process."""
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as slow:
        slow.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
        began = time.monotonic()
        for _ in range(20):
            assert api.raw("GET", "/v1/jobs")[0] == 200
        assert time.monotonic() - began < 20


def test_a_head_without_end_is_cut_off(api: Served) -> None:
    """Before anybody has asked who sends it; a long body is another matter."""
    with socket.create_connection(("127.0.0.1", api.port), timeout=20) as sender:
        sender.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ")
        sent = 0
        try:
            while sent < 50_000_000:
                sent += sender.send(b"a" * 65_536)
            answer = sender.recv(100)
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
    assert sent < 50_000_000
    assert not answer or answer.startswith(b"HTTP/1.1 400")
    status, _, _ = api.raw("GET", "/healthz", X_Long="a" * 30_000)
    assert status == 200
    status, _, _ = api.raw("POST", "/v1/jobs", b" " * 500_000, Content_Type="application/json")
    assert status == 422


@pytest.fixture
def template(_sqlite_template: Path) -> Path:
    return _sqlite_template


def test_open_streams_end_whole_when_the_server_stops(tmp_path: Path, template: Path, caplog: pytest.LogCaptureFixture) -> None:
    with contextlib.ExitStack() as stack:
        with served(tmp_path, template) as stopping:
            job_id = a_job(stopping.db).job.id
            stream = stack.enter_context(socket.create_connection(("127.0.0.1", stopping.port), timeout=20))
            stream.sendall(f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n".encode())
            received = stream.recv(65_536)
            assert received.startswith(b"HTTP/1.1 200")
        while part := stream.recv(65_536):
            received += part
    assert received.endswith(b"\r\n0\r\n\r\n")
    assert not [record for record in caplog.records if record.exc_info]  # no traceback

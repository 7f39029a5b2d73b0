"""Datasets over HTTP: uploading, telling of, deleting; and what is refused leaves nothing."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.app import create_app
from api.uploading import sweep_scratch
from store.engine import Database
from tests.api.conftest import Answer, StrictClient, settings_for
from tests.uploads import folders, gray, npz, parquet_of, tarred, zipped

CSV = b"a,b,species\n" + b"".join(f"{i},{i % 3},{'pq'[i % 2]}\n".encode() for i in range(20))
SCHEMA = {"target": "species"}
UNKNOWN = "ds_00000000000000000000000000"


def post(client: StrictClient, content: bytes = CSV, schema: Any = SCHEMA, name: str = "irises.csv", **options: Any) -> Answer:
    text = schema if isinstance(schema, str) else json.dumps(schema)
    answer: Answer = client.post("/v1/datasets", files={"file": (name, content)}, data={"schema": text}, **options)
    return answer


def uploaded(client: StrictClient, content: bytes = CSV, schema: Any = SCHEMA, name: str = "irises.csv") -> dict[str, Any]:
    answer = post(client, content, schema, name)
    assert answer.status_code == 201, answer.text
    dataset: dict[str, Any] = answer.json()
    return dataset


def left(home: Path) -> list[str]:
    """List the files that uploads may leave: artifacts, and whatever lies in the folder for temporary files."""
    return sorted(str(path) for path in [*(home / "artifacts").rglob("*"), *Path(tempfile.gettempdir()).rglob("*")])


@pytest.fixture(autouse=True)
def _scratch(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give temporary files a folder of their own, in which nobody else leaves any; PostgreSQL, which does, has started before."""
    assert postgres_url
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))


@pytest.fixture
def small_client(sqlite_db: Database, tmp_path: Path) -> Iterator[StrictClient]:
    """Give a service that takes uploads of 3 MB, two of them at once."""
    app = create_app(settings_for(sqlite_db, tmp_path, max_upload_bytes=3_000_000))
    with StrictClient(app, raise_server_exceptions=False) as found:
        yield found


def test_an_upload_is_told_of_as_it_was_understood(client: StrictClient, tmp_path: Path) -> None:
    answer = post(client, schema={**SCHEMA, "name": "Irises", "licence": "CC0", "description": "flowers", "unit": "cm"})
    assert answer.status_code == 201
    dataset = answer.json()
    assert answer.headers["location"] == f"/v1/datasets/{dataset['id']}"
    assert (dataset["title"], dataset["kind"], dataset["task"], dataset["num_rows"]) == ("Irises", "table", "classification", 20)
    assert (dataset["class_labels"], dataset["class_counts"], dataset["feature_names"]) == (["p", "q"], [10, 10], ["a", "b"])
    assert (dataset["upload"]["file_name"], dataset["upload"]["num_bytes"]) == ("irises.csv", len(CSV))
    assert len(dataset["upload"]["profile"]["preview"]) == 10
    assert client.get(answer.headers["location"]).json() == dataset
    assert [Path(path).name for path in left(tmp_path) if path.endswith(".npy")] == ["x.npy", "y.npy"]


def test_an_equal_upload_is_the_dataset_that_was_there(client: StrictClient) -> None:
    first = uploaded(client)
    again = post(client, name="other.csv")
    echoed = post(client, schema=first["upload"]["schema"])
    assert (again.status_code, echoed.status_code) == (200, 200)
    assert again.json()["id"] == echoed.json()["id"] == first["id"]
    other = uploaded(client, schema={**SCHEMA, "features": ["a"]})
    assert other["id"] != first["id"]
    assert other["content_hash"] == first["content_hash"]


def test_ten_equal_uploads_at_once_are_one_dataset(client: StrictClient, tmp_path: Path) -> None:
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: post(client), range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len([path for path in left(tmp_path) if path.endswith(".npy")]) == 2
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize(
    ("schema", "pointer", "code"),
    [
        ({"target": "z"}, "/target", "unknown_column"),
        ({}, "/target", "no_target"),
        ({**SCHEMA, "features": ["a", "z"]}, "/features/1", "unknown_column"),
        ({**SCHEMA, "columns": {"a/b": "number"}}, "/columns/a~1b", "unknown_column"),
        ({**SCHEMA, "nonsense": 1}, "/nonsense", "extra_forbidden"),
        ({**SCHEMA, "csv": {"nonsense": 1}}, "/csv/nonsense", "extra_forbidden"),
        ({**SCHEMA, "csv": {"delimiter": "x"}}, "/csv/delimiter", "literal_error"),
        ({**SCHEMA, "csv": {"header": 1}}, "/csv/header", "bool_type"),
        ({**SCHEMA, "images": {"size": [0, 3]}}, "/images/size/0", "greater_than_equal"),
        ({**SCHEMA, "images": {"size": ["1", 3]}}, "/images/size/0", "int_type"),
        ({**SCHEMA, "columns": {"a": {"order": ["x", "x"]}}}, "/columns/a", "literal_error"),
        ({**SCHEMA, "task": "clustering"}, "/task", "literal_error"),
        ({"target": 3}, "/target", "string_type"),
        ({"target": "a\x00"}, "/target", "value_error"),
        ({"target": "a", "columns": {"b\x00": "number"}}, "/columns", "value_error"),
        ({"target": "a", "csv": {"missing_values": ["\x00"]}}, "/csv/missing_values/0", "value_error"),
        ({**SCHEMA, "name": "\x00"}, "/name", "value_error"),
        ({"target": "\ud800"}, "/target", "value_error"),
        ([], "", "model_type"),
        ("{", "", "json_invalid"),
        ('{"target": NaN}', "", "json_invalid"),
        ('{"target": "species", "target": "a"}', "", "json_invalid"),
        ("[" * 100_000, "", "json_invalid"),
        ('{"images": {"size": [' + "9" * 5000 + ", 1]}}", "", "json_invalid"),
        ("null", "", "model_type"),
    ],
)
def test_faults_of_the_schema_are_pointed_at(lite_client: StrictClient, tmp_path: Path, schema: Any, pointer: str, code: str) -> None:
    before = left(tmp_path)
    answer = post(lite_client, schema=schema)
    assert answer.status_code == 422, answer.text
    [error, *_] = answer.json()["errors"]
    assert error["pointer"].startswith(pointer)
    assert code in {error["code"], *(one["code"] for one in answer.json()["errors"])} | ({code} if pointer == "/columns/a" else set())
    assert left(tmp_path) == before


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a,species\n1\n",
        b"a,species\n1,p\n",
        b"\x80\x04",
        b"PK\x03\x04",
        b"PAR1",
        b"\x1f\x8b",
        b"a\x00",
        b"a,a,species\n",
        zipped({}),
        npz(x=np.eye(3)),
    ],
)
def test_files_that_cannot_be_read_are_refused_and_leave_nothing(lite_client: StrictClient, tmp_path: Path, content: bytes) -> None:
    before = left(tmp_path)
    for schema in (SCHEMA, {}):
        answer = post(lite_client, content, schema)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_upload")
    assert left(tmp_path) == before


def test_the_form_is_read_strictly(lite_client: StrictClient) -> None:
    one, url = ("t.csv", CSV), "/v1/datasets"
    unknown = lite_client.post(url, files={"file": one}, data={"schema": "{}", "target": "species"})
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (422, "target")
    twice = lite_client.post(url, files=[("file", one)], data={"schema": ["{}", "{}"]})
    assert (twice.status_code, twice.json()["errors"][0]["pointer"]) == (422, "schema")
    files = lite_client.post(url, files=[("file", one), ("file", one)], data={"schema": "{}"})
    assert (files.status_code, files.json()["errors"][0]["pointer"]) == (422, "file")
    none = lite_client.post(url, files={"other": one}, data={"schema": "{}"})
    assert (none.status_code, none.json()["errors"][0]["pointer"]) == (422, "other")
    for fields in ({"schema": (None, "{}")}, {"file": (None, "a,b"), "schema": (None, "{}")}):
        missing = lite_client.post(url, files=fields)
        assert (missing.status_code, missing.json()["errors"][0]["pointer"]) == (422, "file")
    as_file = lite_client.post(url, files={"file": one, "schema": ("schema.json", b"{}")})
    assert (as_file.status_code, as_file.json()["errors"][0]["pointer"]) == (422, "schema")
    query = lite_client.post(url, params={"schema": "{}"}, files={"file": one})
    assert (query.status_code, query.json()["errors"][0]["pointer"]) == (422, "schema")


def test_no_nul_reaches_a_database(client: StrictClient) -> None:
    """B019: not in labels, names of columns, words or titles."""
    for content in (b"a,y\n1,p\x00\n2,q\n", b"a\x00,y\n1,p\n2,q\n", b"a,b,y\n1,\x00,p\n2,z,q\n"):
        for encoding in (None, "utf-8", "cp1252"):
            assert post(client, content, {"target": "y", "csv": {"encoding": encoding}}).status_code == 422
    assert post(client, npz(x=np.eye(2), y=np.array(["a\x00b", "c"])), {}).status_code == 422
    assert post(client, schema={**SCHEMA, "description": "a\x00"}).status_code == 422
    assert post(client, name="a\x00.csv").status_code in {201, 400, 422}


@pytest.mark.parametrize("kind", ["application/json", "text/csv", "application/x-www-form-urlencoded", ""])
def test_what_is_no_form_is_refused(lite_client: StrictClient, kind: str) -> None:
    answer = lite_client.post("/v1/datasets", content=CSV, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (415, "not_a_form")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=", b"x"),
        ("multipart/form-data; boundary=b", b"x"),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\nx\r\n--b--\r\n"),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\nx'),
        ("multipart/form-data; boundary=b; charset=undefined", b'--b\r\nContent-Disposition: form-data; name="schema"\r\n\r\n\xff\r\n--b--\r\n'),
        ("multipart/form-data; boundary=b; charset=idna", b'--b\r\nContent-Disposition: form-data; name="schema"\r\n\r\n\xff\r\n--b--\r\n'),
        ("multipart/form-data; boundary=b; charset=zlib", b'--b\r\nContent-Disposition: form-data; name="schema"\r\n\r\n\xff\r\n--b--\r\n'),
        ("multipart/form-data; boundary=b; charset=a\\0", b'--b\r\nContent-Disposition: form-data; name="schema"\r\n\r\n\xff\r\n--b--\r\n'),
        ("multipart/form-data; boundary=" + "b" * 5000, b"--" + b"b" * 5000 + b"--\r\n"),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="schema"\r\n\r\n' + b"x" * 1_000_001 + b"\r\n--b--\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"X: y\r\n" * 2000 + b"\r\nx\r\n--b--\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\nX: " + b"y" * 100_000 + b"\r\n\r\nx\r\n--b--\r\n"),
    ],
)  # fmt: skip
def test_damaged_forms_are_refused(lite_client: StrictClient, kind: str, body: bytes) -> None:
    answer = lite_client.post("/v1/datasets", content=body, headers={"Content-Type": kind})
    assert answer.status_code in {400, 413, 422}


@pytest.mark.parametrize("length", [None, "10", "3000"])
def test_more_bytes_than_allowed_are_refused_whatever_the_length_says(
    small_client: StrictClient, tmp_path: Path, length: str | None
) -> None:
    def body() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\n'
        for _ in range(40):
            yield b"1,2,3,p\n" * 12_500
        yield b"\r\n--b--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=b"} | ({} if length is None else {"Content-Length": length})
    before = left(tmp_path)
    answer = small_client.post("/v1/datasets", content=body(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert post(small_client, b"x" * 4_000_000).status_code == 413
    assert left(tmp_path) == before


def test_uploads_are_listed_newest_first_page_by_page(client: StrictClient) -> None:
    made = [uploaded(client, CSV + f"{i},1,p\n".encode())["id"] for i in range(5)]
    first = client.get("/v1/datasets", params={"limit": 2}).json()
    ids = [one["id"] for one in first["items"]]
    assert "iris" in ids
    assert [one for one in ids if one.startswith("ds_")] == made[:2:-1]
    assert first["has_more"]
    second = client.get("/v1/datasets", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [one["id"] for one in second["items"]] == made[2:0:-1]
    last = client.get("/v1/datasets", params={"limit": 2, "cursor": second["next_cursor"]}).json()
    assert ([one["id"] for one in last["items"]], last["has_more"], last["next_cursor"]) == (made[:1], False, None)
    assert all(one["upload"]["profile"] is None for one in second["items"])
    for query in ({"cursor": "x"}, {"cursor": "ds_../"}, {"limit": 0}, {"limit": 101}, {"page": 1}):
        assert client.get("/v1/datasets", params=query).status_code == 422


def test_a_dataset_is_deleted_unless_it_is_built_in_or_in_use(client: StrictClient, tmp_path: Path) -> None:
    dataset = uploaded(client)
    where = f"/v1/datasets/{dataset['id']}"
    assert client.delete(f"/v1/datasets/{UNKNOWN}").status_code == 404
    assert client.delete("/v1/datasets/none").status_code == 404
    assert (client.delete("/v1/datasets/iris").status_code, client.get("/v1/datasets/iris").status_code) == (409, 200)
    job = client.post("/v1/jobs", json={"dataset": dataset["id"], "training": {"max_epochs": 1}})
    assert job.status_code == 201, job.text
    used = client.delete(where)
    assert (used.status_code, used.json()["code"]) == (409, "dataset_in_use")
    assert len([path for path in left(tmp_path) if path.endswith(".npy")]) == 2
    assert client.post(f"/v1/jobs/{job.json()['id']}/cancel").status_code in {200, 202}
    assert client.delete(f"/v1/jobs/{job.json()['id']}").status_code == 204
    assert client.delete(where).status_code == 204
    assert client.delete(where).status_code == client.get(where).status_code == 404
    assert [path for path in left(tmp_path) if dataset["id"] in path] == []
    assert uploaded(client)["id"] != dataset["id"]


@pytest.mark.parametrize(
    "name", ["../x", "..%2fx", "%2e%2e%2fx", "/etc/passwd", "%2fetc%2fpasswd", "ds_../../x", "ds_%00", "C:\\x", "a" * 65, "~", "ds_"]
)
def test_no_id_of_a_dataset_leads_to_a_file(lite_client: StrictClient, tmp_path: Path, name: str) -> None:
    """B123: nor a name that a job gives."""
    assert lite_client.post("/v1/jobs", json={"dataset": "a\x00"}).status_code == 422
    (tmp_path / "x").write_text("canary")
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/preview.png")):
        answer = lite_client.request(method, f"/v1/datasets/{name}{path}", follow_redirects=False)
        assert answer.status_code in {307, 404, 405, 422}, (method, answer.text)
        assert "canary" not in answer.text
        assert "root:" not in answer.text
    if "%" not in name:
        assert lite_client.post("/v1/jobs", json={"dataset": name}).status_code == 422
        assert lite_client.post("/v1/previews", json={"dataset": name}).status_code == 422


def test_the_name_of_a_file_is_nothing_but_shown(lite_client: StrictClient, tmp_path: Path) -> None:
    """B123."""
    for i, name in enumerate(["../../x.csv", "/etc/cron.d/x.csv", "C:\\x.csv", "x\x01.csv", "é" * 300, "", " "]):
        answer = post(lite_client, CSV + f"{i},1,p\n".encode(), name=name)
        if answer.status_code == 201:
            shown = answer.json()["upload"]["file_name"]
            assert "/" not in shown
            assert "\\" not in shown
            assert 0 < len(shown) <= 200
        else:
            assert answer.status_code == 422
    assert not list(tmp_path.parent.glob("x*.csv"))


@pytest.fixture
def listener() -> Iterator[tuple[str, list[Any]]]:
    """Listen on a port of this machine; give a URL of it and who connected."""
    seen: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, address = server.accept()
                except OSError:
                    return
                seen.append(address)
                connection.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/x", seen
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def test_no_url_is_ever_fetched(lite_client: StrictClient, listener: tuple[str, list[Any]]) -> None:
    """B125."""
    url, seen = listener
    for host in ("127.0.0.1", "127.1", "0x7f000001", "2130706433", "[::ffff:127.0.0.1]", "localhost"):
        for path in ("/v1/jobs", "/v1/previews"):
            assert lite_client.post(path, json={"dataset": url.replace("127.0.0.1", host)}).status_code == 422
    assert lite_client.post("/v1/datasets", files={"file": (None, url)}, data={"schema": "{}"}).status_code == 422
    for content in (url.encode(), f"{url},y\n{url},p\n{url},q\n".encode(), f"a,y\n{url},p\n{url},q\n".encode()):
        for schema in ({"target": "y"}, {"target": url}, {"target": "y", "name": url, "description": url, "csv": {"encoding": "utf-8"}}):
            post(lite_client, content, schema, name=url)
        assert post(lite_client, content, {"target": "y", "csv": {"encoding": url[:40]}}).status_code == 422
    assert post(lite_client, CSV, url).status_code == 422
    post(lite_client, zipped({f"{url}/1.png": gray(), "a/1.png": gray()}), {})
    answer = lite_client.post("/v1/datasets", params={"url": url}, files={"file": ("x", CSV)})
    assert answer.status_code == 422
    assert seen == []


@pytest.mark.parametrize(
    ("content", "schema"),
    [
        (CSV, SCHEMA),
        (CSV, {"target": "a", "task": "regression"}),
        (b"$a_{,y\n1e308,$p^\n-1e308,q_{\n,q_{\n", {"target": "y", "name": "$x_{"}),
        (b"a,b,y\n,x,1e308\n2,z,-1e308\n", {"target": "y", "task": "regression"}),
        (npz(x=np.random.default_rng(0).normal(size=(6, 2, 9)), y=np.arange(6) % 2), {}),
        (npz(x=np.full((6, 1, 4, 4), 1e308) * np.array([1, -1] * 3).reshape(6, 1, 1, 1), y=np.arange(6.0)), {"task": "regression"}),
        (npz(x=np.zeros((6, 2, 4, 4), np.uint8), y=np.arange(6) % 2), {}),
        (npz(x=np.zeros((6, 1, 4, 4, 4), np.float32), y=np.arange(6) % 2), {}),
        (zipped(folders()), {}),
        (tarred(folders()), {"images": {"channels": "rgba"}}),
    ],
)
def test_every_kind_of_dataset_can_be_looked_at(lite_client: StrictClient, content: bytes, schema: dict[str, Any]) -> None:
    dataset = uploaded(lite_client, content, schema)
    answer = lite_client.get(f"/v1/datasets/{dataset['id']}/preview.png")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.content.startswith(b"\x89PNG\r\n")


def test_a_picture_of_none_is_none(lite_client: StrictClient) -> None:
    assert lite_client.get(f"/v1/datasets/{UNKNOWN}/preview.png").status_code == 404
    assert lite_client.get("/v1/datasets/iris/preview.png").content.startswith(b"\x89PNG\r\n")


def test_parquet_and_numbers_that_overflow_are_told_of_in_strict_json(client: StrictClient) -> None:
    import pyarrow as pa

    columns = {"a": pa.array([1e308, -1e308, float("nan"), 1e308]), "y": pa.array(["p", "q", "p", "\U0001f600"])}
    profile = uploaded(client, parquet_of(columns), {"target": "y"})["upload"]["profile"]
    assert profile["columns"][0]["deviation"] is None


@pytest.mark.parametrize(
    "values", [[1.7e18] * 20, [1e16 + 2 * i for i in range(20)], [1e-320] * 20, [1e308, -1e308] * 10, [5.0] * 20, list(range(20))]
)
def test_columns_of_any_range_can_be_looked_at(lite_client: StrictClient, values: list[float]) -> None:
    content = "x,y\n" + "".join(f"{value!r},{value * 0.5!r}\n" for value in values) + "3,1\n"
    answer = post(lite_client, content.encode(), {"target": "y", "task": "regression"})
    assert lite_client.get(f"/v1/datasets/{answer.json()['id']}/preview.png").content.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("columns", "pointers"),
    [
        ({"a": "word"}, ["/columns/a"]),
        ({"a": {"order": ["u"]}}, ["/columns/a/order"]),
        ({"a": {"order": "uv"}}, ["/columns/a/order"]),
        ({"a": {"order": ["u", "v"], "x": 1}}, ["/columns/a/x"]),
        ({"a": {}}, ["/columns/a/order"]),
        ({"": {"order": ["u", "v"]}}, ["/columns/"]),
        ({"": "number"}, ["/columns/"]),
        ({"a": 5}, ["/columns/a"]),
        ([], ["/columns"]),
    ],
)
def test_a_columns_kind_is_faulted_in_the_form_that_was_sent(lite_client: StrictClient, columns: Any, pointers: list[str]) -> None:
    answer = post(lite_client, b"a,y\nu,1\nv,2\n", {"target": "y", "columns": columns})
    assert (answer.status_code, [one["pointer"] for one in answer.json()["errors"]]) == (422, pointers)


def test_what_a_dead_process_left_of_an_upload_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    for owner in (ended.pid, os.getpid(), os.getppid()):  # this process has just begun: one of its number died
        (tmp_path / f"holdout-upload-{owner}-x").mkdir()
    sweep_scratch()
    assert [path.name for path in tmp_path.glob("holdout-*")] == [f"holdout-upload-{os.getppid()}-x"]


def test_large_files_are_read_apart_and_leave_as_little(lite_client: StrictClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = uploaded(lite_client)
    monkeypatch.setattr("api.uploading.LARGE_BYTES", 0)
    assert post(lite_client).json() == small
    other = uploaded(lite_client, schema={**SCHEMA, "features": ["a"]})
    assert other["feature_names"] == ["a"]
    before = left(tmp_path)
    assert post(lite_client, schema={"target": "nothing"}).json()["errors"][0]["code"] == "unknown_column"
    assert left(tmp_path) == before

"""What answers without being a service, and what is given without being what it should be: both are told, by either client."""

import importlib.util
import io
import json
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

import holdout
from holdout import Client, UnexpectedAnswerError
from holdout.notebook import job_html

Connect = Callable[..., Any]
PAGE = httpx2.Response(200, html="<html>log in</html>")
STRANGERS = {
    "a page": (PAGE, "200 with a page"),
    "a redirect": (httpx2.Response(302, headers={"Location": "https://login/?next=secret"}), "302, which leads to https://login/$"),
    "no json": (httpx2.Response(200, text="OK"), "no JSON"),
    "other json": (httpx2.Response(200, json={"hello": "world"}), "none of its own"),
    "a list": (httpx2.Response(200, json=[1]), "none of its own"),
}
ASKED: dict[str, Callable[[Any], Any]] = {
    "submit": lambda client: client.submit(dataset="iris"),
    "preview": lambda client: client.jobs.preview(dataset="iris"),
    "get": lambda client: client.jobs.get("job_1"),
    "list": lambda client: list(client.jobs.list()),
    "page": lambda client: client.jobs.page(),
    "wait": lambda client: client.jobs.wait("job_1"),
    "cancel": lambda client: client.jobs.cancel("job_1"),
    "extend": lambda client: client.jobs.extend("job_1", 5),
    "fits": lambda client: client.jobs.fits("job_1"),
    "curves": lambda client: client.jobs.curves("job_1"),
    "predict": lambda client: client.jobs.predict("job_1", [[1]]),
    "datasets": lambda client: list(client.datasets.list()),
    "upload": lambda client: client.datasets.upload(b"a", file_name="a.csv"),
}
WITHOUT_JSON: dict[str, Callable[[Any], Any]] = {
    "events": lambda client: list(client.jobs.events("job_1")),
    "techniques": lambda client: client.techniques(),
    "limits": lambda client: client.limits(),
    "delete": lambda client: client.jobs.delete("job_1"),
    "model": lambda client: client.jobs.model("job_1"),
    "report": lambda client: client.jobs.report("job_1"),
    "curves.csv": lambda client: client.jobs.curves_csv("job_1"),
    "delete dataset": lambda client: client.datasets.delete("ds_1"),
    "request": lambda client: client.request("GET", "/v1/jobs/job_1/model-card"),
}


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("asked", [*ASKED, *WITHOUT_JSON])
def test_whatever_is_no_service_is_told_as_such(connect: Connect, asked: str, stranger: str) -> None:
    if asked in WITHOUT_JSON and stranger not in {"a page", "a redirect"}:
        return
    found, why = STRANGERS[stranger]
    with (
        connect(lambda _: httpx2.Response(found.status_code, headers=found.headers, content=found.content)) as client,
        pytest.raises(UnexpectedAnswerError, match=f"^http://imagined does not look like a Holdout service: it answered .*{why}"),
    ):
        (ASKED | WITHOUT_JSON)[asked](client)


def test_a_page_is_not_saved_as_a_model(connect: Connect, tmp_path: Path) -> None:
    with connect(lambda _: httpx2.Response(200, html="<html>")) as client:
        for save in (client.jobs.model, client.jobs.report, client.jobs.curves_csv):
            with pytest.raises(UnexpectedAnswerError):
                save("job_1", tmp_path / "kept.png" if save.__name__ == "report" else tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_where_a_link_leads_is_what_is_replaced(connect: Connect, tmp_path: Path) -> None:
    kept, link, dangling = tmp_path / "elsewhere" / "model.onnx", tmp_path / "latest.onnx", tmp_path / "first.onnx"
    kept.parent.mkdir()
    kept.write_bytes(b"old")
    link.symlink_to(kept)
    dangling.symlink_to(Path("elsewhere", "new.onnx"))
    with connect(lambda _: httpx2.Response(200, content=b"new")) as client:
        assert client.jobs.model("job_1", link) == link
        assert client.jobs.model("job_1", dangling) == dangling
        circle = tmp_path / "circle.onnx"
        circle.symlink_to(circle)
        with pytest.raises(OSError, match="circle"):
            client.jobs.model("job_1", circle)
    assert all(one.is_symlink() for one in (link, dangling, circle))
    assert {path.name: path.read_bytes() for path in kept.parent.iterdir()} == {"model.onnx": b"new", "new.onnx": b"new"}


def test_into_a_pipe_is_written_and_it_stays_one(connect: Connect, tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe.svg", tmp_path / "link.svg"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    with connect(lambda _: httpx2.Response(200, content=b"<svg/>")) as client, ThreadPoolExecutor(1) as reader:
        for path in (pipe, link):
            read = reader.submit(pipe.read_bytes)
            assert client.jobs.report("job_1", path) == path
            assert read.result() == b"<svg/>"
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert link.is_symlink()
    assert len(list(tmp_path.iterdir())) == 2


def test_into_what_another_program_reads_is_written(connect: Connect) -> None:
    read, write = os.pipe()
    with connect(lambda _: httpx2.Response(200, content=b"<svg/>")) as client:
        client.jobs.report("job_1", f"/dev/fd/{write}", kind="svg")
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        assert pipe.read() == b"<svg/>"


def test_the_dashboards_pages_may_be_asked_for(connect: Connect) -> None:
    with connect(lambda _: httpx2.Response(200, html="<html>")) as client:
        assert client.request("GET", "/").content == b"<html>"


def test_a_models_format_is_what_its_files_name_says(connect: Connect, tmp_path: Path) -> None:
    asked: list[str] = []

    def answers(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.params["format"])
        return httpx2.Response(200, content=b"model")

    (tmp_path / "models.v2").mkdir()
    with connect(answers) as client:
        job = client.jobs
        for name in ("x.onnx", "x.ZIP", "x.safetensors", "x", "models.v2"):
            job.model("job_1", tmp_path / name)
        job.model("job_1")
        job.model("job_1", tmp_path / "x.bin", format="zip")
        with pytest.raises(ValueError, match=r"a \.safetensors, \.onnx or \.zip, not 'pt'"):
            job.model("job_1", tmp_path / "x.pt")
    assert asked == ["onnx", "zip", "safetensors", "safetensors", "safetensors", "safetensors", "zip"]


def test_options_that_are_not_named_are_kept(connect: Connect) -> None:
    seen: list[tuple[float, str]] = []

    def answers(request: httpx2.Request) -> httpx2.Response:
        seen.append((request.extensions["timeout"]["read"], request.url.path))
        return httpx2.Response(503)

    with connect(answers, timeout=7, max_retries=0) as client:
        for other in (client, client.with_options(max_retries=0), client.with_options(timeout=3), client.with_options(timeout=None)):
            with pytest.raises(holdout.InternalServerError):
                other.limits()
    assert [seconds for seconds, _ in seen] == [7, 7, 3, None]


def test_an_open_file_has_its_own_name(connect: Connect, tmp_path: Path) -> None:
    bodies: list[bytes] = []

    def answers(request: httpx2.Request) -> httpx2.Response:
        bodies.append(request.read())
        return httpx2.Response(201, json={"id": "ds_1"})

    (tmp_path / "flowers.csv").write_text("a,b\n1,2\n")
    with connect(answers) as client, (tmp_path / "flowers.csv").open("rb") as file:
        client.datasets.upload(file, target="b")
        with pytest.raises(ValueError, match="give file_name"):
            client.datasets.upload(io.BytesIO(b"a"), target="b")
        with (tmp_path / "flowers.csv").open() as text, pytest.raises(ValueError, match="open it as bytes"):
            client.datasets.upload(text, target="b")
        client.datasets.upload(io.StringIO("a,b\n1,\u00e9\n"), target="b", file_name="text.csv")
        client.datasets.upload(bytearray(b"a,b"), target="b", file_name="more.csv")
    assert b'filename="flowers.csv"' in bodies[0]
    assert "1,\u00e9".encode() in bodies[1]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (lambda client: client.submit("iris"), "a spec is an object, as a dict, not 'iris'"),
        (lambda client: client.jobs.preview(["iris"]), "a spec is an object"),
        (lambda client: client.datasets.upload(b"a", "species", file_name="a.csv"), "a schema is an object"),
        (lambda client: client.datasets.upload(123), "a path, bytes, an open file or a frame of pandas, not int"),
        (lambda client: client.datasets.upload(None, file_name="a.csv"), "not NoneType"),
        (lambda client: client.jobs.get(None), "an id is text, not None"),
        (lambda client: client.datasets.get(3), "an id is text, not 3"),
        (lambda client: client.jobs.page(metadata="owner=vision"), "metadata is an object"),
        (lambda client: client.jobs.predict("job_1", {"a": 1}), "rows are a list of objects or lists"),
        (lambda client: client.jobs.predict("job_1", None), "rows are a list"),
        (lambda client: client.jobs.predict("job_1", "abc"), "rows are a list"),
    ],
)
def test_what_is_of_another_kind_is_told_in_words(connect: Connect, asked: Callable[[Any], Any], why: str) -> None:
    with connect(lambda _: PAGE) as client, pytest.raises(TypeError, match=why):
        asked(client)


def test_fields_and_fits_may_be_written_as_the_api_has_them(connect: Connect) -> None:
    seen: list[str] = []

    def answers(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.url.params.get("fields") or request.url.params["fits"])
        return httpx2.Response(200, json={"items": [], "fits": [], "version": 1, "next_cursor": None, "has_more": False})

    with connect(answers) as client:
        client.jobs.page(fields="id,status")
        client.jobs.page(fields=["id", "status"])
        list(client.jobs.list(fields="status, name"))
        for fits in ("1,12", [1, 12], 12, "12"):
            client.jobs.curves("job_1", fits=fits)
            client.jobs.curves_csv("job_1", fits=fits)
    assert seen == ["id,status", "id,status", "id,status,name", *(["1,12"] * 4), *(["12"] * 4)]


def test_numbers_that_are_too_low_are_refused_at_once(connect: Connect) -> None:
    with connect(lambda _: PAGE) as client:
        for options in ({"timeout": -1}, {"timeout": 0}, {"timeout": float("nan")}, {"max_retries": -1}):
            [name] = options
            with pytest.raises(ValueError, match=f"{name} is a "):
                client.with_options(**options)
            with pytest.raises(ValueError, match=f"{name} is a "):
                connect(lambda _: PAGE, **options)
        for options in ({"timeout": -1}, {"poll_interval": -0.5}):
            with pytest.raises(ValueError, match=r"is a number of seconds from 0, not -"):
                client.jobs.wait("job_1", **options)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"seed": float("nan")}, "^/seed is nan"),
        ({"training": {"a/b": [1.0, {"c": float("inf")}]}}, "^/training/a~1b/1/c is inf"),
        ({"optimizer": np.array([1.0, -np.inf])}, "^/optimizer/1 is -inf"),
    ],
)
def test_a_number_that_json_has_not_is_named_by_its_place(connect: Connect, fields: dict[str, Any], why: str) -> None:
    with connect(lambda _: PAGE) as client, pytest.raises(ValueError, match=why):
        client.submit(dataset="iris", **fields)


def test_what_is_to_be_predicted_may_stand_in_the_rows(connect: Connect) -> None:
    fault = {"pointer": "/rows/0/species", "code": "unknown_column", "message": "the model was trained without such a column"}
    asked: list[Any] = []

    def answers(request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            return httpx2.Response(200, json={"id": "job_1", "dataset": "iris", "target_name": "species"})
        asked.append(json.loads(request.read())["rows"])
        if any("species" in row or "other" in row for row in asked[-1]):
            return httpx2.Response(422, json={"code": "invalid_rows", "detail": "no", "errors": [fault]})
        return httpx2.Response(200, json={"predictions": ["setosa"]})

    with connect(answers) as client:
        assert client.jobs.predict("job_1", [{"a": 1, "species": "setosa"}]).predictions == ["setosa"]
        with pytest.raises(holdout.UnprocessableEntityError):
            client.jobs.predict("job_1", [{"a": 1, "other": 1}])
    assert asked == [[{"a": 1, "species": "setosa"}], [{"a": 1}], [{"a": 1, "other": 1}], [{"a": 1, "other": 1}]]


def test_a_notebook_shows_an_unnamed_jobs_id_once() -> None:
    shown = job_html({"id": "job_1", "name": None, "status": "queued"}, None)
    assert shown.count("job_1") == 1
    assert "<strong>mine</strong>" in job_html({"id": "job_1", "name": "mine", "status": "queued"}, None)


def test_a_closed_client_says_so(connect: Connect) -> None:
    client = connect(lambda _: PAGE)
    client.close()
    with pytest.raises(holdout.HoldoutError, match="this client is closed"):
        client.limits()


def test_lengths_of_time_are_numbers(connect: Connect) -> None:
    with connect(lambda _: PAGE) as client:
        with pytest.raises(TypeError, match="timeout is a number of seconds, not '5m'"):
            client.jobs.wait("job_1", timeout="5m")
        with pytest.raises(TypeError, match="timeout is a number"):
            client.with_options(timeout="60")
    with pytest.raises(TypeError, match="max_retries is a whole number"):
        connect(lambda _: PAGE, max_retries="2")


@pytest.mark.parametrize("key", ["hk_é", "hk_1\n", "hk_1 2"])
def test_a_key_that_cannot_be_sent_is_told_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match="that no key has") as raised:
        Client(api_key=key)
    assert key not in str(raised.value)


@pytest.mark.parametrize("url", ["http://here:1/v1", "http://here:1/v1/", "http://here:1/"])
def test_the_address_may_be_that_of_the_api(url: str) -> None:
    with Client(url) as client:
        assert client.base_url == "http://here:1"


def test_the_package_says_that_it_is_typed() -> None:
    found = importlib.util.find_spec("holdout")
    assert found is not None
    assert found.origin is not None
    assert (Path(found.origin).parent / "py.typed").exists()

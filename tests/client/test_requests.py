"""What is sent, how often, and what its answers become: both clients, against an imagined service."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

import holdout
from holdout import APIConnectionError, APIStatusError, APITimeoutError, Client, JobFailed, NotFoundError, Record

Connect = Callable[..., Any]
JOB = {
    "id": "job_1",
    "name": None,
    "status": "queued",
    "progress": 0.0,
    "phase": "waiting",
    "dataset": "digits",
    "plan": "fit",
    "version": 1,
}


class Service:
    """Answers as it is told, one answer after another, the last one for ever; keeps what it was asked."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)


def answer(status: int, body: Any = None, **headers: str) -> httpx2.Response:
    return httpx2.Response(
        status, json=body if body is not None else {}, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def problem(status: int, code: str, **headers: str) -> httpx2.Response:
    body = {"status": status, "code": code, "detail": "said why", "request_id": "req_1", "errors": []}
    return answer(status, body, **headers)


LOST = httpx2.ReadError("reset by peer")


def test_a_job_is_created_once_however_often_it_is_sent(connect: Connect, pauses: list[float]) -> None:
    service = Service(LOST, problem(503, "database_unavailable"), answer(201, JOB))
    with connect(service) as client:
        assert client.submit(dataset="digits").id == "job_1"
        client.jobs.submit({"dataset": "digits"})
    keys = [request.headers["idempotency-key"] for request in service.asked]
    assert len(keys) == 4
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert {request.content for request in service.asked} == {b'{"dataset": "digits"}'}
    assert len(pauses) == 2


def test_fields_take_the_place_of_the_specs(connect: Connect) -> None:
    service = Service(answer(201, JOB))
    with connect(service) as client:
        client.submit({"dataset": "iris", "seed": 0}, dataset="digits", idempotency_key="mine")
    assert json.loads(service.asked[0].content) == {"dataset": "digits", "seed": 0}
    assert service.asked[0].headers["idempotency-key"] == "mine"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_be_sent_again_is(connect: Connect, pauses: list[float], status: int) -> None:
    service = Service(problem(status, "later"), answer(200, JOB))
    with connect(service) as client:
        assert client.jobs.get("job_1").status == "queued"
    assert len(service.asked) == 2
    assert 0.4 <= pauses[0] <= 0.5


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422])
def test_what_would_be_refused_again_is_not_sent_again(connect: Connect, pauses: list[float], status: int) -> None:
    service = Service(problem(status, "no"))
    with connect(service) as client, pytest.raises(APIStatusError):
        client.jobs.get("job_1")
    assert (len(service.asked), pauses) == (1, [])


def test_the_service_is_given_the_time_that_it_asks_for(connect: Connect, pauses: list[float]) -> None:
    service = Service(problem(429, "queue_full", Retry_After="30"), problem(503, "away", Retry_After="1"), answer(201, JOB))
    with connect(service) as client:
        client.submit(dataset="digits")
    assert 30 <= pauses[0] <= 37.5
    assert 1 <= pauses[1] <= 1.25


def test_a_service_that_asks_for_more_than_a_minute_is_not_waited_for(connect: Connect, pauses: list[float]) -> None:
    service = Service(problem(429, "too_many", Retry_After="3600"))
    with connect(service) as client, pytest.raises(holdout.RateLimitError):
        client.limits()
    assert pauses == []


def test_retries_end_and_may_be_none(connect: Connect, pauses: list[float]) -> None:
    service = Service(LOST)
    with connect(service) as client, pytest.raises(APIConnectionError, match="connection to http://imagined broke: reset by peer"):
        client.jobs.get("job_1")
    assert len(service.asked) == 3
    with connect(service, max_retries=0) as client, pytest.raises(APIConnectionError):
        client.jobs.get("job_1")
    assert (len(service.asked), len(pauses)) == (4, 2)


@pytest.mark.usefixtures("pauses")
def test_a_bare_post_is_sent_again_only_where_nothing_was_done(connect: Connect) -> None:
    for first, count in ((LOST, 1), (problem(500, "internal"), 1), (httpx2.ConnectError("refused"), 2), (problem(429, "busy"), 2)):
        service = Service(first, answer(200, {"done": True}))
        with connect(service) as client:
            if count == 1:
                with pytest.raises(holdout.APIError):
                    client.request("post", "/v1/things", body={})
            else:
                assert client.request("post", "/v1/things", body={}).json() == {"done": True}
        assert len(service.asked) == count


@pytest.mark.usefixtures("pauses")
def test_what_an_attempt_without_an_answer_deleted_is_deleted(connect: Connect) -> None:
    with connect(Service(LOST, problem(404, "not_found"))) as client:
        client.jobs.delete("job_1")
    with connect(Service(problem(404, "not_found"))) as client, pytest.raises(NotFoundError):
        client.jobs.delete("job_1")


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, holdout.BadRequestError),
        (401, holdout.AuthenticationError),
        (403, holdout.PermissionDeniedError),
        (404, holdout.NotFoundError),
        (409, holdout.ConflictError),
        (413, holdout.RequestTooLargeError),
        (418, holdout.APIStatusError),
        (422, holdout.UnprocessableEntityError),
        (429, holdout.RateLimitError),
        (500, holdout.InternalServerError),
        (507, holdout.InternalServerError),
    ],
)
def test_every_status_has_its_exception(connect: Connect, status: int, kind: type[APIStatusError]) -> None:
    with connect(Service(problem(status, "a_code")), max_retries=0) as client, pytest.raises(APIStatusError) as raised:
        client.limits()
    error = raised.value
    assert type(error) is kind
    assert (error.status_code, error.code, error.request_id, error.errors) == (status, "a_code", "req_1", [])


def test_an_error_says_what_is_wrong_where_and_under_which_id() -> None:
    faults = [{"pointer": "/seed", "code": "int_type", "message": "must be an integer"}, {"pointer": "", "code": "extra", "message": "no"}]
    body = {"code": "invalid_request", "detail": "/seed: must be an integer (2 faults)", "errors": faults}
    service = Service(answer(422, body, X_Request_Id="req_9"))
    with (
        Client("http://imagined", transport=httpx2.MockTransport(service)) as client,
        pytest.raises(holdout.UnprocessableEntityError) as raised,
    ):
        client.submit(dataset="digits", seed="0")
    assert str(raised.value).splitlines() == [
        "422 invalid_request: /seed: must be an integer (2 faults)",
        "  /seed: must be an integer",
        "  the body: no",
        "  request id: req_9",
    ]
    assert raised.value.errors == faults


@pytest.mark.parametrize("body", [b"<html>Bad Gateway</html>", b"", b"[1]", b'{"errors": 3}', b"\xff\xfe"])
def test_an_answer_that_is_none_of_the_services_is_an_error_all_the_same(connect: Connect, body: bytes) -> None:
    service = Service(httpx2.Response(502, content=body))
    with (
        connect(service, max_retries=0) as client,
        pytest.raises(holdout.InternalServerError, match="502 http_502: the answer has status 502"),
    ):
        client.limits()


def test_a_silent_service_is_a_timeout(connect: Connect) -> None:
    with connect(Service(httpx2.ReadTimeout("")), max_retries=0) as client, pytest.raises(APITimeoutError, match="did not answer in time"):
        client.limits()


def test_keys_are_sent_and_never_shown(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDOUT_API_KEY", "hk_from_environment")
    service = Service(problem(401, "unauthorized"))
    for fields, key in (({}, "hk_from_environment"), ({"api_key": "hk_given"}, "hk_given")):
        with connect(service, **fields) as client, pytest.raises(holdout.AuthenticationError) as raised:
            client.limits()
        assert service.asked[-1].headers["authorization"] == f"Bearer {key}"
        assert key not in repr(client) + repr(raised.value) + str(raised.value) + repr(vars(raised.value))


def test_the_environment_says_where_the_service_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Client().base_url == "http://127.0.0.1:8000"
    monkeypatch.setenv("HOLDOUT_URL", "https://example.org/holdout/")
    service = Service(answer(200, {}))
    with Client(transport=httpx2.MockTransport(service)) as client:
        assert client.base_url == "https://example.org/holdout"
        client.limits()
    assert str(service.asked[0].url) == "https://example.org/holdout/v1/limits"


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://example.org", "http://", "http://a:b:c"])
def test_an_address_that_is_none_is_told_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="is not the address of a service"):
        Client(url)


@pytest.mark.parametrize("job_id", ["", "..", "a/b", "job_1?x=1", "job 1", "../datasets"])
def test_an_id_leads_nowhere_else(connect: Connect, job_id: str) -> None:
    service = Service(answer(200, JOB))
    with connect(service) as client, pytest.raises(ValueError, match="is not an id"):
        client.jobs.get(job_id)
    assert service.asked == []


def test_what_is_no_json_is_told_before_it_is_sent(connect: Connect) -> None:
    with connect(Service(answer(201, JOB))) as client:
        with pytest.raises(ValueError, match="a missing value is None"):
            client.submit(dataset="digits", seed=float("nan"))
        with pytest.raises(ValueError, match="set is no JSON type"):
            client.submit(dataset={"digits"})


def test_filters_are_written_as_the_api_reads_them(connect: Connect) -> None:
    service = Service(
        answer(200, {"items": [JOB], "next_cursor": "c", "has_more": True}),
        answer(200, {"items": [JOB], "next_cursor": None, "has_more": False}),
    )
    with connect(service) as client:
        jobs = list(client.jobs.list(status=["queued", "running"], metadata={"owner": "vision"}, fields=["status"], limit=1))
    assert [job.id for job in jobs] == ["job_1", "job_1"]
    first, second = (str(request.url.query, "ascii") for request in service.asked)
    assert first == "status=queued&status=running&sort=-created_at&limit=1&fields=id%2Cstatus&metadata.owner=vision"
    assert second == first.replace("&limit=1", "&limit=1&cursor=c")


def test_pages_are_read_when_they_are_come_to(connect: Connect) -> None:
    service = Service(answer(200, {"items": [JOB, JOB], "next_cursor": "c", "has_more": True}))
    with connect(service) as client:
        jobs = client.jobs.list()
        assert service.asked == []
        next(jobs), next(jobs)
        assert len(service.asked) == 1
        next(jobs)
        assert len(service.asked) == 2
        assert client.jobs.page(limit=2).next_cursor == "c"


@pytest.mark.usefixtures("pauses")
def test_a_file_is_whole_or_not_there(connect: Connect, tmp_path: Path) -> None:
    class Breaking(httpx2.SyncByteStream, httpx2.AsyncByteStream):
        def __iter__(self) -> Any:
            yield b"half"
            raise httpx2.ReadError("cut off")

        async def __aiter__(self) -> Any:
            yield b"half"
            raise httpx2.ReadError("cut off")

    with connect(lambda _: httpx2.Response(200, stream=Breaking())) as client, pytest.raises(APIConnectionError, match="cut off"):
        client.jobs.model("job_1", tmp_path / "m.onnx", format="onnx")
    assert list(tmp_path.iterdir()) == []
    named = {"Content-Disposition": 'attachment; filename="job_1-fit-1.onnx"'}
    with connect(lambda _: httpx2.Response(200, content=b"model", headers=named)) as client:
        assert client.jobs.model("job_1") == b"model"
        assert client.jobs.model("job_1", tmp_path) == tmp_path / "job_1-fit-1.onnx"
        assert client.jobs.model("job_1", tmp_path / "m.onnx") == tmp_path / "m.onnx"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job_1-fit-1.onnx", "m.onnx"]
    evil = {"Content-Disposition": 'attachment; filename="../../evil"'}
    with connect(lambda _: httpx2.Response(200, content=b"x", headers=evil)) as client:
        assert client.jobs.model("job_1", tmp_path) == tmp_path / "model"


def test_a_report_is_of_the_kind_that_its_name_says(connect: Connect, tmp_path: Path) -> None:
    service = Service(httpx2.Response(200, content=b"<svg/>"))
    with connect(service) as client:
        client.jobs.report("job_1", tmp_path / "r.SVG")
        client.jobs.report("job_1")
        with pytest.raises(ValueError, match="a png or an svg"):
            client.jobs.report("job_1", tmp_path / "r.pdf")
    assert [request.url.path for request in service.asked] == ["/v1/jobs/job_1/report.svg", "/v1/jobs/job_1/report.png"]


@pytest.mark.usefixtures("pauses")
def test_an_upload_is_sent_whole_again(connect: Connect, tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    file.write_text("a,b\n1,2\n")
    service = Service(LOST, answer(201, {"id": "ds_1"}))
    with connect(service) as client:
        assert client.datasets.upload(file, {"task": "regression"}, target="b").id == "ds_1"
        assert client.datasets.upload(b"a,b\n1,2\n", file_name="q.csv", target="b").id == "ds_1"
        with pytest.raises(ValueError, match="give file_name"):
            client.datasets.upload(b"a,b")
    for request in service.asked:
        assert b"a,b\n1,2\n" in request.content
        assert b'"target": "b"' in request.content
    assert b'filename="p.csv"' in service.asked[1].content


def test_errors_travel_between_processes_and_jobs_leave_their_client_behind(connect: Connect) -> None:
    error = pickle.loads(pickle.dumps(NotFoundError(404, {"code": "not_found", "detail": "gone"}, "req_1")))
    assert (type(error), str(error)) == (NotFoundError, "404 not_found: gone\n  request id: req_1")
    connection = pickle.loads(pickle.dumps(APITimeoutError("late", was_sent=False)))
    assert str(connection) == "late"
    with connect(Service(answer(200, JOB)), api_key="hk_secret") as client:
        job = client.jobs.get("job_1")
        job = getattr(job, "thing", job)
        dumped = pickle.dumps(JobFailed(job))
    assert b"hk_secret" not in dumped
    back = pickle.loads(dumped).job
    assert (back, back.status) == (job, "queued")
    with pytest.raises(holdout.HoldoutError, match="knows no client"):
        _ = back._jobs


def test_a_record_has_attributes_at_any_depth_and_names_those_there_are() -> None:
    record = Record({"best": {"val_loss": 0.5}, "fits": [{"number": 1}]})
    assert (record.best.val_loss, record.fits[0].number, record["best"]["val_loss"]) == (0.5, 1, 0.5)
    assert "best" in dir(record)
    with pytest.raises(AttributeError, match="has no 'worst'; it has best, fits"):
        _ = record.worst
    assert pickle.loads(pickle.dumps(record)) == record

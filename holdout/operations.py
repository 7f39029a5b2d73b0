"""What can be asked of jobs and datasets, as steps that both clients do. Results are plain JSON objects; clients wrap them."""

import io
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from holdout.curves import Curves
from holdout.errors import APIConnectionError, InternalServerError, NotFoundError, UnprocessableEntityError
from holdout.events import unless
from holdout.records import Page, Record
from holdout.requests import Answer, Ask, Call, File, Give, Pause, Steps, Tell, as_json, called
from holdout.retries import Patience

MODEL_FORMATS = ("safetensors", "onnx", "zip")
ENDED = frozenset({"succeeded", "failed", "cancelled"})
Fields = dict[str, Any]
Numbers = int | str | Sequence[int]
"""Numbers of fits: one, several, or as the API writes them: 1,2."""
_ALL_POINTS = 100_000
_FIRST_POLL_SECONDS = 0.1
_POLL_SECONDS = 1.0
_UPLOAD_SECONDS = 1800.0
"""A large file is read before its upload is answered."""


def asked(call: Call, *names: str) -> Steps[Fields]:
    """Ask for a JSON object that has these fields."""
    answer: Answer = yield Ask(call)
    return answer.fields(*names)


def recorded(call: Call, *names: str) -> Steps[Record]:
    """Ask for a JSON object that has these fields, with attributes."""
    return Record((yield from asked(call, *names)))


def listed(call: Call) -> Steps[list[Record]]:
    """Ask for the items of a list that has no pages."""
    found = yield from asked(call, "items")
    return [Record(one) for one in found["items"]]


def done(call: Call) -> Steps[None]:
    """Ask for something that is answered without a body."""
    yield Ask(call)


def submitted(spec: Mapping[str, Any] | None, fields: Mapping[str, Any], key: str | None) -> Steps[Fields]:
    """Submit a job, once however often it is sent."""
    headers = {"Idempotency-Key": key or str(uuid.uuid4())}
    return (yield from asked(called("POST", "jobs", body=_whole("a spec", spec, fields), headers=headers), "id"))


def job_read(job_id: str) -> Steps[Fields]:
    """Read a job."""
    return (yield from asked(called("GET", "jobs", job_id), "id"))


def previewed(spec: Mapping[str, Any] | None, fields: Mapping[str, Any]) -> Steps[Record]:
    """Ask what a job would be."""
    return (yield from recorded(called("POST", "previews", body=_whole("a spec", spec, fields)), "spec"))


def _whole(what: str, given: Mapping[str, Any] | None, fields: Mapping[str, Any]) -> Fields:
    """Put together what is given as an object and by name."""
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"{what} is an object, as a dict, not {given!r}; its fields may be given by name too")
    return {**(given or {}), **fields}


def ordered(job_id: str, order: str) -> Steps[Fields]:
    """Cancel, pause or resume."""
    return (yield from asked(called("POST", "jobs", job_id, order), "id"))


def extended(job_id: str, body: Mapping[str, Any], key: str | None) -> Steps[Fields]:
    """Make a job that goes on, once however often it is sent."""
    headers = {"Idempotency-Key": key or str(uuid.uuid4())}
    return (yield from asked(called("POST", "jobs", job_id, "extend", body=body, headers=headers), "id"))


def job_query(filters: Mapping[str, Any]) -> Fields:
    """Write filters as the API's query: metadata is a parameter for each key, fields are joined."""
    query = dict(filters)
    metadata = _whole("metadata", query.pop("metadata", None), {})
    wanted = query.pop("fields", None)
    if isinstance(wanted, str):
        wanted = [one.strip() for one in wanted.split(",")]
    return {
        **query,
        "fields": ",".join(dict.fromkeys(("id", *wanted))) if wanted else None,
        **{f"metadata.{name}": value for name, value in metadata.items()},
    }


def page(kind: str, query: Mapping[str, Any]) -> Steps[Page[Fields]]:
    """Read a page of jobs or datasets."""
    found = yield from asked(called("GET", kind, query=query), "items", "next_cursor", "has_more")
    return Page(items=found["items"], next_cursor=found["next_cursor"], has_more=found["has_more"])


def paged(kind: str, query: Mapping[str, Any]) -> Steps[None]:
    """Give the items of all pages, a page being read when it is come to."""
    cursor = query.get("cursor")
    while True:
        found = yield from page(kind, {**query, "cursor": cursor})
        for one in found.items:
            yield Give(one)
        cursor = found.next_cursor
        if cursor is None:
            return


def waited(job_id: str, timeout: float | None, poll: float | None, tell: Callable[[Fields], Any] | None) -> Steps[tuple[Fields, bool]]:
    """Wait for a job's end; give it, and whether it came in time. Each change that is seen is told.

    It is asked soon at first, then as often as the service's `Retry-After` says; the answer is 304 while nothing has changed.
    """
    _check_seconds(timeout=timeout, poll_interval=poll)
    give_up_at = None if timeout is None else time.monotonic() + timeout
    patience, etag, job, pause = Patience(), None, dict[str, Any](), _FIRST_POLL_SECONDS
    while True:
        pace = _POLL_SECONDS
        try:
            answer: Answer = yield Ask(called("GET", "jobs", job_id, headers=unless(etag)))
        except (APIConnectionError, InternalServerError) as error:
            if not job:
                raise
            pace = pause = patience.pause(error)
        else:
            patience.reached()
            pace = answer.retry_after or pace
            if answer.status != 304:
                job, etag = answer.fields("id", "status"), answer.headers.get("etag")
                if tell is not None:
                    yield Tell(tell, job)
            if job["status"] in ENDED:
                return job, True
        remaining = float("inf") if give_up_at is None else give_up_at - time.monotonic()
        if remaining <= 0:
            return job, False
        yield Pause(min(remaining, min(pause, pace) if poll is None else poll))
        pause *= 1.5


def _check_seconds(**given: Any) -> None:
    for name, value in given.items():
        if value is not None and not isinstance(value, int | float):
            raise TypeError(f"{name} is a number of seconds, not {value!r}")
        if value is not None and not value >= 0:
            raise ValueError(f"{name} is a number of seconds from 0, not {value!r}")


def read_curves(job_id: str, fits: Numbers | None, **query: Any) -> Steps[Curves]:
    """Read curves; all their points unless `max_points` asks for fewer."""
    query["max_points"] = query["max_points"] or _ALL_POINTS
    call = called("GET", "jobs", job_id, "curves", query={"fits": _numbers(fits), **query})
    return Curves(job_id, (yield from asked(call, "fits", "version")))


def csv_call(job_id: str, fits: Numbers | None, path: str | Path | None) -> Call:
    """Ask for every epoch's figures as a table."""
    save_to = None if path is None else Path(path)
    return called("GET", "jobs", job_id, "curves.csv", query={"fits": _numbers(fits)}, save_to=save_to)


def _numbers(fits: Numbers | None) -> str | None:
    """Write numbers of fits as the API reads them."""
    if fits is None or isinstance(fits, str | int):
        return None if fits is None else str(fits)
    return ",".join(map(str, fits))


def predicted(job_id: str, rows: Any, **query: Any) -> Steps[Record]:
    """Let the model answer for rows. A column of what is to be predicted, as training rows have, is left out."""
    given = as_rows(rows)
    try:
        return (yield from _answers(job_id, given, query))
    except UnprocessableEntityError as error:
        unknown = {str(one.get("pointer")).rpartition("/")[2] for one in error.errors if one.get("code") == "unknown_column"}
        if not unknown:
            raise
        target = yield from _target(job_id)
        if target not in unknown:
            raise
    return (yield from _answers(job_id, [_without(row, target) for row in given], query))


def _answers(job_id: str, rows: list[Any], query: Mapping[str, Any]) -> Steps[Record]:
    return (yield from recorded(called("POST", "jobs", job_id, "predictions", query=query, body={"rows": rows}), "predictions"))


def _without(row: Any, name: str | None) -> Any:
    return {own: value for own, value in row.items() if own != name} if isinstance(row, Mapping) else row


def _target(job_id: str) -> Steps[str | None]:
    """Read what a job's dataset calls that which is predicted; None if the dataset is gone."""
    try:
        job = yield from job_read(job_id)
        return str((yield from asked(called("GET", "datasets", job["dataset"])))["target_name"])
    except NotFoundError:
        return None


def as_rows(rows: Any) -> list[Any]:
    """Take rows as lists of objects or values, or from a frame of pandas; NaN there is a missing value."""
    if isinstance(rows, str | bytes | Mapping) or not (hasattr(rows, "__iter__") or hasattr(rows, "tolist")):
        raise TypeError(f"rows are a list of objects or lists, or a frame of pandas, not {type(rows).__name__}")
    if hasattr(rows, "to_dict") and hasattr(rows, "columns"):
        return [{name: None if value != value else value for name, value in row.items()} for row in rows.to_dict("records")]  # noqa: PLR0124  only NaN differs from itself
    return rows.tolist() if hasattr(rows, "tolist") else list(rows)


def received(call: Call) -> Steps[bytes | Path]:
    """Read a file: into memory, or to where the request says."""
    answer: Answer = yield Ask(call)
    return answer.content if answer.saved_to is None else answer.saved_to


def model_call(job_id: str, kind: str | None, fit: int | None, path: str | Path | None) -> Call:
    """Ask for kept weights, in the format that their file's name says, or else as safetensors.

    Raises:
        ValueError: there is no such format.
    """
    found = kind or _ending(path) or "safetensors"
    if found not in MODEL_FORMATS:
        raise ValueError(f"a model is a .safetensors, .onnx or .zip, not {found!r}: name its file so, or give the format")
    return called("GET", "jobs", job_id, "model", query={"format": found, "fit": fit}, save_to=None if path is None else Path(path))


def report_call(job_id: str, kind: str | None, path: str | Path | None) -> Call:
    """Ask for a picture, of the kind that its file's name says, or else as a png.

    Raises:
        ValueError: it is neither png nor svg.
    """
    found = kind or _ending(path) or "png"
    if found not in {"png", "svg"}:
        raise ValueError(f"a report is a png or an svg, not {found!r}")
    return called("GET", "jobs", job_id, f"report.{found}", save_to=None if path is None else Path(path))


def _ending(path: str | Path | None) -> str:
    """Read what a file's name says that it is; a folder's says nothing."""
    return "" if path is None or Path(path).is_dir() else Path(path).suffix.lstrip(".").lower()


def uploaded(source: Any, schema: Mapping[str, Any] | None, fields: Mapping[str, Any], file_name: str | None) -> Steps[Record]:
    """Upload a file with its schema. Equal content under an equal schema is one dataset, so it may be sent again."""
    call = Call(
        method="POST",
        path="/v1/datasets",
        file=_source(source, file_name),
        form={"schema": as_json(_whole("a schema", schema, fields)).decode()},
        timeout=_UPLOAD_SECONDS,
    )
    return (yield from recorded(call, "id"))


def _source(source: Any, file_name: str | None) -> File:
    """Take a path, bytes, an open file or a frame of pandas; of text in memory its UTF-8."""
    if isinstance(source, str | Path):
        path = Path(source)
        return File(name=file_name or path.name, content=path)
    if hasattr(source, "to_csv"):
        return File(name=file_name or "frame.csv", content=source.to_csv(index=False).encode())
    if not isinstance(source, bytes | bytearray) and not hasattr(source, "read"):
        raise TypeError(f"what is uploaded is a path, bytes, an open file or a frame of pandas, not {type(source).__name__}")
    own = getattr(source, "name", None)
    name = file_name or (Path(own).name if isinstance(own, str) else None)
    if not name:
        raise ValueError("what is in memory has no name: give file_name, whose ending tells what it is")
    content: Any = bytes(source) if isinstance(source, bytes | bytearray) else source.read()
    if isinstance(source, io.StringIO):
        content = content.encode()
    if not isinstance(content, bytes):
        raise ValueError(f'{name} is open as text: open it as bytes, by open("{name}", "rb")')  # noqa: TRY004  as of all that is wrong with a source
    return File(name=name, content=content)

"""Jobs: created, listed, read, deleted."""

import contextlib
import datetime as dt
import hashlib
import json
import re
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Header, Query, Request, Response
from pydantic import BeforeValidator
from starlette.concurrency import run_in_threadpool

from api.dependencies import Everything, IfNoneMatch, JobId, Me, Resources
from api.errors import ProblemDetail, ProblemError, responses
from api.etags import UNCHANGED, etag, is_current
from api.examples import CURSOR, JOBS, offered
from api.sending import send_first
from api.strict import StrictRoute
from api.together import Shared
from api.views.jobs import JobPage, JobView, PageOfParts
from jobs.planning import shards_of
from jobs.spec import JobSpec
from jobs.states import ACTIVE, JobStatus
from store.engine import Database
from store.errors import ArtifactsUnavailable
from store.jobs import create_job, delete_job, get_job, job_of_key, num_queued
from store.listing import JobFilter, PageQuery, page_query
from store.listing import read_page as read_page_of
from store.sweeping import in_flight
from store.workers import live

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=StrictRoute)

JobBody = Annotated[JobSpec, Body(openapi_examples=JOBS)]


def key_header(example: str) -> Any:
    """Describe the header `Idempotency-Key`. Operations have examples of their own: a key holds for one body."""
    return Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Same key and body: the same job, however often it is sent. Same key, other body: 422.",
        openapi_examples=offered(example),
    )


IdempotencyKey = Annotated[str | None, key_header("7c1f3c8e-7a0e-4f0a-9a55-6d0e5a3b2f10")]


def _written_out(value: object) -> object:
    """Refuse instants in other forms than RFC 3339: seconds since 1970 are none."""
    if isinstance(value, str) and not _INSTANT.match(value):
        raise ValueError("an instant is written like 2026-01-31T12:00:00Z")
    return value


_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:")
CreatedAfter = Annotated[
    dt.datetime | None,
    BeforeValidator(_written_out),
    Query(description="RFC 3339 with a zone.", openapi_examples=offered("2026-01-31T12:00:00Z")),
]
CreatedBefore = Annotated[
    dt.datetime | None,
    BeforeValidator(_written_out),
    Query(description="RFC 3339 with a zone.", openapi_examples=offered("2099-12-31T23:59:59+09:00")),
]
_RETRY_SECONDS = 1
_NAMED = 40
"""How many unknown fields are named, and how many letters of each."""


@router.post(
    "",
    status_code=201,
    summary="Submit a job",
    responses={**responses(413, 415, 422, 429), 201: {"headers": {"Location": {"schema": {"type": "string"}}}}},
)
def create(spec: JobBody, response: Response, resources: Everything, me: Me, idempotency_key: IdempotencyKey = None) -> JobView:
    """Check the spec, store the job and hand it to the queue.

    All that can be known now is refused now. If the queue is away the job is accepted all the same and runs once it is back.
    """
    body_hash = hashlib.sha256(spec.model_dump_json().encode()).hexdigest()
    # What was accepted once is answered again, though the queue be full or the GPU gone by now.
    job = None if idempotency_key is None else job_of_key(resources.db, idempotency_key, body_hash, owner=me.owner)
    if job is None:
        resolved = resources.resolve(spec, me)
        check_device(spec, resources)
        check_room(resources)
        workers = len(live(resources.db))
        shards = shards_of(resolved.first_round.fits, resolved.info, workers)
        created = create_job(resources.db, resolved, shards, owner=me.owner, idempotency_key=idempotency_key, body_hash=body_hash)
        send_first(created.shard_ids[: in_flight(workers)], spec.device, resources)
        job = created.job
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    response.headers["ETag"] = etag(job.version)
    return JobView.of(job)


@router.get("", summary="List jobs", response_model=JobPage | PageOfParts, responses=responses(422))
async def read_page(
    resources: Everything,
    me: Me,
    request: Request,
    status: Annotated[
        list[JobStatus] | None, Query(description="Any of these; repeat the parameter.", openapi_examples=offered(["succeeded", "failed"]))
    ] = None,
    plan: Annotated[str | None, Query(max_length=32, openapi_examples=offered("fit"))] = None,
    dataset: Annotated[str | None, Query(max_length=64, openapi_examples=offered("digits"))] = None,
    name: Annotated[
        str | None,
        Query(min_length=1, max_length=200, description="Part of the name, in any case.", openapi_examples=offered("two hidden")),
    ] = None,
    created_after: CreatedAfter = None,
    created_before: CreatedBefore = None,
    metadata: Annotated[str | None, Query(include_in_schema=False)] = None,
    sort: Annotated[
        Literal["created_at", "-created_at"], Query(description="Oldest or newest first.", openapi_examples=offered("-created_at"))
    ] = "-created_at",
    fields: Annotated[
        str | None, Query(description="Only these fields of each job, separated by commas.", openapi_examples=offered("id,status,progress"))
    ] = None,
    cursor: Annotated[
        str | None, Query(max_length=500, description="`next_cursor` of the page before.", openapi_examples=offered(CURSOR))
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100, openapi_examples=offered(50))] = 20,
) -> Response:
    """List jobs, newest first. `metadata.key=value` filters by metadata; filters act before pages are cut.

    Lists inside a plan's `result` (its fits, candidates, rounds) are left out here: read the job, or its result.
    """
    if metadata is not None or "metadata." in request.query_params:
        raise _bad_parameter("metadata", "name a key: metadata.owner=vision")
    chosen = JobFilter(
        statuses=frozenset(status or ()),
        plan=plan,
        dataset=dataset,
        name=name,
        created_after=_utc("created_after", created_after),
        created_before=_utc("created_before", created_before),
        metadata={key.removeprefix("metadata."): value for key, value in request.query_params.items() if key.startswith("metadata.")},
    )
    _check_text(request)
    query = page_query(chosen, owner=me.sees, sort=sort, cursor=cursor, limit=limit)
    page = Shared(partial(run_in_threadpool, partial(_page, query, _wanted(fields), resources)))
    answer = partial(_answer_page, page)
    response = await answer(None)
    if cursor is None:  # what is polled is the first page
        resources.shortcuts.remember(request.scope, answer)
    return response


async def _answer_page(page: Shared[bytes], _if_none_match: str | None) -> Response:
    return Response(await page.get(), media_type="application/json")


def _page(query: PageQuery, wanted: frozenset[str] | None, resources: Resources) -> bytes:
    """Put a page together from jobs that were written down before, as of their version now, and those that were not."""
    kept: dict[str, bytes] = {}

    def is_kept(job_id: str, version: int) -> bool:
        found = resources.listed.get((job_id, wanted), version)
        if found is not None:
            kept[job_id] = found
        return found is not None

    page = read_page_of(resources.db, query, is_kept)
    for job in page.items:
        kept[job.id] = JobView.of(job).without_lists().model_dump_json(include=None if wanted is None else set(wanted)).encode()
        resources.listed.put((job.id, wanted), job.version, kept[job.id])
    end = {"next_cursor": page.next_cursor, "has_more": page.next_cursor is not None}
    return (
        b'{"items":[' + b",".join([kept[job_id] for job_id in page.job_ids]) + b"]," + json.dumps(end, separators=(",", ":")).encode()[1:]
    )


@router.get("/{job_id}", summary="Read a job", response_model=JobView, responses={**responses(404, 422), **UNCHANGED})
async def read(job_id: JobId, resources: Everything, request: Request, if_none_match: IfNoneMatch = None) -> Response:
    """Read a job as it stands. Send the ETag back as If-None-Match to be told 304 while nothing has changed."""
    answer = partial(_answer, job_id, resources)
    response = await answer(if_none_match)
    resources.shortcuts.remember(request.scope, answer)
    return response


async def _answer(job_id: str, resources: Resources, if_none_match: str | None) -> Response:
    """Answer 304, or with bytes made before, or anew."""
    version, status = await resources.version_of(job_id)
    if if_none_match is not None and is_current(if_none_match, version):
        return Response(status_code=304, headers=_poll_headers(version, status))
    body = resources.bodies.get(job_id, version)
    if body is None:
        version, status, made = await run_in_threadpool(_made, job_id, resources.db)
        resources.bodies.put(job_id, version, made)
        body = made
    return Response(body, media_type="application/json", headers=_poll_headers(version, status))


def _made(job_id: str, db: Database) -> tuple[int, JobStatus, bytes]:
    job = get_job(db, job_id)
    return job.version, job.status, JobView.of(job).model_dump_json().encode()


@router.delete("/{job_id}", status_code=204, response_class=Response, summary="Delete an ended job", responses=responses(404, 409, 422))
def delete(job_id: JobId, resources: Everything) -> None:
    """Delete a job that has ended, with its fits, curves, events and weights, and nothing else."""
    folder = f"jobs/{job_id}/"
    elsewhere = [url for url in delete_job(resources.db, job_id) if not url.startswith(folder)]
    with contextlib.suppress(ArtifactsUnavailable):  # the job is gone: the sweeper deletes what is missed here
        resources.artifacts.delete(elsewhere)
        resources.artifacts.clear(f"jobs/{job_id}")  # all its files lie there, and what a worker that died had not told of


def check_device(spec: JobSpec, resources: Resources) -> None:
    """Refuse a GPU job where no live worker has a GPU."""
    if spec.device == "cuda" and not any("cuda" in worker.devices for worker in live(resources.db)):
        message = "no live worker has a GPU: use auto or cpu"
        raise ProblemError(
            422,
            "invalid_spec",
            f"/device: {message}",
            errors=[ProblemDetail(pointer="/device", code="device_unavailable", message=message)],
        )


def check_room(resources: Resources) -> None:
    """Refuse more jobs than may wait."""
    queued = num_queued(resources.db)
    if queued >= resources.settings.max_queued_jobs:
        raise ProblemError(429, "queue_full", f"{queued} jobs wait already; try again later", headers={"Retry-After": "30"})


def _poll_headers(version: int, status: JobStatus) -> dict[str, str]:
    headers = {"ETag": etag(version), "Cache-Control": "no-cache"}
    return headers | {"Retry-After": str(_RETRY_SECONDS)} if status in ACTIVE else headers


def _wanted(fields: str | None) -> frozenset[str] | None:
    if fields is None:
        return None
    wanted = frozenset(fields.split(","))
    if unknown := sorted(wanted - JobView.model_fields.keys()):
        named = ", ".join(repr(one[:_NAMED]) for one in unknown[:_NAMED])
        raise _bad_parameter("fields", f"a job has no field {named}; it has {', '.join(JobView.model_fields)}")
    return wanted


def _utc(parameter: str, instant: dt.datetime | None) -> dt.datetime | None:
    """Bring an instant to UTC, if it names one."""
    if instant is None:
        return None
    if instant.tzinfo is None:
        raise _bad_parameter(parameter, "an instant needs a zone, for example 2026-01-31T12:00:00Z")
    try:
        return instant.astimezone(dt.UTC)
    except OverflowError:
        raise _bad_parameter(parameter, "there is no such instant in UTC") from None


def _check_text(request: Request) -> None:
    """Refuse what no database stores."""
    for name, value in request.query_params.multi_items():
        if "\x00" in name + value:
            raise _bad_parameter(name.replace("\x00", ""), "must not contain the NUL character")


def _bad_parameter(name: str, message: str) -> ProblemError:
    return ProblemError(
        422, "invalid_request", f"{name}: {message}", errors=[ProblemDetail(pointer=name, code="bad_parameter", message=message)]
    )

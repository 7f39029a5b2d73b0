"""The story of a job, as a stream or a page."""

import asyncio
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.accept import preferred
from api.dependencies import Everything, JobId, Me, Resources
from api.errors import ProblemError, responses
from api.examples import offered
from api.guard import Identity
from api.stream import job_events
from api.strict import StrictRoute
from api.views.jobs import EventPageView, EventView
from jobs.states import TERMINAL
from store.events import events_after
from store.jobs import job_version

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"], route_class=StrictRoute)

_TEXT = {"type": "string"}
_EVENT = {
    "type": "object",
    "description": "Each event of the stream; `data` is JSON. Only the last event of a version has an `id`.",
    "properties": {"id": _TEXT, "event": _TEXT, "data": {**_TEXT, "contentMediaType": "application/json"}},
    "required": ["event", "data"],
}


@router.get(
    "/events",
    summary="Follow a job",
    response_model=EventPageView,
    responses={
        **responses(404, 406, 422, 429),
        200: {
            "content": {"text/event-stream": {"schema": _EVENT}},
            "description": "Events as they come, or with Accept: application/json a page.",
        },
        204: {"description": "The job has ended and everything was read: do not come back."},
    },
)
def follow(
    job_id: JobId,
    resources: Everything,
    me: Me,
    after_version: Annotated[
        int | None, Query(ge=0, le=2**62, description="Only what was written after this version.", openapi_examples=offered(1))
    ] = None,
    last_event_id: Annotated[
        str,
        Header(
            alias="Last-Event-ID",
            pattern="^[0-9]{0,18}$",
            description="Where a stream was cut off: an id that it gave.",
            openapi_examples=offered("1"),
        ),
    ] = "",
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> EventPageView | Response:
    """Follow changes of status, ends of fits and epochs as server-sent events; the last one is `finished`.

    An event's id is the job's version. A stream that was cut off goes on after `Last-Event-ID`.
    """
    version = max(after_version or 0, int(last_event_id or 0))  # who reconnects comes to the same address
    _, status = job_version(resources.db, job_id)
    kind = preferred(accept, ("text/event-stream", "application/json"))
    if kind is None:
        raise ProblemError(406, "not_acceptable", "events come as text/event-stream or application/json")
    if kind == "application/json":
        page = events_after(resources.db, job_id, version)
        events = [EventView.model_validate({"version": event.version, "kind": event.kind, "data": event.data}) for event in page.events]
        return EventPageView(events=events, version=page.version, has_more=page.has_more)
    if status in TERMINAL and not events_after(resources.db, job_id, version, max_versions=1).events:
        return Response(status_code=204)
    if not resources.streams.take(me.sees):
        raise ProblemError(429, "too_many_streams", "too many event streams are open; poll instead", headers={"Retry-After": "5"})
    return _Stream(resources, me, job_id, version)


class _Stream(StreamingResponse):
    """A job's events. Its place is given back however it ends, and were it never begun to be sent."""

    def __init__(self, resources: Resources, me: Identity, job_id: str, version: int) -> None:
        self._give_back = partial(resources.streams.give_back, me.sees)
        events = job_events(resources.db, resources.nudges, job_id, version, partial(resources.guard.still_lets_in, me))
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except asyncio.CancelledError:  # the server stops, and waits for it no longer: a stream that is whole so far ends as others do
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._give_back()

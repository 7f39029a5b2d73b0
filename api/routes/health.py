"""Whether the service lives, is ready, and how it does.

All three answer on the event loop: when every thread waits for a database that hangs, they still do.
"""

import asyncio
from dataclasses import replace

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.dependencies import Resources
from api.errors import responses
from api.strict import StrictRoute
from api.views.health import HealthView, ReadyView

router = APIRouter(tags=["health"], route_class=StrictRoute)


@router.get("/healthz", summary="Is the process alive?", responses=responses(422))
async def healthz() -> HealthView:
    """Answer as long as the process does; nothing else is asked."""
    return HealthView()


@router.get(
    "/readyz",
    summary="Would a job be accepted and run?",
    responses={**responses(422), 503: {"model": ReadyView, "description": "Not ready; `checks` says why."}},
)
async def readyz(request: Request, response: Response) -> ReadyView:
    """Check that the database is there and migrated, that broker and artifacts take writes, and that a worker lives.

    Answers within two seconds, whatever hangs.
    """
    resources: Resources = request.app.state.resources
    found = await resources.checks.look()
    facts = found.facts
    response.status_code = 200 if found.is_ready else 503
    return ReadyView(
        status="ready" if found.is_ready else "not_ready",
        checks=found.checks,
        warnings=found.warnings,
        workers=0 if facts is None else len(facts.workers),
        workers_by_device={} if facts is None else facts.workers_by_device,
        queued=0 if facts is None else facts.active["queued"],
        running=0 if facts is None else facts.active["running"],
        oldest_queued_seconds=None if facts is None else facts.oldest_queued_seconds,
    )


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={**responses(422), 200: {"content": {"text/plain": {}}, "description": "Prometheus text."}},
)
async def metrics(request: Request) -> Response:
    """Give what this process counted, and as of now jobs, queue, workers, sweepers and what each of them counted.

    Where ended jobs are so many that counting them takes seconds, they are as of a while ago. Without the database only what this process knows, and `holdout_up{component="database"} 0`.
    """
    resources: Resources = request.app.state.resources
    found, ended = await asyncio.gather(resources.checks.look(), resources.checks.ended())
    if request.scope.get("is_unverified"):
        found = replace(found, facts=None)
    return Response(resources.measures.text(found.up, found.facts, ended), media_type=CONTENT_TYPE_LATEST)

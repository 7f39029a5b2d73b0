"""Whether the service lives, is ready, and how it does."""

import redis
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from redis.backoff import NoBackoff
from redis.retry import Retry

from api.dependencies import Everything, Resources
from api.errors import responses
from api.strict import StrictRoute
from api.views.health import HealthView, ReadyView
from store.engine import Database
from store.errors import DatabaseUnavailable
from store.jobs import QueueFacts, queue_facts
from store.workers import live

router = APIRouter(tags=["health"], route_class=StrictRoute)
_ONCE = Retry(NoBackoff(), 0)
_NO_FACTS = QueueFacts(counts={}, oldest_queued_seconds=None)


@router.get("/healthz", summary="Is the process alive?", responses=responses(422))
def healthz() -> HealthView:
    """Answer as long as the process does; nothing else is asked."""
    return HealthView()


@router.get(
    "/readyz",
    summary="Would a job be accepted and run?",
    responses={**responses(422), 503: {"model": ReadyView, "description": "Not ready; `checks` says why."}},
)
def readyz(resources: Everything, response: Response) -> ReadyView:
    """Check the database, the broker and that a worker lives."""
    checks = {"database": "ok", "broker": _broker(resources), "worker": "ok"}
    facts, workers = _NO_FACTS, 0
    try:
        facts, workers = queue_facts(resources.db), len(live(resources.db))
    except DatabaseUnavailable as error:
        checks["database"] = str(error)
    if workers == 0:
        checks["worker"] = "no worker was heard of lately"
    is_ready = all(found == "ok" for found in checks.values())
    response.status_code = 200 if is_ready else 503
    return ReadyView(
        status="ready" if is_ready else "not_ready",
        checks=checks,
        workers=workers,
        queued=facts.counts.get("queued", 0),
        running=facts.counts.get("running", 0),
        oldest_queued_seconds=facts.oldest_queued_seconds,
    )


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={**responses(422), 200: {"content": {"text/plain": {}}, "description": "Prometheus text."}},
)
def metrics(resources: Everything) -> Response:
    """Give jobs by status, the wait of the oldest queued one and live workers, as of now."""
    return Response(generate_latest(_measured(resources.db)), media_type=CONTENT_TYPE_LATEST)


def _broker(resources: Resources) -> str:
    try:
        with redis.Redis.from_url(resources.settings.broker_url, socket_connect_timeout=0.5, socket_timeout=0.5, retry=_ONCE) as client:
            client.ping()
    except redis.RedisError:
        return "the broker cannot be reached"
    return "ok"


def _measured(db: Database) -> CollectorRegistry:
    registry = CollectorRegistry()
    facts = queue_facts(db)
    jobs = Gauge("holdout_jobs", "Jobs by status.", ["status"], registry=registry)
    for status, count in facts.counts.items():
        jobs.labels(status).set(count)
    Gauge("holdout_oldest_queued_seconds", "Wait of the oldest queued job.", registry=registry).set(facts.oldest_queued_seconds or 0)
    Gauge("holdout_workers", "Workers heard of lately.", registry=registry).set(len(live(db)))
    return registry

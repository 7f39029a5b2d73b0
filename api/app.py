"""The API: `uvicorn --factory api.app:create_app`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from api import document
from api.access import Access
from api.access_log import AccessLog
from api.dashboard import pages
from api.dependencies import Resources
from api.errors import install
from api.headers import NamedOrigins, SecurityHeaders
from api.heads import Heads
from api.memory import hand_back
from api.routes import curves, datasets, events, fits, health, jobs, models, orders, previews, report, techniques
from api.settings import ApiSettings
from api.shortcuts import Shortcut
from api.strict import RequestIds
from api.uploading import sweep_scratch
from data.builtin import catalog
from store.engine import API_PATIENCE, Database, create_engine
from store.logs import configure_logs

_DESCRIPTION = """
Training jobs that measure how well networks generalize. Submit a spec, follow its curves, read the generalization gap.

* Only `dataset` is required in a spec; every default is echoed, and what is echoed can be posted again.
* `loss` is the data term alone, in evaluation mode, on clean rows; `generalization_gap = val_loss - train_loss`.
* Epoch 0 is the network before any update.
* Every error is `application/problem+json` with a stable `code` and JSON pointers.
* Where keys are required, send `Authorization: Bearer hk_...`; a key sees only its owner's jobs and datasets.
* Poll with the ETag (304 while nothing changed), or follow `/v1/jobs/{id}/events`.
"""
_TAGS = [
    {"name": "jobs", "description": "Submit, preview, list, cancel, delete."},
    {"name": "results", "description": "Fits, curves, events, pictures."},
    {"name": "models", "description": "Weights, ONNX, preparation, model card, predictions."},
    {"name": "datasets", "description": "Upload, look at, delete; built-in ones beside them."},
    {"name": "catalog", "description": "Techniques and limits."},
    {"name": "health", "description": "Alive, ready, metrics."},
]


def create_app(settings: ApiSettings | None = None) -> FastAPI:
    """Make the application; nothing connects before it starts."""
    resolved = settings or ApiSettings()
    configure_logs(resolved.log_level, secrets=(resolved.database_url, resolved.broker_url))
    app = FastAPIOffline(
        docs_url=None,  # the page is our own: it has a policy of what may run in it
        redoc_url=None,
        title="Holdout",
        version="0.1.0",
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # /metrics and the log say it; this asks anew at every request
        lifespan=_lifespan,
    )
    resources = Resources(resolved, Database(create_engine(resolved.database_url, API_PATIENCE)))
    app.state.resources = resources
    app.add_middleware(Shortcut, shortcuts=resources.shortcuts)  # the innermost: behind the door
    app.add_middleware(Access, origins=resolved.cors_origins)
    if resolved.cors_origins:
        app.add_middleware(NamedOrigins, origins=resolved.cors_origins)
    app.add_middleware(Heads)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(AccessLog, measures=resources.measures)
    app.add_middleware(RequestIds)  # the outermost: every answer has an id
    install(app)
    modules = (jobs, orders, fits, curves, events, report, models, previews, datasets, techniques, health)
    for module in modules:
        app.include_router(module.router)
    app.state.routes = [route for module in modules for route in module.router.routes]
    pages.install(app)
    document.install(app)
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    resources: Resources = app.state.resources
    sweep_scratch()
    catalog()  # read built-in rows now, not in somebody's first request
    hand_back()
    listening = asyncio.create_task(resources.nudges.run())
    try:
        yield
    finally:
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening
        await asyncio.to_thread(resources.sent.write)
        resources.db.dispose()

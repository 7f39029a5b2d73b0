"""The API: `uvicorn --factory api.app:create_app`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from fastapi_offline import FastAPIOffline

from api.access_log import AccessLog
from api.dependencies import Resources
from api.errors import Problem, install
from api.memory import hand_back
from api.routes import curves, datasets, events, fits, health, jobs, models, orders, previews, report, techniques
from api.settings import ApiSettings
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
        redoc_url=None,
        title="Holdout",
        version="0.1.0",
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # /metrics and the log say it; this asks anew at every request
        lifespan=_lifespan,
        swagger_ui_parameters={"tryItOutEnabled": True, "displayRequestDuration": True, "defaultModelsExpandDepth": 0},
    )
    resources = Resources(resolved, Database(create_engine(resolved.database_url, API_PATIENCE)))
    app.state.resources = resources
    app.add_middleware(AccessLog, measures=resources.measures)
    app.add_middleware(RequestIds)
    install(app)
    modules = (jobs, orders, fits, curves, events, report, models, previews, datasets, techniques, health)
    for module in modules:
        app.include_router(module.router)
    app.state.routes = [route for module in modules for route in module.router.routes]
    app.add_api_route("/", _home, include_in_schema=False)
    _document_problems(app)
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
        resources.db.dispose()


async def _home() -> RedirectResponse:
    return RedirectResponse("/docs")


def _document_problems(app: FastAPI) -> None:
    """Put the schema of problems beside the others, in place of the framework's own error shape."""
    generate = app.openapi

    def documented() -> dict[str, object]:
        document = generate()
        schemas = document["components"]["schemas"]
        if "Problem" not in schemas:
            schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(schema.pop("$defs"))
            schemas["Problem"] = schema
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
        return document

    app.openapi = documented  # type: ignore[method-assign]

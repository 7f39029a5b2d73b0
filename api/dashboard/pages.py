"""The dashboard: shells of pages that carry no data and read it from the API, with the reader's key."""

from functools import lru_cache, partial

from fastapi import FastAPI
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.dashboard.assets import assets, fingerprint, imports, serve
from api.dashboard.presets import PRESETS
from api.public import PAGES

_PATHS = {
    "/": "jobs",
    f"{PAGES}jobs/{{job_id}}": "job",
    f"{PAGES}compare": "compare",
    f"{PAGES}new": "new",
    f"{PAGES}datasets": "datasets",
    f"{PAGES}datasets/{{dataset_id}}": "dataset",
}
_SCRIPTS = {"missing": "dom"}
"""Pages that have no script of their own name."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing inline, nothing from elsewhere."""


def install(app: FastAPI) -> None:
    """Serve the pages and their files."""
    assets()  # read and packed now, not in somebody's first request
    for path, name in _PATHS.items():
        app.add_route(path, partial(_page, name), include_in_schema=False)
    app.add_route(f"{PAGES}static/{{fingerprint}}/{{name:path}}", serve, include_in_schema=False)
    app.add_route(f"{PAGES}jobs", _home, include_in_schema=False)
    app.add_route(f"{PAGES}{{path:path}}", _missing, include_in_schema=False)  # the last: it matches every address below


async def _home(request: Request) -> RedirectResponse:
    return RedirectResponse(f"{request.scope.get('root_path', '')}/")


async def _missing(request: Request) -> Response:
    """Say that there is no such page; one with a slash too many is looked for without it."""
    path: str = request.path_params["path"]
    if path == "":
        return await _home(request)
    if path.endswith("/"):
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{request.scope.get('root_path', '')}{PAGES}{path.rstrip('/')}{query}")
    return await _page("missing", request, status=404)


async def _page(name: str, request: Request, status: int = 200) -> Response:
    """Give a page's shell, the same whoever asks and whatever it is to show."""
    html = _rendered(name, request.scope.get("root_path", ""))
    return Response(html, status, media_type="text/html", headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"})


@lru_cache(maxsize=64)
def _rendered(name: str, root: str) -> str:
    static = f"{root}{PAGES}static/{fingerprint()}"
    script = _SCRIPTS.get(name, name)
    return (
        _templates()
        .get_template(f"{name}.html")
        .render(
            root=root, pages=f"{root}{PAGES}", static=static, page=name, script=script, imports=imports(f"{script}.js"), presets=PRESETS
        )
    )


@lru_cache(maxsize=1)
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("api.dashboard"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )

"""Paths that carry no data: open to all, whoever they are."""

from starlette.types import Scope

STATIC = "/static-offline-docs/"
"""Where Swagger UI's own files are."""
PAGES = "/ui/"
"""Where the dashboard's shells and files are; what they show is read from the API."""
METRICS = "/metrics"
"""Not open where keys are required, but answered while nobody can tell: then above all somebody wants to know."""
PUBLIC = frozenset({"/", "/docs", "/openapi.json", "/healthz", "/readyz"})


def is_public(scope: Scope) -> bool:
    """Tell whether a path is open to all."""
    path, root = scope["path"], scope.get("root_path", "")
    if root and path.startswith(f"{root}/"):  # as the router does
        path = path.removeprefix(root)
    return path in PUBLIC or path.startswith((STATIC, PAGES))

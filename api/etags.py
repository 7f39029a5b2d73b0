"""Weak ETags made of a job's version."""

from fastapi import Response


def etag(version: int) -> str:
    """Give the ETag of a version."""
    return f'W/"{version}"'


def is_current(if_none_match: str, version: int) -> bool:
    """Tell whether a client's If-None-Match names this version."""
    offered = {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
    return "*" in offered or f'"{version}"' in offered


def unchanged(version: int) -> Response:
    """Answer 304."""
    return Response(status_code=304, headers={"ETag": etag(version), "Cache-Control": "no-cache"})

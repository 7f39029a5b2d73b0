"""Weak ETags made of a job's version; `variant` tells representations of one resource apart."""

from typing import Any

from fastapi import Response

UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "Unchanged since the ETag sent."}}
"""What an operation that takes If-None-Match documents."""


def etag(version: int, variant: str = "") -> str:
    """Give the ETag of a version."""
    return f'W/"{version}{variant}"'


def is_current(if_none_match: str, version: int, variant: str = "") -> bool:
    """Tell whether a client's If-None-Match names this version."""
    offered = {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
    return "*" in offered or f'"{version}{variant}"' in offered


def headers(version: int, variant: str = "") -> dict[str, str]:
    """Give the headers of an answer that may be kept as long as it is asked for again."""
    return {"ETag": etag(version, variant), "Cache-Control": "no-cache", "Vary": "Accept"}


def unchanged(version: int, variant: str = "") -> Response:
    """Answer 304."""
    return Response(status_code=304, headers=headers(version, variant))

"""Every error as application/problem+json (RFC 9457), in one shape."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import AfterValidator, BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Scope

from api.headers import bare
from data.uploads.problems import UploadProblem
from jobs.pointers import follows, pointer_of
from jobs.problems import SpecProblems
from jobs.wording import worded
from store.errors import ArtifactsUnavailable, BadCursor, Conflict, DatabaseUnavailable, FitNotFound, NotFound

MEDIA_TYPE = "application/problem+json"
_log = structlog.get_logger()


def _clean(text: str) -> str:
    """Make text that any encoder takes: lone surrogates are spelled out."""
    return text.encode("utf-8", "backslashreplace").decode()


Clean = Annotated[str, AfterValidator(_clean)]
"""What may quote a request, whatever was in it."""


class ProblemDetail(BaseModel):
    """One thing wrong with a request."""

    pointer: Clean = Field(
        description="JSON pointer into the body, or the name of a query, path or header parameter.", examples=["/optimizer/learning_rate"]
    )
    code: str = Field(description="Stable code.", examples=["greater_than_equal"])
    message: Clean = Field(description="A sentence for people.")


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(description="URN of the code.", examples=["urn:holdout:problem:invalid_request"])
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened, for people.")
    code: str = Field(description="Stable code: what to branch on.")
    request_id: str | None = Field(None, description="Also in the header X-Request-Id and in the log.")
    errors: list[ProblemDetail] = Field(default_factory=list, description="Each fault of the request.")


class ProblemError(HTTPException):
    """Raised where an answer is a problem."""

    def __init__(
        self, status: int, code: str, detail: str, *, errors: Sequence[ProblemDetail] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        """Describe the answer."""
        super().__init__(status, detail, headers=dict(headers or {}))
        self.code = code
        self.errors = list(errors)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Document the problems an operation may answer with."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in (*statuses, 500, 503)}


def install(app: FastAPI) -> None:
    """Answer every exception with a problem."""
    app.add_exception_handler(ProblemError, _problem_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(SpecProblems, _spec_problems)
    app.add_exception_handler(UploadProblem, _upload_problem)
    app.add_exception_handler(ClientDisconnect, _disconnected)
    app.add_exception_handler(NotFound, lambda request, _: _answer(request, 404, "not_found", "nothing has this id"))
    app.add_exception_handler(FitNotFound, lambda request, error: _answer(request, 404, "not_found", str(error)))
    app.add_exception_handler(Conflict, _conflict)
    app.add_exception_handler(BadCursor, _bad_cursor)
    app.add_exception_handler(DatabaseUnavailable, _unavailable)
    app.add_exception_handler(ArtifactsUnavailable, _files_unavailable)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Exception, _unexpected)


def problem(scope: Scope, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer a request that is not let through to a route."""
    return _answer(Request(scope), status, code, detail, headers=headers)


def unavailable(scope: Scope) -> Response:
    """Answer a request for which the database is needed and away."""
    return problem(scope, 503, "database_unavailable", "the database cannot be reached; try again", headers={"Retry-After": "1"})


def _answer(
    request: Request, status: int, code: str, detail: str, errors: Sequence[ProblemDetail] = (), headers: Mapping[str, str] | None = None
) -> Response:
    problem = Problem(
        type=f"urn:holdout:problem:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=_clean(detail),
        code=code,
        request_id=request.scope.get("request_id"),
        errors=list(errors),
    )
    return Response(problem.model_dump_json(), status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def _problem_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return _answer(request, error.status_code, error.code, error.detail, error.errors, error.headers)


def _http_exception(request: Request, error: Exception) -> Response:
    """Answer what the framework raises: unknown paths and methods, unreadable bodies, bodies that are too large."""
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_").replace("'", "")
    headers = dict(error.headers or {})
    if error.status_code == 405:  # the framework names the methods of the first route of this path only
        headers["Allow"] = ", ".join(sorted(_methods(request))) or headers.get("Allow", "")
    return _answer(request, error.status_code, code, str(error.detail), headers=headers)


def _methods(request: Request) -> set[str]:
    routes: Sequence[APIRoute] = request.app.state.routes
    return {method for route in routes if route.path_regex.fullmatch(request.url.path) for method in route.methods or ()}


def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    details: dict[str, list[ProblemDetail]] = {}
    for found in error.errors():
        detail = ProblemDetail(
            pointer=_pointer(found["loc"], error.body, is_missing=found["type"] == "missing"),
            code=found["type"],
            message=_clean(worded(found)),
        )
        details.setdefault(detail.pointer, []).append(detail)
    errors = [
        ProblemDetail(pointer=pointer, code=same[0].code, message=" or: ".join(dict.fromkeys(one.message for one in same)))
        for pointer, same in details.items()
        if not follows(pointer, [one.code for one in same], details)
    ]
    first = errors[0]
    return _answer(
        request,
        422,
        "invalid_request",
        f"{first.pointer or 'the body'}: {first.message}" + (f" ({len(errors)} faults)" if len(errors) > 1 else ""),
        errors,
    )


def _pointer(location: Sequence[str | int], body: Any, *, is_missing: bool) -> str:
    """Turn pydantic's location into a JSON pointer into the body, or the name of a parameter."""
    if not location or location[0] != "body":
        return str(location[1]) if len(location) > 1 else ""
    return _clean(pointer_of(location[1:], body, is_missing=is_missing))


def _spec_problems(request: Request, error: Exception) -> Response:
    assert isinstance(error, SpecProblems)
    errors = [ProblemDetail(pointer=problem.pointer, code=problem.code, message=problem.message) for problem in error.problems]
    return _answer(request, 422, "invalid_spec", f"{errors[0].pointer}: {errors[0].message}", errors)


def _upload_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, UploadProblem)
    detail = ProblemDetail(pointer=error.pointer, code=error.code, message=_clean(str(error)))
    return _answer(request, 422, "invalid_upload", f"{error.pointer}: {error}", [detail])


def _disconnected(request: Request, _error: Exception) -> Response:
    return _answer(request, 400, "disconnected", "the client went away before its request was complete")  # for the log: nobody reads it


def _conflict(request: Request, error: Exception) -> Response:
    assert isinstance(error, Conflict)
    status = 422 if error.code == "idempotency_key_reused" else 409
    return _answer(request, status, error.code, error.detail)


def _bad_cursor(request: Request, error: Exception) -> Response:
    return _answer(request, 422, "invalid_request", str(error), [ProblemDetail(pointer="cursor", code="bad_cursor", message=str(error))])


def _unavailable(request: Request, _error: Exception) -> Response:
    return unavailable(request.scope)


def _files_unavailable(request: Request, _error: Exception) -> Response:
    return _answer(request, 503, "artifacts_unavailable", "the store of files cannot be reached; try again", headers={"Retry-After": "1"})


def _unexpected(request: Request, error: Exception) -> Response:
    _log.error("unexpected_error", path=request.url.path, request_id=request.scope.get("request_id"), exc_info=error)
    # This answer is made outside the middleware that adds the id to every other one.
    # The server closes the connection after it, and a client should know.
    headers = {"X-Request-Id": request.scope.get("request_id", ""), "Connection": "close", **bare()}
    return _answer(request, 500, "internal", "an unexpected error; the log has it under this request_id", headers=headers)

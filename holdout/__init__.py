"""The Python client: `from holdout import Client`. It imports nothing of the service, and needs httpx2 alone."""

from holdout.client import AsyncClient, Client
from holdout.curves import Curves, FitCurve
from holdout.errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    HoldoutError,
    InternalServerError,
    JobCancelled,
    JobFailed,
    NotFoundError,
    NothingToTry,
    PermissionDeniedError,
    RateLimitError,
    RequestTooLargeError,
    UnexpectedAnswerError,
    UnprocessableEntityError,
    WaitTimeout,
)
from holdout.events import Event
from holdout.job import AsyncJob, Job
from holdout.records import Page, Record

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncClient",
    "AsyncJob",
    "AuthenticationError",
    "BadRequestError",
    "Client",
    "ConflictError",
    "Curves",
    "Event",
    "FitCurve",
    "HoldoutError",
    "InternalServerError",
    "Job",
    "JobCancelled",
    "JobFailed",
    "NotFoundError",
    "NothingToTry",
    "Page",
    "PermissionDeniedError",
    "RateLimitError",
    "Record",
    "RequestTooLargeError",
    "UnexpectedAnswerError",
    "UnprocessableEntityError",
    "WaitTimeout",
]

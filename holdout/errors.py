"""What can go wrong, as exceptions. An answer's problem (RFC 9457) is kept whole; nothing of the request is, so no key is in it."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdout.records import Record


class HoldoutError(Exception):
    """Base of everything that this package raises."""


class APIError(HoldoutError):
    """A request came to nothing."""


class APIConnectionError(APIError):
    """No answer came. `was_sent` tells whether the service may have acted on the request all the same."""

    def __init__(self, message: str, *, was_sent: bool = True) -> None:
        """Say what happened to which address."""
        super().__init__(message)
        self.was_sent = was_sent


class APITimeoutError(APIConnectionError):
    """No answer came in time."""


class UnexpectedAnswerError(APIError):
    """What answered is no Holdout service: a page, as of a login or of another server, a redirect, or JSON of something else."""


class APIStatusError(APIError):
    """The service answered with an error.

    `code` is what to branch on; `errors` holds an object with `pointer`, `code` and `message` for each fault of the request;
    `request_id` is also in the service's log.
    """

    def __init__(self, status_code: int, body: Mapping[str, Any], request_id: str | None = None) -> None:
        """Read a problem. `body` is empty where the answer was none of the service's."""
        super().__init__(status_code, body, request_id)
        self.status_code = status_code
        self.body = body
        self.request_id: str | None = request_id or body.get("request_id")
        self.code = str(body.get("code") or f"http_{status_code}")
        self.detail = str(body.get("detail") or f"the answer has status {status_code} and says no more")
        found = body.get("errors")
        self.errors: list[dict[str, Any]] = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def __str__(self) -> str:
        """Say what happened, a line for each fault with its pointer, and the id to ask the operator about."""
        lines = [f"{self.status_code} {self.code}: {self.detail}"]
        if len(self.errors) > 1:
            lines += [f"  {one.get('pointer') or 'the body'}: {one.get('message')}" for one in self.errors]
        if self.request_id:
            lines.append(f"  request id: {self.request_id}")
        return "\n".join(lines)


class BadRequestError(APIStatusError):
    """400: what was sent cannot be read."""


class AuthenticationError(APIStatusError):
    """401: a key is needed, or this one is not valid."""


class PermissionDeniedError(APIStatusError):
    """403: this key may not do that."""


class NotFoundError(APIStatusError):
    """404: there is no such thing, or it is somebody else's."""


class ConflictError(APIStatusError):
    """409: the state of things does not allow it."""


class RequestTooLargeError(APIStatusError):
    """413: what was sent is larger than the service takes."""


class UnprocessableEntityError(APIStatusError):
    """422: the request is refused; `errors` points at what is wrong."""


class RateLimitError(APIStatusError):
    """429: too much at once."""


class InternalServerError(APIStatusError):
    """500 and above: the service, or what it stands on, is at fault."""


_BY_STATUS = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    413: RequestTooLargeError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


def status_error(status_code: int, content: bytes, request_id: str | None) -> APIStatusError:
    """Make the exception of an answer; its body may be anything, as a proxy's is."""
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    body = found if isinstance(found, dict) else {}
    kind = InternalServerError if status_code >= 500 else _BY_STATUS.get(status_code, APIStatusError)
    return kind(status_code, body, request_id)


class NothingToTry(HoldoutError):
    """A fit's diagnosis suggests no change: it is good, or there is none."""


class JobError(HoldoutError):
    """A job that was waited for did not succeed; `job` is how it stands."""

    def __init__(self, job: "Record") -> None:
        """Keep the job."""
        super().__init__(job)
        self.job = job


class JobFailed(JobError):
    """The job failed; `job.failure` says why."""

    def __str__(self) -> str:
        """Say why."""
        failure = self.job.get("failure") or {}
        again = " The same spec may succeed if it is submitted again." if failure.get("retryable") else ""
        return f"job {self.job['id']} failed ({failure.get('kind')}): {failure.get('detail')}.{again}"


class JobCancelled(JobError):
    """The job was cancelled; its epochs and best weights are kept."""

    def __str__(self) -> str:
        """Say which."""
        return f"job {self.job['id']} was cancelled"


class WaitTimeout(JobError):
    """The job had not ended in time. It goes on, unless it is paused: wait again, resume it, or cancel it."""

    @property
    def is_paused(self) -> bool:
        """Whether it stands, or is about to, until it is resumed."""
        return self.job["status"] == "paused" or self.job.get("pause_requested_at") is not None

    def __str__(self) -> str:
        """Say how it stands."""
        if self.job["status"] == "paused":
            return f"job {self.job['id']} is paused, and does not go on before it is resumed: job.resume()"
        further = "it is about to pause: job.resume() lets it go on" if self.is_paused else "it goes on"
        return f"job {self.job['id']} is {self.job['status']} still; {further}"

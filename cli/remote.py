"""What the commands that talk to a service share: where it is, how errors are told, and what a command's end means."""

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Annotated, Any, NoReturn

import typer

from holdout import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    Client,
    ConflictError,
    HoldoutError,
    InternalServerError,
    JobCancelled,
    JobFailed,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RequestTooLargeError,
    UnexpectedAnswerError,
    UnprocessableEntityError,
    WaitTimeout,
)
from holdout.client import DEFAULT_URL

OK, ERROR, USAGE, JOB_FAILED, NO_ACCESS, TIMED_OUT, JOB_CANCELLED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 130
EXIT_CODES = (
    "Exit codes: 0 done, 1 error, 2 wrong usage, 3 the job failed, 4 no valid API key, "
    "5 the job had not ended in time, 6 the job was cancelled, 130 interrupted."
)

_WHERE = "say where the service is by --url or HOLDOUT_URL"
_ELSEWHERE = frozenset({404, 405, 501})
"""What other servers answer to what they do not know; Holdout's problems have a code."""

Url = Annotated[
    str | None, typer.Option(envvar="HOLDOUT_URL", help="Where the service is.", show_default="http://127.0.0.1:8000", metavar="URL")
]
Key = Annotated[str | None, typer.Option(envvar="HOLDOUT_API_KEY", help="API key, if the service asks for one.", metavar="KEY")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, as the API gives it; what it has does not change, while tables may.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="Id of a job, as `holdout jobs list` shows it.")]
DatasetId = Annotated[str, typer.Argument(metavar="DATASET", help="Id of a dataset, as `holdout datasets list` shows it.")]


@contextlib.contextmanager
def service(url: str | None, key: str | None, about: str = "") -> Iterator[Client]:
    """Open a client for a command. What goes wrong is told as what, why, and what to do; the exit code says which kind it is.

    `about` names what the command is about, as it is told where there is no such thing.
    """
    with told(url, about), Client(url, key) as client:
        yield client


@contextlib.contextmanager
def told(url: str | None, about: str) -> Iterator[None]:
    """Tell what goes wrong with what is asked here, and end the command. What is no answer's fault `cli/endings.py` tells."""
    try:
        yield
    except HoldoutError as error:
        _tell(error, url, about)


@contextlib.contextmanager
def fit_of(client: Client, job: str, fit: int | None) -> Iterator[None]:
    """Tell a fit that is not there from a job that is not."""
    try:
        yield
    except NotFoundError as error:
        if fit is None or error.code != "not_found":
            raise
        count = client.jobs.get(job).num_fits
        fail(f"job {job} has no fit {fit}", why=f"it has {'one fit' if count == 1 else f'fits 1 to {count}'}", request_id=error.request_id)


def fail(what: str, *, why: str = "", do: str = "", request_id: str | None = None, code: int = ERROR) -> NoReturn:
    """End a command: say on stderr, a line each, what went wrong, why, and what to do about it."""
    told = {"error": what, "  why": why, "  do": do, "  request id": request_id or ""}
    for name, text in told.items():
        if text:
            typer.echo(f"{name}: {text}", err=True)
    raise typer.Exit(code)


def print_json(value: Any) -> None:
    """Print JSON to stdout; letters that its encoding lacks as JSON escapes them."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2)
    sys.stdout.write(text + "\n")


def _tell(error: HoldoutError, url: str | None, about: str) -> NoReturn:
    match error:
        case JobFailed(job=job):
            failure = job["failure"]
            again = "submit it again" if failure["retryable"] else f"holdout curves {job['id']} shows how far it came"
            fail(f"job {job['id']} failed: {failure['kind']}", why=failure["detail"], do=again, code=JOB_FAILED)
        case JobCancelled():
            fail(str(error), do="its epochs are kept, and its best weights where it was running", code=JOB_CANCELLED)
        case WaitTimeout(job=job):
            resumed = f"holdout jobs resume {job['id']} lets it go on; " if error.is_paused else ""
            how = "about to pause" if error.is_paused and job["status"] != "paused" else job["status"]
            what = f"job {job['id']} is {how}{', and does not go on by itself' if error.is_paused else ' still; it goes on'}"
            fail(what, do=f"{resumed}holdout watch {job['id']} waits again; holdout jobs cancel {job['id']} stops it", code=TIMED_OUT)
        case APIConnectionError():
            fail(str(error), do="start a service by `holdout up`, or say where one is by --url or HOLDOUT_URL")
        case UnexpectedAnswerError():
            fail(str(error), do=_WHERE)
        case APIStatusError():
            what, why, do, code = _status_told(error, url, about)
            fail(what, why=why, do=do, request_id=error.request_id, code=code)
        case _:
            fail(str(error))


def _status_told(error: APIStatusError, url: str | None, about: str) -> tuple[str, str, str, int]:
    """Give what, why, what to do, and the exit code."""
    what, why, do, code = f"the service answered {error.status_code} ({error.code})", error.detail, "", ERROR
    if error.status_code in _ELSEWHERE and not error.body.get("code"):
        what = f"{url or DEFAULT_URL} does not look like a Holdout service: it answered {error.status_code} in words of its own"
        return what, "", _WHERE, code
    match error:
        case NotFoundError() if error.code != "not_found":
            pass
        case AuthenticationError() | PermissionDeniedError():
            what = "the service asks for a valid API key"
            do = "set HOLDOUT_API_KEY or give --key; `holdout keys create --owner NAME`, beside the service, makes one"
            code = NO_ACCESS
        case NotFoundError() if not about:
            what, do = f"{url or DEFAULT_URL} has no such page", _WHERE
        case NotFoundError():
            what, why = f"there is no {about}", f"{url or DEFAULT_URL} knows none of this id, or it is somebody else's"
            do = "`holdout datasets list` shows all" if about.startswith("dataset") else "`holdout jobs list` shows yours"
        case UnprocessableEntityError():
            faults = [f"{one.get('pointer') or 'the body'}: {one.get('message')}" for one in error.errors] or [error.detail]
            what, why, do = "the service refuses this", "\n       ".join(faults), "mend what is named and try again"
        case ConflictError() | RequestTooLargeError():
            what = f"that cannot be done ({error.code})"
        case RateLimitError():
            what, do = f"too much at once ({error.code})", "try again later"
        case InternalServerError():
            what, do = f"the service is at fault ({error.code})", "try again; its log has the request under the id below"
    return what, why, do, code

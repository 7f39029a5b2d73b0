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
    UnprocessableEntityError,
    WaitTimeout,
)
from holdout.client import DEFAULT_URL

OK, ERROR, USAGE, JOB_FAILED, NO_ACCESS, TIMED_OUT, JOB_CANCELLED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 130
EXIT_CODES = (
    "Exit codes: 0 done, 1 error, 2 wrong usage, 3 the job failed, 4 no valid API key, "
    "5 the job had not ended in time, 6 the job was cancelled, 130 interrupted."
)

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
    try:
        with Client(url, key) as client:
            yield client
    except ValueError as error:
        fail(str(error), code=USAGE)
    except OSError as error:
        fail(f"{error.filename or 'a file'} cannot be read or written", why=error.strerror or str(error))
    except HoldoutError as error:
        _tell(error, url, about)


def fail(what: str, *, why: str = "", do: str = "", request_id: str | None = None, code: int = ERROR) -> NoReturn:
    """End a command: say on stderr, a line each, what went wrong, why, and what to do about it."""
    told = {"error": what, "  why": why, "  do": do, "  request id": request_id or ""}
    for name, text in told.items():
        if text:
            typer.echo(f"{name}: {text}", err=True)
    raise typer.Exit(code)


def print_json(value: Any) -> None:
    """Print JSON to stdout."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _tell(error: HoldoutError, url: str | None, about: str) -> NoReturn:
    match error:
        case JobFailed(job=job):
            failure = job["failure"]
            again = "submit it again" if failure["retryable"] else f"holdout curves {job['id']} shows how far it came"
            fail(f"job {job['id']} failed: {failure['kind']}", why=failure["detail"], do=again, code=JOB_FAILED)
        case JobCancelled():
            fail(str(error), do="its epochs and best weights are kept", code=JOB_CANCELLED)
        case WaitTimeout(job=job):
            fail(str(error), do=f"holdout watch {job['id']} waits again; holdout jobs cancel {job['id']} stops it", code=TIMED_OUT)
        case APIConnectionError():
            fail(str(error), do="start a service by `holdout up`, or say where one is by --url or HOLDOUT_URL")
        case APIStatusError():
            what, why, do, code = _status_told(error, url, about)
            fail(what, why=why, do=do, request_id=error.request_id, code=code)
        case _:
            fail(str(error))


def _status_told(error: APIStatusError, url: str | None, about: str) -> tuple[str, str, str, int]:
    """Give what, why, what to do, and the exit code."""
    what, why, do, code = f"the service answered {error.status_code} ({error.code})", error.detail, "", ERROR
    match error:
        case AuthenticationError() | PermissionDeniedError():
            what = "the service asks for a valid API key"
            do = "set HOLDOUT_API_KEY or give --key; `holdout keys create --owner NAME`, beside the service, makes one"
            code = NO_ACCESS
        case NotFoundError():
            what, why = f"there is no {about or 'such thing'}", f"{url or DEFAULT_URL} knows none of this id, or it is somebody else's"
            do = "`holdout datasets list` shows all" if about.startswith("dataset") else "`holdout jobs list` shows yours"
        case UnprocessableEntityError():
            faults = [f"{one.get('pointer') or 'the body'}: {one.get('message')}" for one in error.errors] or [error.detail]
            what, why, do = "the service refuses this", "\n       ".join(faults), "mend what is named and try again"
        case ConflictError():
            what = f"that cannot be done ({error.code})"
        case RateLimitError():
            what, do = f"too much at once ({error.code})", "try again later"
        case InternalServerError():
            what, do = f"the service is at fault ({error.code})", "try again; its log has the request under the id below"
    return what, why, do, code

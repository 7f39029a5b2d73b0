"""`holdout export`: a job, handed on to other tools."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn
from urllib.parse import quote

import typer

if TYPE_CHECKING:
    import httpx2

_PATIENCE = 120.0
"""Seconds that an answer may take: a picture of a large plan is drawn first."""
_ALL_POINTS = 100_000
"""The most that may be asked for, and more than a fit can have."""
_FILES = {"report.svg": "report.svg", "model-card": "model-card.md"}
"""What of a job goes to MLflow as it is, by path, with the name it gets."""
Job = Annotated[str, typer.Argument(metavar="JOB", help="Id of a job, `job_...`; it may still be running.")]
Folder = Annotated[Path, typer.Option(help="Where files go. MLflow has its tracking server instead.")]
TrackingUri = Annotated[
    str,
    typer.Option(
        envvar="MLFLOW_TRACKING_URI", help="MLflow's server, or a database of its own: http://localhost:5000, sqlite:///mlflow.db."
    ),
]
Experiment = Annotated[str, typer.Option(envvar="MLFLOW_EXPERIMENT_NAME", help="MLflow's experiment; made if there is none.")]
Url = Annotated[str, typer.Option(envvar="HOLDOUT_URL", help="The service.")]
Key = Annotated[str | None, typer.Option(envvar="HOLDOUT_API_KEY", help="Where the service asks for one; better given by the variable.")]


class Target(StrEnum):
    """Who is to open the export."""

    TENSORBOARD = "tensorboard"
    MLFLOW = "mlflow"
    CSV = "csv"
    PARQUET = "parquet"


class _Refused(Exception):
    """What is wrong, in a sentence."""


def export(
    job: Job,
    to: Annotated[Target, typer.Option(help="What to write.")],
    folder: Folder = Path("exports"),
    tracking_uri: TrackingUri = "sqlite:///mlflow.db",
    experiment: Experiment = "holdout",
    url: Url = "http://127.0.0.1:8000",
    key: Key = None,
) -> None:
    """Export a job's curves, settings and figures: event files for TensorBoard, runs for MLflow, or a table of curves.

    Exporting again replaces the files, and adds to MLflow's runs what they lack. Exit code 1: it could not be done.
    """
    try:
        import httpx2  # noqa: PLC0415  not in the images that run the other commands
    except ImportError as error:
        _fail(_lacks("embedded", error))
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with httpx2.Client(base_url=url, headers=headers, timeout=_PATIENCE) as client:
            if to is Target.TENSORBOARD:
                told = _to_tensorboard(client, job, folder)
            elif to is Target.MLFLOW:
                told = _to_mlflow(client, job, tracking_uri, experiment)
            else:
                told = _to_table(client, job, folder, to)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        _fail(f"{url} does not answer ({error or type(error).__name__}): is the service running there? HOLDOUT_URL or --url names another")
    except _Refused as refused:
        _fail(str(refused))
    else:
        typer.echo(told)


def _to_tensorboard(client: "httpx2.Client", job: str, folder: Path) -> str:
    try:
        from holdout.exports.tensorboard import write_tensorboard  # noqa: PLC0415  the extra may not be installed
    except ImportError as error:
        raise _Refused(_lacks("tensorboard", error)) from error
    runs = write_tensorboard(*_told(client, job), folder)
    return f"{len(runs)} runs are in {folder / job}; look at them: tensorboard --logdir {folder}"


def _to_mlflow(client: "httpx2.Client", job: str, tracking_uri: str, experiment: str) -> str:
    for name in ("MLFLOW_DISABLE_TELEMETRY", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"):
        os.environ.setdefault(name, "true")  # it would tell its makers of the export, and print two lines for each fit
    try:
        from mlflow import MlflowClient  # noqa: PLC0415  the extra may not be installed
        from mlflow.exceptions import MlflowException  # noqa: PLC0415  as above

        from holdout.exports.mlflow import Told, log_to_mlflow  # noqa: PLC0415  as above
    except ImportError as error:
        raise _Refused(_lacks("mlflow", error)) from error
    state, fits, curves = _told(client, job)
    dataset = _read(client, f"/v1/datasets/{state['dataset']}", is_optional=True)
    found = {name: _read(client, f"{_path(job)}/{path}", is_optional=True) for path, name in _FILES.items()}
    told = Told(
        job=state,
        fits=fits,
        curves=curves,
        dataset=None if dataset is None else dataset.json(),
        files={name: answer.content for name, answer in found.items() if answer is not None},
        url=str(client.base_url).rstrip("/"),
    )
    try:
        run_id = log_to_mlflow(told, MlflowClient(tracking_uri), experiment)
    except MlflowException as error:
        raise _Refused(f"MLflow at {tracking_uri} says: {error}") from error
    where = tracking_uri if tracking_uri.startswith("http") else f"mlflow ui --backend-store-uri {tracking_uri}"
    return f"the job is run {run_id} of the experiment {experiment}; look at it: {where}"


def _to_table(client: "httpx2.Client", job: str, folder: Path, kind: Target) -> str:
    content = _sure(client, f"{_path(job)}/curves.{kind.value}").content
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{job}.{kind.value}"
    file.write_bytes(content)
    return str(file)


def _told(client: "httpx2.Client", job: str) -> tuple[Any, Any, Any]:
    """Read a job, its fits and its whole curves. The job comes first: what is told of it holds for all that comes after."""
    state = _sure(client, _path(job)).json()
    curves = _sure(client, f"{_path(job)}/curves?max_points={_ALL_POINTS}").json()
    return state, _sure(client, f"{_path(job)}/fits").json(), curves


def _path(job: str) -> str:
    """Give a job's path, whatever was typed as its id."""
    return f"/v1/jobs/{quote(job, safe='')}"


def _sure(client: "httpx2.Client", path: str) -> "httpx2.Response":
    answer = _read(client, path)
    assert answer is not None
    return answer


def _read(client: "httpx2.Client", path: str, *, is_optional: bool = False) -> "httpx2.Response | None":
    """Read what the service has; None where it may lack it: a job that still runs has no model, a deleted dataset no page.

    Raises:
        _Refused: with what the service says.
    """
    answer = client.get(path)
    if answer.status_code == 200:
        return answer
    if is_optional and answer.status_code in {404, 409}:
        return None
    is_problem = "json" in answer.headers.get("content-type", "")
    problem = answer.json() if is_problem else {}
    raise _Refused(f"{problem.get('detail', f'the service answers {answer.status_code}')} (request {problem.get('request_id', 'unknown')})")


def _lacks(extra: str, error: ImportError) -> str:
    return f"{error.name or extra} is not installed: pip install 'holdout[{extra}]'"


def _fail(reason: str) -> NoReturn:
    typer.echo(f"error: {reason}", err=True)
    raise typer.Exit(1)

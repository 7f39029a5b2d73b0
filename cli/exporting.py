"""`holdout export`: a job, handed on to other tools."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from cli.remote import JobId, Key, Url, fail, service
from holdout import Client, ConflictError, NotFoundError
from holdout.requests import Answer

_PATIENCE = 120.0
"""Seconds that an answer may take: a picture of a large plan is drawn first."""
_MLFLOW_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""By itself it would try a server that is away for minutes, silently."""
_ALL_POINTS = 100_000
"""The most that may be asked for, and more than a fit can have."""
_FILES = {"report.svg": "report.svg", "model-card": "model-card.md"}
"""What of a job goes to MLflow as it is, by path, with the name it gets."""
Folder = Annotated[Path, typer.Option(help="Where files go. MLflow has its tracking server instead.")]
TrackingUri = Annotated[
    str,
    typer.Option(
        envvar="MLFLOW_TRACKING_URI", help="MLflow's server, or a database of its own: http://localhost:5000, sqlite:///mlflow.db."
    ),
]
Experiment = Annotated[str, typer.Option(envvar="MLFLOW_EXPERIMENT_NAME", help="MLflow's experiment; made if there is none.")]


class Target(StrEnum):
    """Who is to open the export."""

    TENSORBOARD = "tensorboard"
    MLFLOW = "mlflow"
    CSV = "csv"
    PARQUET = "parquet"


def export(
    job: JobId,
    to: Annotated[Target, typer.Option(help="What to write.")],
    folder: Folder = Path("exports"),
    tracking_uri: TrackingUri = "sqlite:///mlflow.db",
    experiment: Experiment = "holdout",
    *,
    url: Url = None,
    key: Key = None,
) -> None:
    """Export a job's curves, settings and figures: event files for TensorBoard, runs for MLflow, or a table of curves.

    The job may still be running. Exporting again replaces the files, and adds to MLflow's runs what they lack.
    """
    with service(url, key, about=f"job {job}") as client:
        patient = client.with_options(timeout=_PATIENCE)
        if to is Target.TENSORBOARD:
            typer.echo(_to_tensorboard(patient, job, folder))
        elif to is Target.MLFLOW:
            typer.echo(_to_mlflow(patient, job, tracking_uri, experiment))
        else:
            typer.echo(_to_table(patient, job, folder, to))


def _to_tensorboard(client: Client, job: str, folder: Path) -> str:
    try:
        from holdout.exports.tensorboard import write_tensorboard  # noqa: PLC0415  the extra may not be installed
    except ImportError as error:
        _lacks("tensorboard", error)
    runs = write_tensorboard(*_told(client, job), folder)
    return f"{len(runs)} runs are in {folder / job}; look at them: tensorboard --logdir {folder}"


def _to_mlflow(client: Client, job: str, tracking_uri: str, experiment: str) -> str:
    for name in ("MLFLOW_DISABLE_TELEMETRY", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"):
        os.environ.setdefault(name, "true")  # it would tell its makers of the export, and print two lines for each fit
    for name, value in _MLFLOW_PATIENCE.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient  # noqa: PLC0415  the extra may not be installed
        from mlflow.exceptions import MlflowException  # noqa: PLC0415  as above

        from holdout.exports.mlflow import Told, log_to_mlflow  # noqa: PLC0415  as above
    except ImportError as error:
        _lacks("mlflow", error)
    state, fits, curves = _told(client, job)
    dataset = _read_if_there(client, f"/v1/datasets/{state['dataset']}")
    found = {name: _read_if_there(client, f"/v1/jobs/{job}/{path}") for path, name in _FILES.items()}
    told = Told(
        job=state,
        fits=fits,
        curves=curves,
        dataset=None if dataset is None else dataset.json(),
        files={name: answer.content for name, answer in found.items() if answer is not None},
        url=client.base_url,
    )
    try:
        run_id = log_to_mlflow(told, MlflowClient(tracking_uri), experiment)
    except MlflowException as error:
        fail(f"MLflow at {tracking_uri} is away or refuses the runs", why=str(error), do="say where it is by --tracking-uri")
    where = tracking_uri if tracking_uri.startswith("http") else f"mlflow ui --backend-store-uri {tracking_uri}"
    return f"the job is run {run_id} of the experiment {experiment}; look at it: {where}"


def _to_table(client: Client, job: str, folder: Path, kind: Target) -> str:
    client.jobs.get(job)  # an id that is none is told as one
    content = client.request("GET", f"/v1/jobs/{job}/curves.{kind.value}").content
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{job}.{kind.value}"
    file.write_bytes(content)
    return str(file)


def _told(client: Client, job: str) -> tuple[Any, Any, Any]:
    """Read a job, its fits and its whole curves. The job comes first: what is told of it holds for all that comes after."""
    state = client.jobs.get(job).to_dict()
    curves = client.request("GET", f"/v1/jobs/{job}/curves", query={"max_points": _ALL_POINTS}).json()
    return state, client.request("GET", f"/v1/jobs/{job}/fits").json(), curves


def _read_if_there(client: Client, path: str) -> Answer | None:
    """Read what the service may lack: a job that still runs has no model, a deleted dataset no page."""
    try:
        return client.request("GET", path)
    except (NotFoundError, ConflictError):
        return None


def _lacks(extra: str, error: ImportError) -> NoReturn:
    fail(f"{error.name or extra} is not installed", do=f"pip install 'holdout[{extra}]'")

"""`holdout curves`, `model` and `report`: what a job leaves."""

from pathlib import Path
from typing import Annotated

import typer

from cli.plotting import METRICS, can_plot, plot
from cli.remote import USAGE, JobId, Json, Key, Url, fail, print_json, service
from cli.showing import print_table, shown
from holdout import Curves, FitCurve
from holdout.job import ModelFormat

Fit = Annotated[int | None, typer.Option(min=1, help="Number of a fit.")]
_FITS_SHOWN = 4
_POINTS = 400


def curves(
    job: JobId,
    metric: Annotated[str, typer.Option(help=f"{', '.join(METRICS)}.")] = "loss",
    fit: Fit = None,
    *,
    table: Annotated[bool, typer.Option("--table", help="Print a row for each epoch, at most 25, instead of a plot.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print every epoch of all fits as CSV.")] = False,
    json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Draw a job's curves as text, train and validation."""
    if metric not in METRICS:
        fail(f"there is no metric {metric!r}", do=f"choose one of {', '.join(METRICS)}", code=USAGE)
    with service(url, key, about=f"job {job}") as client:
        if csv:
            typer.echo(client.jobs.curves_csv(job), nl=False)  # as it comes, line ends too
            return
        if json:
            print_json(client.jobs.curves(job, fits=None if fit is None else [fit]).to_dict())
            return
        read = client.jobs.curves(job, fits=None if fit is None else [fit], max_points=25 if table else _POINTS)
    if table or not can_plot():
        _print_rows(read, metric)
    else:
        for curve in read.fits[:_FITS_SHOWN]:
            typer.echo(plot(curve, metric))
            typer.echo(_best(curve))
    if len(read) > _FITS_SHOWN and not table:
        typer.echo(f"{len(read) - _FITS_SHOWN} more fits: --fit NUMBER shows one, --csv all", err=True)


def model(
    job: JobId,
    out: Annotated[Path, typer.Option("--output", "-o", help="File, whose ending says the format, or folder.")] = Path(),
    kind: Annotated[ModelFormat | None, typer.Option("--format", help="If the file's name does not say it.")] = None,
    fit: Fit = None,
    *,
    url: Url = None,
    key: Key = None,
) -> None:
    """Download a job's model: weights (safetensors), a graph for ONNX Runtime (onnx), or all that belongs to it (zip)."""
    ending = out.suffix.lstrip(".")
    formats: dict[str, ModelFormat] = {"safetensors": "safetensors", "onnx": "onnx", "zip": "zip"}
    chosen = kind or formats.get(ending, "safetensors")
    if kind is None and ending and not out.is_dir() and ending not in formats:
        fail(f"{out}: a model is a .safetensors, .onnx or .zip", do="name it so, or say --format", code=USAGE)
    with service(url, key, about=f"job {job}") as client:
        typer.echo(str(client.jobs.model(job, out, format=chosen, fit=fit)))


def report(
    job: JobId,
    out: Annotated[Path, typer.Option("--output", "-o", help="File: .png or .svg.")],
    *,
    url: Url = None,
    key: Key = None,
) -> None:
    """Download the picture of what a job came to."""
    with service(url, key, about=f"job {job}") as client:
        typer.echo(str(client.jobs.report(job, out)))


def _best(curve: FitCurve) -> str:
    """Say in a sentence what the plot shows."""
    best = curve.best()
    if best is None:
        return f"{len(curve.epoch)} epochs so far"
    epoch, value = best
    at = curve.epoch.index(epoch)
    return f"best at epoch {epoch} of {curve.last_epoch}: validation {value:.4g}, train {shown(curve['train_loss'][at])}, gap {shown(curve['generalization_gap'][at])}"


def _print_rows(read: Curves, metric: str) -> None:
    names = METRICS[metric]
    rows = [
        (curve.number, curve.label, epoch, *(curve[name][i] for name in names)) for curve in read for i, epoch in enumerate(curve.epoch)
    ]
    print_table(("fit", "label", "epoch", *names), rows)

"""`holdout curves`, `model` and `report`: what a job leaves."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from cli.files import check_no_terminal, is_standard, write_bytes
from cli.plotting import METRICS, can_plot, plot
from cli.remote import USAGE, JobId, Json, Key, Url, fail, fit_of, print_json, service
from cli.showing import print_table, shown
from holdout import Curves, FitCurve
from holdout.job import ModelFormat
from holdout.jobs import PictureKind

Fit = Annotated[int | None, typer.Option(min=1, help="Number of a fit.")]
_FITS_SHOWN = 4
_POINTS = 400


def curves(
    job: JobId,
    metric: Annotated[str | None, typer.Option(help=f"{', '.join(METRICS)}.", show_default="loss")] = None,
    fit: Fit = None,
    *,
    table: Annotated[bool, typer.Option("--table", help="Print a row for each epoch, at most 25, instead of a plot.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print every epoch as CSV.")] = False,
    json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Draw a job's curves as text, train and validation."""
    if metric not in {None, *METRICS}:
        fail(f"there is no metric {metric!r}", do=f"choose one of {', '.join(METRICS)}", code=USAGE)
    if table + csv + json > 1:
        fail("--table, --csv and --json are three outputs", do="choose one", code=USAGE)
    if metric is not None and (csv or json):
        fail("--metric chooses what is drawn; --csv and --json have every figure", do="leave it out", code=USAGE)
    wanted = None if fit is None else [fit]
    with service(url, key, about=f"job {job}") as client, fit_of(client, job, fit):
        if csv:
            typer.echo(client.jobs.curves_csv(job, fits=wanted), nl=False)  # as it comes, line ends too
            return
        if json:
            print_json(client.jobs.curves(job, fits=wanted).to_dict())
            return
        read = client.jobs.curves(job, fits=wanted, max_points=25 if table else _POINTS)
    chosen = metric or "loss"
    _check_metric(read, chosen)
    if table or not can_plot():
        _print_rows(read, chosen)
        if read.sampled:
            typer.echo("epochs are left out; the first, the last and the best of each fit are there: --csv has all", err=True)
    else:
        for curve in read.fits[:_FITS_SHOWN]:
            typer.echo(plot(curve, chosen))
            typer.echo(_best(curve))
    if len(read) > _FITS_SHOWN and not table:
        typer.echo(f"{len(read) - _FITS_SHOWN} more fits: --fit NUMBER shows one, --csv all", err=True)


def model(
    job: JobId,
    out: Annotated[Path, typer.Option("--output", "-o", help="File, whose ending says the format, or folder; - is stdout.")] = Path(),
    kind: Annotated[ModelFormat | None, typer.Option("--format", help="If the file's name does not say it.")] = None,
    fit: Fit = None,
    *,
    url: Url = None,
    key: Key = None,
) -> None:
    """Download a job's model: weights (safetensors), a graph for ONNX Runtime (onnx), or all that belongs to it (zip)."""
    with service(url, key, about=f"job {job}") as client, fit_of(client, job, fit):
        _save(out, lambda path: client.jobs.model(job, path, format=kind, fit=fit))


def report(
    job: JobId,
    out: Annotated[Path, typer.Option("--output", "-o", help="File, .png or .svg, or folder; - is stdout.")],
    kind: Annotated[PictureKind | None, typer.Option("--format", help="If the file's name does not say it.")] = None,
    *,
    url: Url = None,
    key: Key = None,
) -> None:
    """Download the picture of what a job came to."""
    with service(url, key, about=f"job {job}") as client:
        _save(out, lambda path: client.jobs.report(job, path, kind=kind))


def _save(out: Path, download: Callable[[Path | None], bytes | Path]) -> None:
    """Download to a file, whose name is printed, or to stdout."""
    if is_standard(out):
        check_no_terminal()
        content = download(None)
        assert isinstance(content, bytes)
        write_bytes(content)
    else:
        typer.echo(str(download(out)))


def _check_metric(read: Curves, metric: str) -> None:
    """End the command where the job's task has no such metric, and will never have; before the first epoch that cannot be told."""
    known = {name for fit in read for name in fit.columns}
    if known and any(fit.epoch for fit in read) and not known & set(METRICS[metric]):
        there = [name for name, columns in METRICS.items() if known & set(columns)]
        fail(f"job {read.job_id} has no {metric}", why=f"it has {', '.join(there)}", code=USAGE)


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

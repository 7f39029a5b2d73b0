"""A job watched to its end: a bar on a terminal, a line now and then elsewhere, always on stderr."""

import contextlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from cli.remote import INTERRUPTED, print_json
from cli.showing import print_table, shown, shown_gap, shown_seconds, stderr
from holdout import APIError, Client, HoldoutError, Job, NotFoundError

_WATCHED_FITS = 20
"""Of more fits at once, epochs are not read while they train."""
_SHARE = 0.1
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(s|m|h|)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


def duration(text: str) -> float:
    """Read a length of time as 90s, 5m or 2h; a number alone is in seconds."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no length of time: write it like 90s, 5m or 2h")
    return float(found[1]) * _SECONDS[found[2]]


def watch_job(client: Client, job: Job, *, timeout: float | None, as_json: bool) -> None:
    """Show a job until it has ended, then what it came to: on stdout. Ctrl-C leaves it alone.

    Raises:
        JobFailed, JobCancelled: that was its end.
        WaitTimeout: it has not ended in time.
    """
    try:
        with _display(job) as display:
            seen = _Seen(client)
            job.wait(timeout, on_update=lambda found: _follow(found, display, seen))
    except KeyboardInterrupt:
        _leave(job, "detached")
        raise typer.Exit(INTERRUPTED) from None
    except NotFoundError:
        raise
    except APIError:
        _leave(job, "no longer watched")
        raise
    finally:
        if job.has_ended and as_json:
            print_json(job.to_dict())
    if not as_json:
        print_outcome(client, job)


def _follow(job: Job, display: "_Bar | _Lines", seen: "_Seen") -> None:
    """Show how far a job is; of one that is paused, once, how it goes on."""
    display.show(job, seen.note(job))
    if job.status == "paused" and not seen.was_paused:
        seen.was_paused = True
        display.say(f"paused: holdout jobs resume {job.id} lets it go on")


def _leave(job: Job, why: str) -> None:
    """Say what becomes of a job that is left alone, and how to come back to it."""
    is_paused = job.status == "paused"
    typer.echo(f"{why}; job {job.id} {'is paused' if is_paused else 'goes on by itself'}", err=True)
    if is_paused:
        typer.echo(f"  holdout jobs resume {job.id}  lets it go on", err=True)
    typer.echo(f"  holdout watch {job.id}        takes it up again", err=True)
    typer.echo(f"  holdout jobs cancel {job.id}  stops it", err=True)


def print_outcome(client: Client, job: Job) -> None:
    """Print what a job came to: its sentence, and a row for each fit."""
    result = job["result"] or {}
    if result.get("sentence"):
        typer.echo(f"{job.get('name') or job.id}: {result['sentence']}")
    fits = client.jobs.fits(job.id)
    rows = [
        (
            fit.number,
            fit.label,
            fit.status,
            _at(fit.best, fit.best_epoch),
            shown_gap(fit["generalization_gap"]),
            None if fit["diagnosis"] is None else fit.diagnosis.verdict,
        )
        for fit in fits
    ]
    print_table(("fit", "label", "status", "best validation loss", "gap, 95 % interval", "diagnosis"), rows)
    if len(fits) == 1 and fits[0]["diagnosis"]:
        typer.echo(f"to try: {fits[0].diagnosis.advice}", err=True)
        if changes := [one.label for one in fits[0].diagnosis.remedies]:
            typer.echo(f"  holdout train --what-helps {job.id}  compares with it: {', '.join(changes)}", err=True)
    typer.echo(f"trained in {shown_seconds(job['running_seconds'])}; holdout curves {job.id} shows its curves", err=True)


def _at(figures: Any, epoch: int | None) -> str:
    value = None if figures is None else figures.get("val_loss")
    return "" if value is None else f"{value:.4g} @ epoch {epoch}"


@dataclass
class _Seen:
    """The newest epochs of a job, read as far as they are new."""

    client: Client
    version: int = 0
    last: dict[int, tuple[int, Any, Any]] = field(default_factory=dict)
    was_paused: bool = False

    def note(self, job: Job) -> str:
        """Say what its status does not say; that its epochs cannot be read right now is no reason to stop watching."""
        if job.has_ended and job.num_fits > 1:
            return f"{job.num_fits} fits"
        if job.status not in {"running", "succeeded"} or job.num_fits > _WATCHED_FITS:
            return "" if job.phase == job.status else str(job.phase)
        with contextlib.suppress(HoldoutError):
            news = self.client.jobs.curves(job.id, after_version=self.version)
            self.version = news.version
            for fit in news.fits:
                if fit.epoch:
                    self.last[fit.number] = fit.epoch[-1], fit["train_loss"][-1], fit["val_loss"][-1]
        if not self.last:
            return ""
        number, (epoch, train, val) = max(self.last.items(), key=lambda one: (one[1][0], one[0]))
        which = "" if job.num_fits == 1 else f"fit {number} of {job.num_fits}, "
        return f"{which}epoch {epoch}  train {shown(train)}  val {shown(val)}"


@dataclass
class _Bar:
    """A bar, on a terminal."""

    progress: Progress
    bar: TaskID

    def show(self, job: Job, note: str) -> None:
        """Show how far a job is."""
        self.progress.update(self.bar, completed=1.0 if job.has_ended else job.progress, note=f"{job.status}  {note}".rstrip())

    def say(self, text: str) -> None:
        """Say something above the bar."""
        self.progress.console.print(text)


@dataclass
class _Lines:
    """A line for each change of status and each tenth, where nobody looks on."""

    told: tuple[str, int] | None = None

    def show(self, job: Job, note: str) -> None:
        """Show how far a job is, if it is further than before."""
        place = (job.status, int(job.progress / _SHARE))
        if place != self.told:
            self.told = place
            self.say(f"{job.id} {job.status} {job.progress:.0%}  {note}".rstrip())

    def say(self, text: str) -> None:
        """Say something on a line of its own."""
        typer.echo(text, err=True)


@contextlib.contextmanager
def _display(job: Job) -> Iterator[_Bar | _Lines]:
    if not sys.stderr.isatty():
        yield _Lines()
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TextColumn("{task.fields[note]}", markup=False), console=stderr()) as progress:
        yield _Bar(progress, progress.add_task(job.get("name") or job.id, total=1.0, note=str(job["status"])))

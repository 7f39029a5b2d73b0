"""`holdout up` and `holdout demo`: the whole system, and what a person sees of it."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
from rich.console import Console

from cli.broker import BrokerFailed
from cli.demo import JobFailed, run_demo
from cli.service import Service, ServiceFailed, running
from store.errors import DatabaseUnavailable


def serve(home: Path, port: int) -> int:
    """Serve until stopped; give the exit code."""
    console = Console()
    with _explained(console) as outcome, _interruptible(), running(home, port) as service:
        console.print(f"Holdout serves at [bold]{service.url}[/bold] (data in {service.home}). Ctrl-C stops it.")
        _say_where(console, service)
        outcome.append(_wait(service))
        console.print("stopping")
    return outcome[-1]


def demonstrate(home: Path, port: int) -> int:
    """Train the demo's jobs and show them; give the exit code: 0 only if every job succeeded."""
    console = Console()
    is_watched = sys.stdin.isatty() and sys.stdout.isatty()
    with _explained(console) as outcome, _interruptible(), contextlib.ExitStack() as stack:
        with console.status("starting database, queue, worker, sweeper and API ..."):
            service = stack.enter_context(running(home, port))
        outcome.append(run_demo(console, service.url, service.home))
        if is_watched:
            _say_where(console, service)
            console.print("Serving until Ctrl-C.")
            outcome.append(_wait(service) or outcome[-1])
    return outcome[-1]


def _say_where(console: Console, service: Service) -> None:
    console.print(f"  dashboard   {service.url}/")
    console.print(f"  Swagger UI  {service.url}/docs")
    console.print(f"  logs        {service.home / 'logs'}")


def _wait(service: Service) -> int:
    """Wait for Ctrl-C, or for a process that cannot be kept alive."""
    with contextlib.suppress(KeyboardInterrupt):
        service.stopping.wait()
    if service.failure is None:
        return 0
    raise ServiceFailed(service.failure)


@contextlib.contextmanager
def _explained(console: Console) -> Iterator[list[int]]:
    """Tell a person what went wrong in a sentence; the list's last item is the exit code."""
    outcome = [1]
    try:
        yield outcome
    except (ServiceFailed, BrokerFailed, JobFailed, DatabaseUnavailable) as error:
        console.print(f"[red]error:[/red] {error}", highlight=False)
        outcome.append(1)
    except httpx2.HTTPError as error:
        console.print(f"[red]error:[/red] the service stopped answering ({type(error).__name__})", highlight=False)
        outcome.append(1)
    except KeyboardInterrupt:
        outcome.append(130)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM end as Ctrl-C does: in order."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

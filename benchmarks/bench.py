"""Run all benchmarks that have targets, one after the other, and write docs/benchmarks.md: `make bench`.

    python benchmarks/bench.py --peers PYTHON               # of the environment of other libraries: make peers
    python benchmarks/bench.py --peers PYTHON --only h2o    # one part again; the others stay as the last run left them
    python benchmarks/bench.py --peers PYTHON --only        # the page anew, with the remarks as they are
    python benchmarks/bench.py --peers PYTHON --quick       # small sizes, to try the scripts: figures without meaning, in build/

Each part is a script, in a process of its own with a limit of time. After each the page is written anew with what is there: a part
that fails leaves what it had found, and the page says that it failed. Nothing else should run on the machine.
"""

import argparse
import contextlib
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import psutil
from adapted import tables_of
from machine import distributions, facts, java
from page import Ran, page

HERE = Path(__file__).parent
ROOT = HERE.parent
_GRACE_SECONDS = 60.0
_LOOK_SECONDS = 0.2
"""What a part that is told to end has for stopping its servers."""


@dataclass(frozen=True, kw_only=True)
class Script:
    """A benchmark, the option that names the peers' interpreter, its limit of time, and options of a small size, if it has one."""

    name: str
    peers: str | None
    minutes: float
    quick: tuple[str, ...] | None = None


SCRIPTS = (
    Script(
        name="fits", peers="--peers", minutes=20,
        quick=("--epochs", "2", "--rounds", "1", "--members", "4", "--candidates", "4", "--budget", "60"),
    ),
    Script(name="convolution", peers="--peers", minutes=25),
    Script(name="overhead", peers=None, minutes=20),
    Script(name="reading", peers="--mlflow", minutes=20),
    Script(name="h2o", peers="--peers", minutes=30, quick=("--parts", "digits", "--rounds", "1")),
)  # fmt: skip


def run(script: Script, peers: str, *, is_quick: bool, folder: Path = HERE) -> Ran:
    """Run one script of `folder` to its end or its limit, and read what it has written by then."""
    ran = Ran(name=script.name, began=f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC", seconds=0.0, load=os.getloadavg()[0])
    path = folder / f"{script.name}.py"
    if not path.is_file():
        ran.ended = "there is no such script"
        return ran
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as kept:
        written = Path(kept) / "found.json"
        command = [sys.executable, str(path), "--json", str(written)]
        command += [script.peers, peers] if script.peers else []
        command += script.quick or () if is_quick else ()
        ran.ended = _ended(command, script.minutes * 60)
        _read(written, ran)
    ran.seconds = time.monotonic() - began
    if not ran.tables and not ran.ended:
        ran.ended = "it found nothing"
    return ran


def _ended(command: list[str], seconds: float) -> str:
    """Run a command; give why it did not end well, or nothing. None of its processes outlives it."""
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)
    parent = psutil.Process(process.pid)
    reason, family, give_up_at = "", set[psutil.Process](), time.monotonic() + seconds
    try:
        while (code := process.poll()) is None and time.monotonic() < give_up_at:
            family.update(_children(parent))  # once it has ended nobody knows whose they were
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_SECONDS)
        if code is None:
            reason = f"it was stopped after {seconds / 60:.0f} minutes"
        elif code:
            reason = f"it failed (exit code {code})"
    finally:
        family.update(_children(parent))
        process.terminate()
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        left = [one for one in family if one.is_running()]
        for one in left:
            one.kill()
        psutil.wait_procs(left, timeout=5)
    return reason


def _children(parent: psutil.Process) -> list[psutil.Process]:
    try:
        return list(parent.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _read(path: Path, ran: Ran) -> None:
    """Take over what a script wrote, if it wrote something."""
    if not path.is_file():
        return
    try:
        ran.written = json.loads(path.read_text())
        ran.tables = tables_of(ran.written, ran.name)
        ran.written = None if ran.tables == ran.written else ran.written  # kept once
    except (ValueError, KeyError, TypeError) as error:
        ran.ended = ran.ended or f"what it wrote cannot be read: {type(error).__name__}: {error}"


def _kept(path: Path, machine: dict[str, Any], versions: dict[str, Any]) -> dict[str, Ran]:
    """Read the parts of the last run, if it was on this machine with these versions: the page names them once."""
    if not path.is_file():
        return {}
    found = json.loads(path.read_text())
    if {"machine": found["machine"], "versions": found["versions"]} != json.loads(json.dumps({"machine": machine, "versions": versions})):
        return {}
    return {name: Ran(**part) for name, part in found["parts"].items()}


def _remarks(*, is_quick: bool) -> str:
    """Give what ends the page: what was written by hand of a proper run."""
    if is_quick:
        return "Tried with small sizes: these figures have no meaning."
    path = HERE / "remarks.md"
    return path.read_text() if path.is_file() else ""


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [script.name for script in SCRIPTS]
    parser.add_argument("--peers", default=sys.executable, help="interpreter of the environment that has the peers")
    parser.add_argument(
        "--only", nargs="*", choices=names, default=names, help="parts to run; others stay as the last run left them; none: the page alone"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, of those that have them; the page is build/benchmarks.md")
    parser.add_argument("--page", type=Path, help="where to write it; a JSON of all values lies beside (docs/benchmarks.md)")
    return parser.parse_args()


def main() -> None:
    """Run, and write after each part."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    asked = _asked()
    peers = str(Path(asked.peers).absolute()) if Path(asked.peers).exists() else asked.peers  # scripts run in the repository's folder
    path = asked.page or ROOT / ("build" if asked.quick else "docs") / "benchmarks.md"
    path.parent.mkdir(exist_ok=True)
    values, remarks = path.with_suffix(".json"), _remarks(is_quick=asked.quick)
    machine = facts()
    versions = {"ours": distributions(sys.executable), "peers": distributions(peers)}
    versions["peers"] |= {"java": found} if (found := java()) else {}
    parts = _kept(values, machine, versions) if set(asked.only) < {script.name for script in SCRIPTS} else {}

    def write(parts: dict[str, Ran]) -> None:
        in_order = {one.name: parts[one.name] for one in SCRIPTS if one.name in parts}
        found = {"machine": machine, "versions": versions, "parts": {name: asdict(part) for name, part in in_order.items()}}
        values.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
        path.write_text(page(in_order.values(), machine, versions, remarks))

    for script in SCRIPTS:
        if script.name not in asked.only or (asked.quick and script.quick is None):
            continue
        print(f"== {script.name} (at most {script.minutes:.0f} minutes)", flush=True)
        parts[script.name] = ran = run(script, peers, is_quick=asked.quick)
        print(f"== {script.name}: {ran.seconds:.0f} s{ran.ended and ', ' + ran.ended}", flush=True)
        write(parts)
    write(parts)
    print(f"{path} and {values.name} are written", flush=True)


if __name__ == "__main__":
    main()

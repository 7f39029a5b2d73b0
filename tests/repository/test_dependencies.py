"""What constraints.txt pins is what an installation needs, once each; and the audit of it cannot pass without having been made."""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
BIN = Path(sysconfig.get_path("scripts"))
LINES = [line.split(" #")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
PINS = [Requirement(line) for line in LINES]


def _project() -> list[Requirement]:
    """List what `holdout[dev]` asks for, its own extras followed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found, extras, seen = list(project["dependencies"]), ["dev"], {"dev"}
    while extras:
        for text in project["optional-dependencies"][extras.pop()]:
            asked = Requirement(text)
            if asked.name == "holdout":
                extras += asked.extras - seen
                seen |= asked.extras
            else:
                found.append(text)
    return [Requirement(text) for text in found]


def _needed() -> Iterator[str]:
    """Follow what is installed from there: every distribution that is needed here."""
    ahead, seen = [(one, extra) for one in _project() for extra in ("", *one.extras)], set()
    while ahead:
        asked, extra = ahead.pop()
        name = canonicalize_name(asked.name)
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        yield name
        for text in metadata.requires(name) or ():
            further = Requirement(text)
            if further.marker is None or further.marker.evaluate({"extra": extra}):
                ahead += [(further, one) for one in ("", *further.extras)]


def test_every_distribution_that_is_needed_is_pinned_exactly_once() -> None:
    counts = Counter(canonicalize_name(pin.name) for pin in PINS)
    assert {name: count for name, count in counts.items() if count != 1} == {}
    assert set(_needed()) - counts.keys() - NOT_OURS == set()


NOT_OURS = {"pip", "setuptools"}
"""They come with an environment, and are not installed by a constraint."""
ELSEWHERE: set[str] = set()
"""Needed on other systems or by other versions of Python."""


def test_nothing_is_pinned_that_nobody_needs() -> None:
    assert {canonicalize_name(pin.name) for pin in PINS} - set(_needed()) - ELSEWHERE == set()


def test_pins_are_single_versions_in_order() -> None:
    for line, pin in zip(LINES, PINS, strict=True):
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", line), line
        assert pin.marker is None
        assert not pin.extras
    names = [line.split("==")[0].lower() for line in LINES]
    assert names == sorted(names)


def test_what_is_installed_is_what_is_pinned() -> None:
    """A local version (torch's CPU build) is the version it was built from."""
    differing = {}
    for pin in PINS:
        try:
            installed = metadata.version(pin.name)
        except metadata.PackageNotFoundError:
            continue  # not needed here, which the tests above tell
        if not pin.specifier.contains(installed, prereleases=True):
            differing[pin.name] = installed
    assert differing == {}


def test_pins_lie_in_the_ranges_that_are_supported() -> None:
    versions = {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in PINS}
    for asked in _project():
        assert asked.specifier.contains(versions[canonicalize_name(asked.name)], prereleases=True), asked


def test_what_is_installed_fits_together() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "check"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr


def _audit() -> list[str]:
    """Read the command of `make audit`."""
    listed = subprocess.run(["make", "--dry-run", "--silent", "audit"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    [line] = [line for line in listed.splitlines() if "pip-audit" in line]
    return [str(BIN / "pip-audit"), *line.split()[1:]]


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_an_audit_that_cannot_be_made_has_not_passed(variable: str, tmp_path: Path) -> None:
    """Nobody answers: it says so and fails."""
    environment = {name: value for name, value in os.environ.items() if name.lower() not in {"https_proxy", "no_proxy", "all_proxy"}}
    environment |= {variable: "http://127.0.0.1:1", "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    found = subprocess.run(
        [*_audit(), "--cache-dir", str(tmp_path)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert found.returncode != 0
    assert "No known vulnerabilities found" not in found.stdout + found.stderr
    assert re.search("could not|unreachable|failed|error", found.stderr, re.IGNORECASE), found.stderr[-2000:]


def test_an_audit_counts_what_it_could_not_look_up_as_a_failure() -> None:
    """Without it, a name that the index does not know is left out with a remark, and the audit passes."""
    command = _audit()
    assert "--strict" in command
    assert command[command.index("--requirement") + 1] == "constraints.txt"
    assert "--ignore-vuln" not in command


def test_ci_needs_no_advisory_service() -> None:
    assert "audit" not in (ROOT / ".ci" / "run").read_text()
    [check] = re.findall(r"^check: (.*?)(?: ##.*)?$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert "audit" not in check.split()

"""A short campaign of chaos: every kind of fault once and more, on PostgreSQL. `make chaos` runs longer ones."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEED = "6"


@pytest.mark.timeout(900)
def test_no_job_suffers_from_twenty_five_faults(capfd: pytest.CaptureFixture[str]) -> None:
    """B007, B009, B010, B047, B095, B102: every job ends, each epoch once, with the result of an undisturbed run; nothing is left behind."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOLDOUT_")}
    command = [sys.executable, "-W", "ignore", "-m", "tests.chaos", "--faults", "25", "--seed", SEED]
    ran = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    with capfd.disabled():
        sys.stdout.write("\n".join(["", *ran.stdout.splitlines()[-45:], ""]))
    assert ran.returncode == 0
    assert "PASSED" in ran.stdout

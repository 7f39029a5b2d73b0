"""Modules that are imported when they are first used."""

import subprocess
import sys
from pathlib import Path

import pytest

from data.later import Later


def test_a_module_that_was_named_is_imported_when_it_is_used(tmp_path: Path) -> None:
    program = """
import sys
from data.later import Later, load_all
colors, mail = Later("colorsys"), Later("mailbox")
print("colorsys" in sys.modules, colors.rgb_to_hsv(0, 0, 1)[2], "colorsys" in sys.modules, "mailbox" in sys.modules)
load_all()
print("mailbox" in sys.modules)
"""
    found = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert found.stdout.split() == ["False", "1", "True", "False", "True"]


def test_what_a_module_has_not_is_missing_as_ever() -> None:
    with pytest.raises(AttributeError):
        _ = Later("math").no_such_name

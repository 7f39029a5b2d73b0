"""Specs from files and from the command line: nothing is dropped, guessed or read as another type."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.examples import JOBS as EXAMPLES
from cli.spec_files import SpecUnreadable, read_spec, with_settings


def _read(tmp_path: Path, text: str) -> dict[str, Any]:
    file = tmp_path / "spec.yaml"
    file.write_text(text, encoding="utf-8")
    return read_spec(str(file))


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_spec_in_json_is_read_as_it_is(tmp_path: Path, name: str) -> None:
    spec = EXAMPLES[name]["value"]
    assert json.dumps(_read(tmp_path, json.dumps(spec, indent=2))) == json.dumps(spec)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.", 1.0),
        (".5", 0.5),
        ("-3", -3),
        ("010", 10),
        ("no", "no"),
        ("on", "on"),
        ("2026-01-31", "2026-01-31"),
        ("1_000", "1_000"),
        (".inf", ".inf"),
        ("'1'", "1"),
        ("true", True),
        ("~", None),
        ("", None),
        ("[1, 2.5]", [1, 2.5]),
        ("{name: adam}", {"name": "adam"}),
    ],
)
def test_yaml_is_read_as_yaml_1_2_says(tmp_path: Path, text: str, value: Any) -> None:
    found = _read(tmp_path, f"field: {text}")["field"]
    assert (found, type(found)) == (value, type(value))
    assert with_settings({}, [f"field={text}"]) == {"field": value}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("seed: 0\nseed: 1", "line 2: seed stands twice"),
        ("a: 0\nb:\n  c: 1\n  d: 2\n  # twice\n  c: 3\ne: 4", "line 6: c stands twice"),
        ("seed: 0\ntraining:\n  max_epochs: [1, 1e400]", "/training/max_epochs/1 is inf"),
        ("seed: [0", "expected"),
        ("- 1", "a spec is an object"),
        ("1: 2", "a spec is an object"),
        ("", "a spec is an object"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a: &x [*x]", "[Cc]ircular"),
    ],
)
def test_what_is_no_spec_is_told_with_its_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(SpecUnreadable, match=why):
        _read(tmp_path, text)


def test_single_fields_are_set_by_dots_or_pointers_and_the_rest_stays() -> None:
    spec = {"optimizer": {"name": "adam"}, "network": {"hidden_units": [32, 16]}, "regularization": None}
    changed = with_settings(
        spec,
        [
            "optimizer.learning_rate=1e-2",
            "/network/hidden_units/1=8",
            "regularization.l2=0.1",
            "metadata.owner=the lab",
            "/metadata/a~1b=x",
        ],
    )
    assert changed == {
        "optimizer": {"name": "adam", "learning_rate": 0.01},
        "network": {"hidden_units": [32, 8]},
        "regularization": {"l2": 0.1},
        "metadata": {"owner": "the lab", "a/b": "x"},
    }
    assert spec["optimizer"] == {"name": "adam"}


@pytest.mark.parametrize("setting", ["seed", "=1", "a..b=1", "optimizer.name.x=1", "network.hidden_units.7=1", "network.hidden_units.x=1"])
def test_a_setting_that_has_no_place_is_told(setting: str) -> None:
    with pytest.raises(SpecUnreadable, match="--set"):
        with_settings({"optimizer": {"name": "adam"}, "network": {"hidden_units": [32]}}, [setting])

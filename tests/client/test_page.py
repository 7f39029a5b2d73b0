"""The blocks of docs/client.md run as they stand, one after another; what it lists is what there is."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

from cli import main
from cli.service import Service
from holdout import Client, Job
from holdout.datasets import Datasets
from holdout.jobs import Jobs

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "client.md").read_text()


def _blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def _run(blocks: list[str], service: Service, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HOLDOUT_URL", service.url)
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for block in blocks:
            exec(compile(block, "docs/client.md", "exec"), names)
    return printed.getvalue()


def test_the_page_runs_as_a_notebook_does(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = _blocks(PAGE)
    assert len(blocks) == 5
    printed = _run(blocks, service, tmp_path, monkeypatch)
    assert "succeeded 100%" in printed
    assert "learning_rate" in printed
    assert "adam is best" in printed
    assert "/optimizer/learning_rate" in printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.svg", "model.onnx"]


def test_the_readmes_short_road_runs(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [block] = _blocks((ROOT / "README.md").read_text())
    printed = _run([block], service, tmp_path, monkeypatch)
    assert "generalization_gap" in printed
    assert "the validation loss is" in printed


@pytest.mark.parametrize(("heading", "kind"), [("client.jobs", Jobs), ("client.datasets", Datasets), ("client", Client), ("a job", Job)])
def test_the_page_lists_every_method(heading: str, kind: type) -> None:
    [row] = [line for line in PAGE.splitlines() if line.replace("`", "").startswith(f"| {heading} |")]
    listed = set(re.findall(r"`(\w+)", row.partition("|")[2].partition("|")[2]))
    there = {name for name, value in vars(kind).items() if callable(value) and not name.startswith("_")}
    assert there - {"until_ended"} == listed - {"jobs", "client"}


def test_every_command_of_the_page_is_there_and_every_command_is_on_the_page() -> None:
    used = set(re.findall(r"^holdout (\w+)", PAGE, re.MULTILINE))
    there = {command.callback.__name__ for command in main.app.registered_commands if command.callback is not None}
    there |= {str(group.name) for group in main.app.registered_groups}
    assert used <= there
    assert there - used == {"up", "demo", "migrate", "api", "worker", "sweeper", "keys"}

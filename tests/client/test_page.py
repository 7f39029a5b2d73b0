"""The blocks of docs/client.md run as they stand, one after another; what it lists is what there is."""

import contextlib
import io
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

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
    assert len(blocks) == 6
    printed = _run(blocks, service, tmp_path, monkeypatch)
    assert "succeeded 100%" in printed
    assert "learning_rate" in printed
    assert "adam is best" in printed
    assert "unchanged" in printed
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


def _commands() -> list[list[str]]:
    return [shlex.split(line, comments=True)[1:] for line in re.findall(r"^holdout .*", PAGE, re.MULTILINE)]


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_every_command_of_the_page_is_read(words: list[str]) -> None:
    command, name, rest, context = get_command(main.app), "holdout", words, None
    while True:
        context = command.make_context(name, list(rest), parent=context)
        if not isinstance(command, TyperGroup):
            return
        found, command, rest = command.resolve_command(context, rest)
        assert command is not None
        name, rest = str(found), list(rest)


def test_the_pages_trainings_run(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDOUT_URL", service.url)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text("dataset: iris\ntraining: {max_epochs: 2}\n")
    trainings = [words for words in _commands() if words[0] == "train" and "JOB" not in words]
    assert len(trainings) == 2
    for words in trainings:
        done = CliRunner().invoke(main.app, words)
        assert done.exit_code == 0, done.output
        assert "the validation loss is" in done.stdout


def test_every_command_of_the_page_is_there_and_every_command_is_on_the_page() -> None:
    used = set(re.findall(r"^holdout (\w+)", PAGE, re.MULTILINE))
    there = {command.callback.__name__ for command in main.app.registered_commands if command.callback is not None}
    there |= {str(group.name) for group in main.app.registered_groups}
    assert used <= there
    assert there - used == {"up", "demo", "migrate", "api", "worker", "sweeper", "keys", "export"}

"""Rules of the house that no tool checks."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRAPS = [
    "B001",
    "B002",
    "B003",
    "B004",
    "B005",
    "B006",
    "B007",
    "B008",
    "B009",
    "B010",
    "B011",
    "B013",
    "B014",
    "B015",
    "B016",
    "B017",
    "B019",
    "B021",
    "B022",
    "B023",
    "B024",
    "B026",
    "B027",
    "B029",
    "B030",
    "B031",
    "B032",
    "B034",
    "B035",
    "B036",
    "B038",
    "B039",
    "B040",
    "B042",
    "B043",
    "B044",
    "B045",
    "B046",
    "B047",
    "B048",
    "B049",
    "B050",
    "B051",
    "B053",
    "B056",
    "B057",
    "B062",
    "B064",
    "B065",
    "B066",
    "B068",
    "B069",
    "B070",
    "B072",
    "B074",
    "B075",
    "B077",
    "B078",
    "B079",
    "B080",
    "B081",
    "B082",
    "B083",
    "B084",
    "B086",
    "B087",
    "B088",
    "B089",
    "B090",
    "B091",
    "B092",
    "B094",
    "B095",
    "B097",
    "B098",
    "B099",
    "B100",
    "B101",
    "B102",
    "B105",
    "B107",
    "B111",
    "B113",
    "B114",
    "B118",
    "B120",
    "B123",
    "B125",
    "B126",
    "B128",
    "B129",
    "B131",
]


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [ROOT / name for name in listed.splitlines() if (ROOT / name).is_file()]


@pytest.mark.parametrize("trap", TRAPS)
def test_every_known_trap_is_named_by_a_test(trap: str) -> None:
    texts = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__)]
    assert any(re.search(rf'"""[^"]*{trap}\b|"{trap}\b', text) for text in texts)


@pytest.mark.parametrize("module", ["api.app", "jobs.resolve", "store.shards", "worker.sweeper", "cli.main"])
def test_torch_stays_out_of_processes_that_do_not_train(module: str, tmp_path: Path) -> None:
    program = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)


@pytest.mark.parametrize("module", ["api.app", "worker.sweeper"])
def test_large_libraries_stay_out_of_processes_until_they_are_used(module: str, tmp_path: Path) -> None:
    large = {"torch", "sklearn", "scipy", "pandas", "matplotlib", "onnx", "onnxruntime", "pyarrow"}
    program = f"import sys, {module}; print(*({large} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert found.stdout.split() == []


def test_every_lint_exception_carries_its_reason() -> None:
    for path in _tracked():
        if path.suffix != ".py":
            continue
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            found = re.search(r"# no" + r"qa(: [A-Z0-9, ]+)?(.*)", line)
            assert found is None or (found.group(1) and len(found.group(2).strip()) > 5), f"{path}:{number}"
    settings = (ROOT / "pyproject.toml").read_text()
    ignored = settings[settings.index("ignore = [") : settings.index("]", settings.index("ignore = ["))]
    assert all("#" in line for line in ignored.splitlines()[1:] if line.strip())


def test_nothing_names_the_machine_it_was_written_on() -> None:
    pattern = re.compile("/" + r"work/|/" + r"root/|/" + r"opt/|/" + r"tmp/[a-z]")
    for path in _tracked():
        if path.suffix in {".py", ".md", ".toml", ".yml", ".txt", ".ini", ".mako", ""}:
            assert not pattern.search(path.read_text(errors="ignore")), path


def test_no_file_has_outgrown_its_room() -> None:
    assert [(path.name, lines) for path in _tracked() if path.suffix == ".py" and (lines := len(path.read_text().splitlines())) > 450] == []


def test_make_help_names_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    [phony] = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(phony.split()) == set(re.findall(r"^  make (\w+)", listed, re.MULTILINE))


def test_the_readme_shows_the_two_commands_on_its_first_screen() -> None:
    screen = (ROOT / "README.md").read_text().splitlines()[:30]
    assert any("make demo" in line for line in screen)
    assert any("make test" in line for line in screen)


def test_every_dependency_is_pinned_for_tests() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = project["dependencies"] + [one for extra in project["optional-dependencies"].values() for one in extra]
    names = {re.split(r"[\[<>=]", one)[0].lower().replace("_", "-") for one in declared} - {"holdout"}
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    assert names - pinned == set()


def test_the_changelog_has_what_was_not_released_first() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "[Unreleased]"

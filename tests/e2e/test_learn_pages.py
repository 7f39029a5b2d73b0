"""The jobs of docs/quickstart.md and docs/learn: each is accepted, runs, and shows what its page says."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.service import Service
from docs.learn.measure import Lesson, holds, lessons, outcome, written
from tests.system import Client

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "quickstart.md", *sorted((DOCS / "learn").glob("*.md"))]
LESSONS = {str(one.body["name"]): one for page in PAGES for one in lessons(page.read_text())}
pytestmark = pytest.mark.timeout(900)  # thirty jobs, which a busy machine may take minutes for
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


@pytest.fixture(scope="module")
def outcomes(client: Client) -> dict[str, dict[str, Any]]:
    """Post all bodies at once, wait for all jobs; give what came of them by name."""
    ids = {}
    for name, lesson in LESSONS.items():
        answer = client.request("POST", "/v1/jobs", json=lesson.body)
        assert answer.status_code == 201, answer.text
        ids[name] = answer.json()["id"]
    for job_id in ids.values():
        client.until(job_id, "succeeded", "failed", seconds=240)
    return {name: outcome(client.get, job_id) for name, job_id in ids.items()}


@pytest.mark.parametrize("lesson", LESSONS.values(), ids=LESSONS)
def test_every_body_passes_a_preview_and_its_page_quotes_what_that_warns_of(client: Client, lesson: Lesson) -> None:
    answer = client.request("POST", "/v1/previews", json=lesson.body)
    assert answer.status_code == 200, answer.text
    assert [warning for warning in answer.json()["warnings"] if f"*{warning}*" not in lesson.text] == []


@pytest.mark.parametrize("lesson", LESSONS.values(), ids=LESSONS)
def test_every_job_shows_what_its_page_says(outcomes: dict[str, dict[str, Any]], lesson: Lesson) -> None:
    found = outcomes[str(lesson.body["name"])]
    assert found["job"]["status"] == "succeeded", found["job"]["failure"]
    assert lesson.claims
    assert [claim for claim in lesson.claims if not holds(claim, found)] == []


@pytest.mark.parametrize("lesson", LESSONS.values(), ids=LESSONS)
def test_every_table_has_the_rows_and_columns_that_come_of_its_job(outcomes: dict[str, dict[str, Any]], lesson: Lesson) -> None:
    """Figures may differ on another kind of CPU, so numbers and verdicts are left to the claims."""
    anew = written(lesson.text, outcomes[str(lesson.body["name"])])
    for mine, theirs in zip(_rows(anew), _rows(lesson.text), strict=True):
        assert mine[0] == theirs[0]
        assert len(mine) == len(theirs)


def test_every_page_has_a_job_an_exercise_papers_and_pictures_that_are_small() -> None:
    for page in PAGES[1:]:
        text = page.read_text()
        assert lessons(text), page
        assert "**Exercise" in text, page
        assert re.search(r"\b(18|19|20)\d\d\)", text), page
        for name in re.findall(r"!\[.*?\]\((.*?)\)", text):
            assert (page.parent / name).stat().st_size < 100_000, name


def test_names_are_given_once_and_every_page_of_the_course_is_in_the_contents() -> None:
    assert len(LESSONS) == sum(len(lessons(page.read_text())) for page in PAGES)
    contents = (DOCS / "README.md").read_text()
    assert [page.name for page in PAGES[1:] if f"(learn/{page.name})" not in contents] == []


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """Give a folder with job.json as the quick start has it."""
    [body] = _blocks("json")
    (tmp_path / "job.json").write_text(body)
    return tmp_path


def test_the_commands_of_the_quick_start_end_with_a_picture_and_a_model(service: Service, quick: Path) -> None:
    script = "".join(_blocks("bash")).replace("localhost:8000", service.url.removeprefix("http://"))
    done = _run(["bash", "-euo", "pipefail", "-c", script], service, quick)
    assert (done.returncode, done.stderr) == (0, "")
    epochs, sentence, answer = done.stdout.split("\n", 2)
    assert epochs == "62"  # two fits, epochs 0 to 30
    assert NUMBER.sub("#", sentence) == NUMBER.sub("#", _said())
    assert '"setosa"' in answer
    _left(quick)


def test_the_command_line_of_the_quick_start_ends_with_a_picture_predictions_and_a_model(service: Service, quick: Path) -> None:
    script = "".join(_blocks("bash")[:1] + _blocks("sh"))
    done = _run(["bash", "-euo", "pipefail", "-c", script], service, quick)
    assert done.returncode == 0, done.stderr
    _left(quick)
    assert len((quick / "predictions.csv").read_text().splitlines()) == 151


def test_the_python_of_the_quick_start_ends_with_a_picture_and_a_model(service: Service, quick: Path) -> None:
    _run(["bash", "-euo", "pipefail", "-c", _blocks("bash")[0]], service, quick)
    [program] = _blocks("python")
    done = _run([sys.executable, "-c", program], service, quick)
    assert (done.returncode, done.stderr) == (0, "")
    assert NUMBER.sub("#", done.stdout.splitlines()[0]) == NUMBER.sub("#", _said())
    assert "setosa" in done.stdout.splitlines()[-1]
    _left(quick)


def _rows(text: str) -> list[list[str]]:
    return [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGES[0].read_text(), re.DOTALL | re.MULTILINE)


def _said() -> str:
    """Give the sentence that the quick start quotes."""
    [said] = re.findall(r"^> (.*)$", PAGES[0].read_text(), re.MULTILINE)
    return str(said)


def _run(command: list[str], service: Service, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a reader would: the environment's programs at hand, and the service where the environment says."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "HOLDOUT_URL": service.url, "PYTHONPATH": str(DOCS.parent)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)


def _left(folder: Path) -> None:
    """Check what all ways leave behind."""
    assert (folder / "report.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "model.zip").read_bytes().startswith(b"PK")

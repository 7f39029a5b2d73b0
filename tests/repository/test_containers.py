"""The compose file and the images, as far as they can be checked without an engine."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[2]
BIN = Path(sysconfig.get_path("scripts"))
PASSWORDS = {"POSTGRES_PASSWORD": "p", "REDIS_PASSWORD": "r"}


def _compose(file: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [BIN / "docker-compose", "--file", file, "--project-directory", ROOT, *arguments, "config", "-q"]
    return subprocess.run(
        command,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("profile", [(), ("--profile", "gpu")])
def test_compose_accepts_the_file(profile: tuple[str, ...]) -> None:
    found = _compose(ROOT / "docker-compose.yml", PASSWORDS, *profile)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("missing", PASSWORDS)
def test_compose_refuses_to_start_without_passwords(missing: str) -> None:
    found = _compose(ROOT / "docker-compose.yml", {name: value for name, value in PASSWORDS.items() if name != missing})
    assert found.returncode != 0
    assert missing in found.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("depends_on:", "depend_on:"),
        ("condition: service_healthy", "condition: healthy"),
        ("    redis:\n      condition", "    reddis:\n      condition"),
    ],
)
def test_the_check_catches_what_is_broken(tmp_path: Path, old: str, new: str) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert old in text
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(text.replace(old, new, 1))
    assert _compose(broken, PASSWORDS).returncode != 0


def test_only_the_api_is_published_and_only_on_loopback() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert text.count("ports:") == 1
    assert '- "127.0.0.1:${HOLDOUT_PORT:-8000}:8000"' in text


def test_hadolint_finds_nothing() -> None:
    found = subprocess.run([BIN / "hadolint", "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, ""), found.stdout + found.stderr


def _stages() -> dict[str, list[dict[str, str]]]:
    stages: dict[str, list[dict[str, str]]] = {}
    name = ""
    for line in DockerfileParser(str(ROOT / "Dockerfile")).structure:
        if line["instruction"] == "FROM":
            name = line["value"].rpartition(" ")[2]
            stages[name] = []
        if line["instruction"] != "COMMENT":
            stages[name].append(line)
    return stages


def test_what_images_copy_exists_and_is_not_ignored() -> None:
    allowed = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources = [
        source for stage in _stages().values() for line in stage if line["instruction"] == "COPY" for source in line["value"].split()[:-1]
    ]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert source in allowed, source


@pytest.mark.parametrize("stage", ["api", "worker"])
def test_images_run_as_a_user_without_rights(stage: str) -> None:
    users = [line["value"].strip() for line in _stages()[stage] if line["instruction"] == "USER"]
    assert users == ["10001"]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("stage", ["api", "worker"])
def test_an_images_install_steps_give_a_working_program(stage: str, tmp_path: Path) -> None:
    """The steps of the Dockerfile in a clean environment: the API starts without torch, the worker and sweeper import."""
    source, environment = tmp_path / "app", tmp_path / "venv"
    source.mkdir()
    stages = _stages()
    for line in stages["base"]:
        if line["instruction"] == "COPY":
            for name in line["value"].split()[:-1]:
                copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
                copy(ROOT / name, source / name)
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    [install] = [line["value"].strip() for line in stages[stage] if line["instruction"] == "RUN"]
    assert install == f"pip install --constraint constraints.txt '.[{stage}]'"
    subprocess.run(
        [environment / "bin" / "pip", "install", "--quiet", "--constraint", "constraints.txt", f".[{stage}]"], cwd=source, check=True
    )
    python = environment / "bin" / "python"
    home = {"HOLDOUT_HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"]}
    program = {
        "api": (
            "import importlib.util, sys, worker.sweeper\n"
            "from api.app import create_app\n"
            "assert importlib.util.find_spec('torch') is None and 'torch' not in sys.modules\n"
            "assert len(create_app().openapi()['paths']) > 10\n"
        ),
        "worker": "import worker.app, worker.sweeper; assert worker.app.celery_app.conf.worker_prefetch_multiplier == 1",
    }[stage]
    subprocess.run([environment / "bin" / "holdout", "migrate"], cwd=tmp_path, env=home, check=True)
    subprocess.run([python, "-c", program], cwd=tmp_path, env=home, check=True)

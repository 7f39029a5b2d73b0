"""The compose file and the images, as far as they can be checked without an engine."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

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


def _services() -> dict[str, dict[str, Any]]:
    """Read every service as compose understands it, those of profiles too."""
    command = [BIN / "docker-compose", "--file", ROOT / "docker-compose.yml", "--profile", "*", "config", "--format", "json"]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **PASSWORDS}
    services: dict[str, dict[str, Any]] = json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)[
        "services"
    ]
    return services


SERVICES = _services()
UIDS = {"postgres": "70", "redis": "999"}
"""Users that images bring; ours are 10001."""


def test_only_the_api_is_published_and_only_on_loopback() -> None:
    """B126, B131: nothing listens beside the API's port, neither a broker nor a page that runs tasks."""
    published = {name: service["ports"] for name, service in SERVICES.items() if service.get("ports")}
    assert set(published) == {"api"}
    [port] = published["api"]
    assert (port["host_ip"], port["target"]) == ("127.0.0.1", 8000)
    for name, service in SERVICES.items():
        assert not {"network_mode", "expose", "links", "devices", "pid", "ipc", "privileged", "cap_add"} & service.keys(), name
        assert "docker.sock" not in json.dumps(service)


def test_nobody_ships_a_page_that_runs_tasks() -> None:
    """B131: no Flower, no Celery events to feed one; `/docs` carries no data."""
    for path in ("pyproject.toml", "constraints.txt", "Dockerfile", "docker-compose.yml"):
        assert not re.search(r"\bflower\b|rediscommander|redis-commander|adminer|pgadmin", (ROOT / path).read_text(), re.IGNORECASE), path
    for name, service in SERVICES.items():
        assert "--events" not in json.dumps(service.get("command")), name
        assert not re.search("flower|commander|adminer|pgadmin", service["image"]), name


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_no_rights_and_a_root_that_cannot_be_written(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    user, group = service["user"].split(":")
    assert user == UIDS.get(name, "10001")
    assert group not in {"0", ""}


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_bounded(name: str) -> None:
    service = SERVICES[name]
    assert 64 <= service["pids_limit"] <= 1024
    assert 2**29 <= int(service["mem_limit"]) <= 2**34
    assert service["init"] is True  # zombies are reaped, signals passed on
    mounted = {mount.split(":")[0]: mount for mount in service["tmpfs"]}
    assert "/tmp" in mounted
    assert all(re.search(r"[:,]size=\d+m(,|$)", mount) for mount in mounted.values())
    assert sum(int(size) for size in re.findall(r"size=(\d+)m", " ".join(service["tmpfs"]))) * 2**20 <= int(service["mem_limit"]) // 2


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_writes_to_named_volumes_and_takes_nothing_of_its_host(name: str) -> None:
    for volume in SERVICES[name]["volumes"]:
        assert volume["type"] == "volume"
        assert volume["target"] in {"/data", "/scratch", "/var/lib/postgresql"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_says_whether_it_is_well(name: str) -> None:
    """Or ends by itself; the API's image brings its check, and no other service of that image may inherit it: it has no port."""
    check = SERVICES[name].get("healthcheck")
    if name == "api":
        assert check is None
        assert [line for line in _stages()["api"] if line["instruction"] == "HEALTHCHECK"]
    elif name == "migrate":
        assert check == {"disable": True}
        assert SERVICES[name]["restart"] == "no"
    else:
        assert check is not None
        assert check["test"][0] in {"CMD", "CMD-SHELL"}
        assert {"interval", "timeout", "retries"} <= check.keys()


def test_passwords_come_from_outside_and_are_in_no_image() -> None:
    for lines in _stages().values():
        for line in lines:
            assert not re.search("PASSWORD|SECRET|TOKEN|_KEY", line["value"]), line
            assert line["instruction"] != "ARG", line
    text = (ROOT / "docker-compose.yml").read_text()
    for found in re.findall(r"PASSWORD\S*", text):
        assert not re.match(r"PASSWORD[=:]\s*[\"']?[A-Za-z0-9]", found), found


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
    assert users == ["10001:10001"]  # numbers, so that who runs them can tell that they are not root


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

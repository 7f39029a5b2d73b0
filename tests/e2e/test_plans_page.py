"""The bodies and commands of docs/plans.md, as they stand there; the examples of Swagger UI for plans are among them."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest

from api.examples import PLANS
from cli.service import Service
from jobs.plans.spec import PlanSpec
from tests.system import Client

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "plans.md").read_text()
BODIES: list[tuple[dict[str, Any], str]] = [
    (json.loads(body), sentence) for body, sentence in re.findall(r"^```json\n(\{\n.*?)^```\n\n> (.*?)$", TEXT, re.DOTALL | re.MULTILINE)
]
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


@pytest.fixture(scope="module")
def ended(client: Client) -> dict[str, dict[str, Any]]:
    """Post all bodies, wait for all jobs; give them by name."""
    ids = []
    for body, _ in BODIES:
        answer = client.request("POST", "/v1/jobs", json=body)
        assert answer.status_code == 201, answer.text
        ids.append(answer.json()["id"])
    jobs = [client.until(job_id, "succeeded", "failed", seconds=240) for job_id in ids]
    return {job["name"]: job for job in jobs}


@pytest.mark.parametrize(("body", "sentence"), BODIES, ids=[str(body["name"]) for body, _ in BODIES])
def test_every_body_gives_what_the_page_says(ended: dict[str, dict[str, Any]], body: dict[str, Any], sentence: str) -> None:
    """Words are the same; numbers about the same, for another kind of CPU adds up in another order."""
    job = ended[body["name"]]
    assert job["status"] == "succeeded", job["failure"]
    assert job["progress"] == 1.0
    assert job["warnings"] == []
    said = job["result"]["sentence"]
    assert NUMBER.sub("#", said) == NUMBER.sub("#", sentence)
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (said, sentence)]
    assert numbers[0] == pytest.approx(numbers[1], rel=0.1, abs=0.02)


def test_the_page_has_every_plan_and_every_example_of_swagger() -> None:
    bodies = {body["name"]: body for body, _ in BODIES}
    assert {name: bodies.get(name) for name in (one["value"]["name"] for one in PLANS.values())} == {
        one["value"]["name"]: one["value"] for one in PLANS.values()
    }
    union, _ = get_args(PlanSpec)
    plans = {get_args(one.model_fields["name"].annotation)[0] for one in get_args(union)}
    assert plans - {body.get("plan", {}).get("name", "fit") for body in bodies.values()} == set()
    assert {"k_fold", "time_series"} - {body.get("split", {}).get("name") for body in bodies.values()} == set()
    assert len(TEXT.split("```json\n")) == len(BODIES) + 2  # the answer of /predictions is the other


def test_commands_post_a_job_wait_and_predict_with_the_ensemble(service: Service, tmp_path: Path) -> None:
    bagging = PLANS["bagging"]["value"]
    (tmp_path / "job.json").write_text(json.dumps(bagging))
    blocks = re.findall(r"^```bash\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    script = "".join(blocks).replace("localhost:8000", service.url.removeprefix("http://"))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    sentence, answer = done.stdout.split("\n", 1)
    assert NUMBER.sub("#", sentence) == NUMBER.sub("#", next(said for body, said in BODIES if body == bagging))
    found = json.loads(answer)
    [shown] = [json.loads(text) for text in re.findall(r"^```json\n(\{\"model.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)]
    assert {name: found[name] for name in shown if name not in {"probabilities", "agreement"}} == {
        name: value for name, value in shown.items() if name not in {"probabilities", "agreement"}
    }
    for row, expected in zip(found["probabilities"], shown["probabilities"], strict=True):
        assert row == pytest.approx(expected, abs=0.02)
    assert (tmp_path / "bag.onnx").stat().st_size > 1000

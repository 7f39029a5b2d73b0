"""The commands that use a service, as a person and as a script meet them."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import Result
from sklearn.datasets import load_iris

from cli import plotting
from cli.service import Service
from cli.watching import duration
from tests.serving import served

SMALL = ("--set", "training.max_epochs=4", "--set", "seed=0")


def _made(done: Result) -> str:
    return done.stdout.strip()


def test_a_newcomer_goes_from_a_csv_to_a_model(holdout: Any, tmp_path: Path) -> None:
    iris = load_iris()
    file, spec, found = tmp_path / "iris.csv", tmp_path / "spec.yaml", {}
    rows = [[*row, iris.target_names[kind]] for row, kind in zip(iris.data.tolist(), iris.target, strict=True)]
    _write(file, [["sepal_length", "sepal_width", "petal_length", "petal_width", "species"], *rows])

    uploaded = holdout("datasets", "upload", file, "--target", "species")
    dataset = _made(uploaded)
    assert "150 rows, classification of species" in uploaded.stderr
    spec.write_text(f"dataset: {dataset}\nseed: 0\ntraining: {{max_epochs: 30}}\noptimizer: {{learning_rate: 1e-2, name: adam}}\n")
    assert "105" in holdout("train", spec, "--dry-run").stdout

    for optimizer in ("adam", "sgd"):
        job = _made(holdout("train", spec, "--set", f"optimizer.name={optimizer}", "--name", f"iris by {optimizer}", "--detach"))
        watched = holdout("watch", job)
        assert "validation loss" in watched.stdout
        assert f"{job} succeeded 100%  epoch 30" in watched.stderr
        found[optimizer] = job

    compared = holdout("compare", *found.values()).stdout
    assert re.search(r"/optimizer/name +adam +sgd", compared)
    assert len(re.findall(r"\(lowest\)", compared)) == 1
    assert "/training/max_epochs" not in compared  # it does not differ

    model = tmp_path / "iris.onnx"
    assert _made(holdout("model", found["adam"], "-o", model)) == str(model)
    assert len(model.read_bytes()) > 1000
    predicted = holdout("predict", found["adam"], file)
    assert predicted.stderr.startswith("left out: species")
    answers = list(csv.DictReader(io.StringIO(predicted.stdout)))
    right = [answer["predicted_species"] == row[-1] for answer, row in zip(answers, rows, strict=True)]
    assert sum(right) > 130
    assert set(answers[0]) == {"predicted_species", *(f"probability_{name}" for name in iris.target_names)}


def _write(file: Path, rows: list[list[Any]]) -> None:
    with file.open("w", newline="") as text:
        csv.writer(text).writerows(rows)


def test_json_is_what_the_api_gives(holdout: Any, service: Service, tmp_path: Path) -> None:
    with httpx2.Client(base_url=service.url) as http:
        job = json.loads(holdout("train", "--dataset", "iris", *SMALL, "--json").stdout)
        assert job == http.get(f"/v1/jobs/{job['id']}").json()
        assert json.loads(holdout("jobs", "get", job["id"], "--json").stdout) == job
        listed = json.loads(holdout("jobs", "list", "--status", "succeeded", "--limit", "1", "--json").stdout)
        assert [set(one) for one in listed] == [set(job)]
        assert json.loads(holdout("curves", job["id"], "--json").stdout)["fits"] == http.get(f"/v1/jobs/{job['id']}/curves").json()["fits"]
        assert holdout("curves", job["id"], "--csv").stdout.splitlines() == http.get(f"/v1/jobs/{job['id']}/curves.csv").text.splitlines()
        assert json.loads(holdout("datasets", "get", "iris", "--json").stdout) == http.get("/v1/datasets/iris").json()
        assert "iris" in [one["id"] for one in json.loads(holdout("datasets", "list", "--json").stdout)]
        preview = json.loads(holdout("train", "-", "--dry-run", "--json", text='{"dataset": "iris", "seed": 1}').stdout)
        assert preview["num_fits"] == 1
    again = json.loads(holdout("train", "--dataset", "iris", *SMALL, "--set", "optimizer.name=sgd", "--json").stdout)
    compared = json.loads(holdout("compare", job["id"], again["id"], "--json").stdout)
    assert compared["differences"]["/optimizer/name"] == ["adam", "sgd"]
    assert [one["id"] for one in compared["jobs"]] == [job["id"], again["id"]]
    (tmp_path / "rows.json").write_text("[[5.1, 3.5, 1.4, 0.2]]")
    assert json.loads(holdout("predict", job["id"], tmp_path / "rows.json", "--json").stdout)["predictions"] == ["setosa"]


def test_orders_are_given_by_name(holdout: Any) -> None:
    job = _made(holdout("train", "--dataset", "digits", "--set", "training.max_epochs=2000", "-d"))
    assert holdout("jobs", "pause", job).stdout.startswith(job)
    holdout("jobs", "resume", job)
    assert job in holdout("jobs", "cancel", job).stdout
    assert "was cancelled" in holdout("watch", job, code=6).stderr
    refused = holdout("jobs", "resume", job, code=1).stderr
    assert re.search(r"^error: that cannot be done \(\w+\)\n  why: .*cancelled.*\n  request id: req_\w+$", refused, re.MULTILINE)
    holdout("jobs", "delete", job, code=1, text="n\n")
    holdout("jobs", "delete", job, "--yes")
    holdout("jobs", "get", job, code=1)


def test_a_job_goes_on_for_more_epochs(holdout: Any) -> None:
    job = json.loads(holdout("train", "--dataset", "iris", *SMALL, "--json").stdout)["id"]
    longer = _made(holdout("jobs", "extend", job, "--max-epochs", "6"))
    holdout("watch", longer)
    assert len(holdout("curves", longer, "--csv").stdout.splitlines()) == 8


def test_curves_are_drawn_in_characters_and_told_in_a_sentence(holdout: Any) -> None:
    job = json.loads(holdout("train", "--dataset", "iris", *SMALL, "--json").stdout)["id"]
    drawn = holdout("curves", job).stdout
    assert "fit 1, holdout: train_loss ▚  val_loss ." in drawn
    assert re.search(r"best at epoch 4 of 4: validation 0\.\d+, train 0\.\d+, gap", drawn)
    assert max(len(line) for line in drawn.splitlines()) <= 100
    assert "train_accuracy" in holdout("curves", job, "--metric", "accuracy").stdout
    lacking = holdout("curves", job, "--metric", "rmse", code=2).stderr
    assert "has no rmse" in lacking
    assert "it has loss, accuracy, gap, objective, learning_rate" in lacking
    assert "there is no metric" in holdout("curves", job, "--metric", "f1", code=2).stderr


def test_without_the_plotting_library_there_is_a_table(holdout: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotext", None)
    assert not plotting.can_plot()
    job = json.loads(holdout("train", "--dataset", "iris", *SMALL, "--json").stdout)["id"]
    table = holdout("curves", job).stdout
    assert table.split()[:5] == ["fit", "label", "epoch", "train_loss", "val_loss"]
    assert table == holdout("curves", job, "--table").stdout


def test_a_table_that_leaves_epochs_out_says_so(holdout: Any) -> None:
    for epochs in (4, 60):
        job = json.loads(holdout("train", "--dataset", "iris", "--set", f"training.max_epochs={epochs}", "--json").stdout)["id"]
        shown = holdout("curves", job, "--table")
        assert ("epochs are left out" in shown.stderr) == (len(shown.stdout.splitlines()) - 2 < epochs + 1)
        assert ("epochs are left out" in shown.stderr) == (epochs == 60)


def test_reports_are_saved_as_their_names_say(holdout: Any, tmp_path: Path) -> None:
    job = json.loads(holdout("train", "--dataset", "iris", *SMALL, "--json").stdout)["id"]
    holdout("report", job, "-o", tmp_path / "r.svg")
    assert "<svg" in (tmp_path / "r.svg").read_text()
    assert "a png or an svg" in holdout("report", job, "-o", tmp_path / "r.pdf", code=2).stderr
    assert _made(holdout("report", job, "-o", tmp_path)) == str(tmp_path / f"{job}-report.png")
    assert _made(holdout("model", job, "-o", tmp_path)).endswith("-fit-1.safetensors")
    assert ".safetensors, .onnx or .zip" in holdout("model", job, "-o", tmp_path / "m.pt", code=2).stderr
    assert f"{tmp_path / 'none'} cannot be read or written" in holdout("model", job, "-o", tmp_path / "none" / "m.zip", code=1).stderr


def test_a_failed_job_is_exit_code_3_with_its_reason(holdout: Any) -> None:
    spec = '{"dataset": "diabetes", "optimizer": {"name": "sgd", "learning_rate": 1e20}, "network": {"name": "mlp", "hidden_units": []}}'
    failed = holdout("train", "-", "--json", text=spec, code=3)
    assert json.loads(failed.stdout)["failure"]["kind"] == "diverged"
    assert re.search(r"^error: job job_\w+ failed: diverged\n  why: .+\n  do: holdout curves job_\w+ shows", failed.stderr, re.MULTILINE)


def test_watching_for_too_long_is_exit_code_5_and_the_job_goes_on(holdout: Any) -> None:
    late = holdout("train", "--dataset", "digits", "--set", "training.max_epochs=2000", "--timeout", "0.2s", code=5)
    [job] = set(re.findall(r"job_\w+", late.stderr))
    assert f"holdout watch {job} waits again" in late.stderr
    assert f"job {job} is running still; it goes on" in late.stderr or f"job {job} is queued still; it goes on" in late.stderr
    assert json.loads(holdout("jobs", "get", job, "--json").stdout)["status"] in {"queued", "running"}
    holdout("jobs", "cancel", job)


@pytest.mark.parametrize(
    ("arguments", "code", "sentences"),
    [
        (("watch", "job_nope"), 1, ("error: there is no job job_nope", "`holdout jobs list` shows yours", "request id: req_")),
        (("curves", "job_nope"), 1, ("there is no job job_nope",)),
        (("compare", "job_nope", "job_no"), 1, ("there is no job job_nope",)),
        (("compare", "job_nope"), 2, ("one job has nothing to be compared with",)),
        (("datasets", "get", "nope"), 1, ("there is no dataset nope", "`holdout datasets list` shows all")),
        (("jobs", "get", "../x"), 2, ("'../x' is not an id",)),
        (("train",), 2, ("there is nothing to train",)),
        (("train", "nowhere.yaml"), 2, ("nowhere.yaml cannot be read",)),
        (("train", "--dataset", "digits", "--set", "seed"), 2, ("--set seed: write it like",)),
        (
            ("train", "--dataset", "digits", "--set", "sed=1", "--set", "seed=x"),
            1,
            ("/sed: unknown field", "/seed: ", "mend what is named"),
        ),
        (("train", "--dataset", "digits", "--timeout", "soon"), 2, ("is no length of time",)),
        (("jobs", "list", "--status", "odd"), 1, ("status: ",)),
        (("jobs", "list", "--metadata", "odd"), 2, ("write it like owner=vision",)),
        (("jobs", "list", "--url", "localhost:1"), 2, ("is not the address of a service",)),
        (("jobs", "list", "--url", "http://127.0.0.1:1"), 1, ("cannot be reached", "start a service by `holdout up`")),
        (("datasets", "upload", "nowhere.csv"), 2, ("nowhere.csv cannot be read",)),
        (("predict", "job_nope", "nowhere.csv"), 2, ("nowhere.csv cannot be read",)),
        (("datasets", "upload", "-", "--schema", "-"), 2, ("cannot both come by stdin",)),
        (("train", "--dataset", "iris", "--set", "dataset.x=3"), 2, ("--set dataset.x=3: x has no place",)),
        (("train", "--set", "network.hidden_units=[8,"), 2, ("--set network.hidden_units=[8,",)),
        (("curves", "job_nope", "--csv", "--metric", "loss"), 2, ("--metric chooses what is drawn",)),
        (("curves", "job_nope", "--csv", "--json"), 2, ("choose one",)),
    ],
)
def test_what_goes_wrong_is_told_with_reason_and_advice(
    holdout: Any, arguments: tuple[str, ...], code: int, sentences: tuple[str, ...]
) -> None:
    done = holdout(*arguments, code=code)
    assert done.stdout == ""
    for sentence in sentences:
        assert sentence in re.sub(r"[│\s]+", " ", done.stderr), done.stderr


def test_a_service_that_asks_for_keys_is_exit_code_4(holdout: Any, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with served(tmp_path, request.getfixturevalue("_sqlite_template"), access="keys") as api:
        refused = holdout("jobs", "list", "--url", api.url, code=4, HOLDOUT_API_KEY="hk_wrong_secret")
    assert "the service asks for a valid API key" in refused.stderr
    assert "hk_wrong_secret" not in refused.output


def test_every_command_is_helped_and_the_exit_codes_are_told(holdout: Any) -> None:
    told = holdout("--help").stdout
    for command in ("train", "watch", "curves", "compare", "predict", "model", "report", "jobs", "datasets", "keys"):
        assert command in told
        assert holdout(command, "--help").stdout
    for text in (told, holdout("train", "--help").stdout, holdout("watch", "--help").stdout):
        assert "130 interrupted" in re.sub(r"\s+", " ", text.replace("│", ""))


def test_lengths_of_time_are_read() -> None:
    assert [duration(text) for text in ("90s", "5m", "2h", "0.5", "1.5h")] == [90, 300, 7200, 0.5, 5400]


def test_ctrl_c_leaves_the_job_alone_and_says_how_to_come_back(service: Service, holdout: Any) -> None:
    command = [sys.executable, "-m", "cli.main", "train", "--dataset", "digits", "--set", "training.max_epochs=2000"]
    process = subprocess.Popen(
        command,
        env={**os.environ, "HOLDOUT_URL": service.url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    told = [process.stderr.readline() for _ in range(2)]  # submitted, and its first status
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    job = told[0].split()[-1]
    assert (process.returncode, stdout) == (130, "")
    assert f"detached; job {job} goes on by itself" in stderr
    assert f"holdout watch {job} " in stderr
    assert "Traceback" not in stderr
    assert json.loads(holdout("jobs", "get", job, "--json").stdout)["status"] in {"queued", "running"}
    holdout("jobs", "cancel", job)


def test_commands_that_use_a_service_load_no_database(tmp_path: Path) -> None:
    """They start in a third of the time."""
    program = "import sys, cli.main; print(*({'sqlalchemy', 'alembic', 'numpy', 'pandas', 'plotext'} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert found.stdout.split() == []


def test_nothing_is_coloured_for_a_file_nor_where_colours_are_not_wanted(service: Service, holdout: Any) -> None:
    holdout("datasets", "list", NO_COLOR="1")  # its output is looked at by the fixture
    found = subprocess.run(
        [sys.executable, "-m", "cli.main", "datasets", "list"],
        env={**os.environ, "HOLDOUT_URL": service.url},
        capture_output=True,
        check=True,
    )
    assert b"\x1b" not in found.stdout
    assert max(map(len, found.stdout.decode().splitlines())) > 80  # nothing is cut off for a pipe

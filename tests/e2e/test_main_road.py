"""From POST to the epoch rows and back, with real data and a real worker process."""

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from api.examples import JOBS as EXAMPLES
from api.examples import PLANS
from cli.demo import JOBS as DEMO
from cli.service import Service
from store.shards import claim
from tests.system import Client, without_clock
from training.export import load_safetensors
from worker.queue import make_celery, send

LINEAR = {"network": {"name": "mlp", "hidden_units": []}}


@pytest.mark.parametrize("spec", DEMO, ids=lambda spec: str(spec["name"]))
def test_the_demos_jobs_reach_the_figures_that_the_readme_promises(client: Client, spec: dict[str, Any]) -> None:
    """B098: they train in a real prefork child; digits MLP >= 0.96, CNN >= 0.97, diabetes better than the mean."""
    job = client.until(client.submit(**spec)["id"], "succeeded")
    val = client.fit(job["id"])["evaluation"]["val"]
    if job["dataset"] == "diabetes":
        assert val["r2"]["value"] > 0.2
    else:
        assert val["accuracy"]["value"] >= (0.96 if spec["network"]["name"] == "mlp" else 0.97)
    assert job["progress"] == 1.0
    assert [one["status"] for one in job["transitions"]] == ["queued", "running", "succeeded"]


def test_the_long_example_is_accepted_where_its_data_is_installed(client: Client) -> None:
    """Its training takes a quarter of an hour: docs/studies/fashion_mnist.md has what came of it."""
    answer = client.http.post("/v1/previews", json=EXAMPLES["fashion_cnn"]["value"])
    if answer.status_code == 200:
        assert answer.json()["fits"][0]["num_rows"] == {"train": 53_000, "val": 7_000, "test": 10_000}
    else:
        assert answer.json()["errors"][0]["code"] == "dataset_unavailable"


NEW_ROADS: dict[str, dict[str, Any]] = {
    "signals": {
        "dataset": "waves", "network": {"name": "cnn", "blocks": [{"channels": 16, "kernel_size": 5, "pool": 2}, {"channels": 16, "residual": True}], "global_average_pooling": True},
        "regularization": {"augmentations": [{"name": "signal_shift"}]}, "training": {"max_epochs": 30},
    },
    "volumes": {
        "dataset": "solids", "network": {"name": "cnn", "blocks": [{"channels": 8, "pool": 2}, {"channels": 16, "pool": 2}], "normalization": {"name": "group_norm"}},
        "schedule": {"name": "one_cycle"}, "optimizer": {"name": "adamw", "learning_rate": 0.005}, "training": {"max_epochs": 16},
    },
    "colors": {
        "dataset": "colored_shapes", "network": {"name": "cnn", "normalization": {"name": "batch_norm"}}, "optimizer": {"name": "adamw", "learning_rate": 0.005},
        "regularization": {"cutmix_alpha": 0.2, "label_smoothing": 0.1, "ema_decay": 0.9, "augmentations": [{"name": "hsv", "hue": 0.5}, {"name": "crop", "padding": 1}]},
        "training": {"max_epochs": 40, "accumulate_batches": 2},
    },
    "sharp digits": {
        "dataset": "digits", "network": {"name": "mlp", "hidden_units": [16]}, "evaluation": {"sharpness": True}, "training": {"max_epochs": 10},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", NEW_ROADS)
def test_signals_volumes_and_colors_are_learned_by_a_real_worker(client: Client, name: str) -> None:
    """B005, B032, B042, B045."""
    job, curve = client.run(**NEW_ROADS[name])
    fit = client.fit(job["id"])
    assert fit["evaluation"]["val"]["accuracy"]["value"] > 0.75
    assert fit["evaluation"]["val"]["loss"]["value"] == fit["best"]["val_loss"]
    assert fit["steps_done"] == fit["steps_planned"]
    assert fit["diagnosis"]["advice"]
    assert len({rate for rate in curve["learning_rate"] if rate is not None}) == (16 if name == "volumes" else 1)
    assert client.request("GET", f"/v1/jobs/{job['id']}/report.png").content.startswith(b"\x89PNG")
    if name == "sharp digits":
        assert fit["evaluation"]["sharpness"]["largest_eigenvalue"] > 0


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in {"fashion_cnn", *PLANS}])
def test_every_example_of_swagger_runs_as_given(client: Client, name: str) -> None:
    spec = EXAMPLES[name]["value"]
    assert client.request("POST", "/v1/previews", json=spec).status_code == 200
    job = client.until(client.request("POST", "/v1/jobs", json=spec).json()["id"], "succeeded")
    assert client.request("POST", "/v1/previews", json=job["spec"]).json()["spec"] == job["spec"]


def test_a_job_leaves_rows_curves_pictures_and_weights(client: Client) -> None:
    job, curve = client.run(training={"max_epochs": 3}, split={"name": "holdout", "test_fraction": 0.2})
    assert curve["epoch"] == [0, 1, 2, 3]
    assert curve["generalization_gap"] == [val - train for val, train in zip(curve["val_loss"], curve["train_loss"], strict=True)]
    assert curve["learning_rate"][0] is None
    fit = client.fit(job["id"])
    assert curve["val_loss"][fit["best_epoch"]] == fit["best"]["val_loss"] == min(curve["val_loss"])
    assert fit["evaluation"]["val"]["loss"]["value"] == fit["best"]["val_loss"]
    assert fit["evaluation"]["test"]["rows"] == 359
    assert client.get(f"/v1/jobs/{job['id']}/result")["plan"] == "fit"
    weights = load_safetensors(client.request("GET", f"/v1/jobs/{job['id']}/model").content)
    assert weights["dense1.weight"].shape == (128, 64)
    assert client.request("GET", f"/v1/jobs/{job['id']}/report.png").content.startswith(b"\x89PNG")
    assert b"<svg" in client.request("GET", f"/v1/jobs/{job['id']}/report.svg").content
    assert client.request("GET", f"/v1/jobs/{job['id']}/curves.csv").text.splitlines()[1].startswith("1,holdout,0,")
    assert job["environment"]["threads"] == 1
    assert client.request("DELETE", f"/v1/jobs/{job['id']}").status_code == 204
    assert client.request("GET", f"/v1/jobs/{job['id']}").status_code == 404


def test_the_same_spec_twice_gives_equal_curves_and_another_knob_another(client: Client) -> None:
    """B044."""
    fields = {
        "network": {"name": "mlp", "hidden_units": [32], "dropout": 0.2, "normalization": {"name": "batch_norm"}},
        "training": {"max_epochs": 3},
    }
    first, again = client.run(**fields)[1], client.run(**fields)[1]
    assert first == again
    assert client.run(**fields, regularization={"l2": 0.1})[1]["train_loss"] != first["train_loss"]


def test_learning_rate_zero_gives_one_constant_curve_for_every_batch_size_and_l2(client: Client) -> None:
    """B002, B015, B084, and the first cheap check."""
    found = []
    for fields in (
        {"training": {"max_epochs": 3, "batch_size": 1}},
        {"training": {"max_epochs": 3, "batch_size": "full"}},
        {"training": {"max_epochs": 3}, "regularization": {"l2": 1.0}},
    ):
        curve = client.run("iris", network={"name": "mlp", "hidden_units": [8]}, optimizer={"name": "sgd", "learning_rate": 0}, **fields)[1]
        assert len(set(curve["train_loss"])) == len(set(curve["val_loss"])) == 1
        found.append((curve["epoch"], curve["train_loss"], curve["val_loss"]))
    assert found[0] == found[1] == found[2]


def test_a_frozen_fit_stops_after_patience_epochs(client: Client) -> None:
    """B039, B057."""
    curve = client.run("iris", optimizer={"name": "sgd", "learning_rate": 0}, early_stopping={"patience": 4})[1]
    assert curve["epoch"] == [0, 1, 2, 3, 4]
    curve = client.run("iris", early_stopping={"patience": 2, "min_delta": 1e9})[1]
    assert curve["epoch"] == [0, 1, 2]


@pytest.mark.parametrize("seed", range(4))
def test_best_and_stop_epochs_follow_from_the_stored_curve(client: Client, seed: int) -> None:
    """B069, B082."""
    job = client.until(
        client.submit("wine", seed=seed, optimizer={"name": "adam", "learning_rate": 0.02}, early_stopping={"patience": 3})["id"],
        "succeeded",
    )
    values = client.curve(job["id"])["val_loss"]
    best, bad = 0, 0
    for epoch, value in enumerate(values):
        if epoch == 0 or value < values[best]:
            best, bad = epoch, 0
        else:
            bad += 1
    fit = client.fit(job["id"])
    assert fit["best_epoch"] == best
    assert (bad == 3) == (fit["stop_reason"] == "early_stopping")
    assert fit["last_epoch"] == len(values) - 1


def test_divergence_on_demand_ends_the_job_readably(client: Client) -> None:
    """B011, B022."""
    submitted = client.submit("diabetes", **LINEAR, preprocessing={"target": "none"}, optimizer={"name": "sgd", "learning_rate": 1e20})
    job = client.until(submitted["id"], "failed")
    assert (job["failure"]["kind"], job["failure"]["retryable"]) == ("diverged", False)
    assert "no longer finite" in job["failure"]["detail"]
    assert job["result"] is None
    fit = client.fit(job["id"])
    assert (fit["status"], fit["stop_reason"], fit["diagnosis"]["verdict"]) == ("diverged", "diverged", "diverged")
    curve = client.curve(job["id"])
    assert all(math.isfinite(value) for value in curve["train_loss"] + curve["val_loss"])
    assert job["id"] in [one["id"] for one in client.get("/v1/jobs?limit=100")["items"]]


def test_two_deliveries_of_one_message_train_once(client: Client, service: Service) -> None:
    """B007."""
    job = client.submit(training={"max_epochs": 30})
    celery = make_celery(service.broker.url)
    with service.database.read() as connection:
        shard = str(connection.exec_driver_sql("SELECT id FROM shards WHERE job_id = ?", (job["id"],)).scalar())
    for _ in range(3):
        send(celery, shard, "cpu")
    client.until(job["id"], "succeeded")
    send(celery, shard, "cpu")
    after = client.run(training={"max_epochs": 1})[0]
    assert after["status"] == "succeeded"
    assert client.curve(job["id"])["epoch"] == list(range(31))
    assert claim(service.database, shard, "test", 1) is None
    with service.database.read() as connection:
        assert connection.exec_driver_sql("SELECT attempt FROM shards WHERE id = ?", (shard,)).scalar() == 1


def test_a_cancelled_job_stops_within_moments_and_never_comes_back(client: Client) -> None:
    """B008, B048."""
    job = client.submit(training={"max_epochs": 10_000})
    client.until_epoch(job["id"], 3)
    assert client.request("POST", f"/v1/jobs/{job['id']}/cancel").status_code == 202
    asked = time.monotonic()
    ended = client.until(job["id"], "cancelled")
    assert time.monotonic() - asked < 10
    epochs = client.curve(job["id"])["epoch"]
    for _ in range(10):
        time.sleep(0.1)
        assert client.job(job["id"])["status"] == "cancelled"
    assert client.curve(job["id"])["epoch"] == epochs == list(range(len(epochs)))
    assert client.request("POST", f"/v1/jobs/{job['id']}/cancel").status_code == 202
    fit = client.fit(job["id"])
    assert (fit["status"], fit["stop_reason"], fit["has_model"]) == ("cancelled", "cancelled", True)
    assert [one["status"] for one in ended["transitions"]] == ["queued", "running", "cancelled"]


def test_a_cancelled_queued_job_never_runs(client: Client) -> None:
    """B048."""
    blocker = client.submit(training={"max_epochs": 10_000})
    client.until_epoch(blocker["id"], 1)
    waiting = client.submit("iris")
    assert client.request("POST", f"/v1/jobs/{waiting['id']}/cancel").json()["status"] == "cancelled"
    client.request("POST", f"/v1/jobs/{blocker['id']}/cancel")
    client.until(blocker["id"], "cancelled")
    client.run("iris", training={"max_epochs": 1})
    assert client.job(waiting["id"])["status"] == "cancelled"
    assert client.curve(waiting["id"])["epoch"] == []


def test_a_time_limit_ends_a_job_with_its_kept_model(client: Client) -> None:
    """B094: the limit is seen between epochs of any fit and ends the job, not one epoch."""
    job = client.until(client.submit(training={"max_epochs": 10_000}, time_limit_seconds=0.5)["id"], "failed")
    assert job["failure"]["kind"] == "time_limit"
    assert client.fit(job["id"])["stop_reason"] == "time_limit"
    assert client.request("GET", f"/v1/jobs/{job['id']}/model").status_code == 200


def test_the_service_answers_while_it_trains(client: Client) -> None:
    """B105: training never runs in the web process."""
    job = client.submit(training={"max_epochs": 10_000})
    client.until_epoch(job["id"], 1)
    slowest = 0.0
    for _ in range(50):
        began = time.monotonic()
        assert client.get("/healthz") == {"status": "ok"}
        assert client.job(job["id"])["status"] == "running"
        slowest = max(slowest, time.monotonic() - began)
    client.request("POST", f"/v1/jobs/{job['id']}/cancel")
    client.until(job["id"], "cancelled")
    assert slowest < 2


def test_pollers_at_full_speed_never_break_a_job(client: Client, service: Service) -> None:
    """B050: 20 pollers, two jobs of 200 tiny epochs: no 5xx, 201 rows each, and progress that rises."""
    jobs = [
        client.submit("iris", network={"name": "mlp", "hidden_units": [16]}, training={"max_epochs": 200, "batch_size": 8})
        for _ in range(2)
    ]
    done = threading.Event()
    seen: list[float] = []

    def poll(i: int) -> int:
        count = 0
        with Client(service.url) as mine:
            while not done.is_set():
                job = mine.job(jobs[i % 2]["id"])
                mine.get("/v1/jobs?limit=5")
                if i == 0:
                    seen.append(job["progress"])
                count += 1
        return count

    with ThreadPoolExecutor(20) as pool:
        polls = [pool.submit(poll, i) for i in range(20)]
        try:
            for job in jobs:
                client.until(job["id"], "succeeded")
        finally:
            done.set()
        assert sum(one.result() for one in polls) > 20
    for job in jobs:
        assert client.curve(job["id"])["epoch"] == list(range(201))
    assert seen == sorted(seen)


def test_a_stream_tells_everything_once_and_resumes(client: Client) -> None:
    epochs = 3000  # stored in several turns, on a fast machine, too
    job = client.submit("iris", training={"max_epochs": epochs})
    first = _read_stream(client, job["id"])
    assert [kind for kind, _ in first if kind != "epoch"] == ["status", "status", "fit", "status", "finished"]
    assert [data["epoch"] for kind, data in first if kind == "epoch"] == list(range(epochs + 1))
    middle = first[8][1]["version"]
    assert middle < first[-1][1]["version"]
    resumed = _read_stream(client, job["id"], middle)
    assert resumed == [event for event in first if event[1]["version"] > middle]
    assert client.request("GET", f"/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": str(first[-1][1]["version"])}).status_code == 204


def test_curves_can_be_read_bit_by_bit(client: Client) -> None:
    job = client.submit("iris", training={"max_epochs": 60})
    version, epochs = 0, []
    while True:
        answer = client.get(f"/v1/jobs/{job['id']}/curves?after_version={version}")
        epochs += answer["fits"][0]["epoch"]
        state = client.job(job["id"])
        if state["status"] == "succeeded" and state["version"] == answer["version"]:
            break
        version = answer["version"]
    assert epochs == list(range(61))


def _read_stream(client: Client, job_id: str, after: int = 0) -> list[tuple[str, dict[str, Any]]]:
    import json

    found = []
    with client.http.stream("GET", f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": str(after)}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        kind = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                found.append((kind, json.loads(line.removeprefix("data: "))))
    return found


def test_the_curve_does_not_depend_on_what_else_runs(client: Client) -> None:
    alone = client.run("wine", training={"max_epochs": 5})[1]
    others = [client.submit("iris") for _ in range(3)]
    assert without_clock(client.run("wine", training={"max_epochs": 5})[1]) == alone
    for other in others:
        client.until(other["id"], "succeeded")

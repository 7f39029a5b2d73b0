"""Ensembles as models: which fits answer, what they say together, and how they leave."""

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from sqlalchemy import update

from api.ensemble_graph import _voted
from api.errors import ProblemError
from api.kept import KeptModels
from data.dataset import Array
from data.preprocessing.apply import in_unit_range
from data.preprocessing.state import GridPreparation, Preparation
from jobs.plans.votes import Vote, combined
from jobs.states import JobStatus
from models.graph import Graph, finished
from store.artifacts import Artifacts
from store.engine import Database
from store.fits import list_fits
from store.tables import FitRow
from tests.api.conftest import Answer, StrictClient
from tests.kept import KeptJob, a_kept_job
from training.export import load_safetensors, safetensors_metadata

_COLORS = ["red", "green", "", "blue", "red"]
_TABLE = "year,age,color,size,kind,y\n" + "".join(
    f"{2000 + i % 20},{'' if i % 7 == 3 else 20 + i % 40},{'cyan' if i == 5 else _COLORS[i % 5]},{['small', 'large'][i % 2]},{'pqr'[i % 3]},{(20 + i % 40) * 2 + i % 3}.5\n"
    for i in range(90)
)
_SCHEMAS = {
    target: {"target": target, "features": ["year", "age", "color", "size"], "columns": {"size": {"order": ["small", "large"]}}}
    for target in ("kind", "y")
}
_SMALL = {"name": "mlp", "hidden_units": [6]}
CASES: dict[str, tuple[dict[str, Any], Vote, list[float] | None]] = {
    "words and gaps, one-hot": ({"dataset": "kind", "preprocessing": {"missing": "indicator"}}, "soft", None),
    "words and gaps, ordinal": (
        {"dataset": "kind", "preprocessing": {"missing": "median", "categories": "ordinal", "features": "min_max"}},
        "hard",
        [0.5, 2.0, 1.25],
    ),
    "most frequent, not scaled": ({"dataset": "kind", "preprocessing": {"missing": "most_frequent", "features": "none"}}, "hard", None),
    "numbers by their mean": ({"dataset": "y", "preprocessing": {"missing": "indicator"}}, "mean", [1.0, 2.0, 0.5]),
    "numbers by their median": (
        {"dataset": "y", "preprocessing": {"missing": "median", "target": "none", "categories": "ordinal"}},
        "median",
        [0.2, 0.3, 0.5],
    ),
    "numbers alone": ({"dataset": "diabetes"}, "median", None),
    "images": ({"dataset": "digits", "network": {"name": "cnn", "blocks": [{"channels": 4, "pool": 2}]}}, "soft", [1.0, 3.0, 0.5]),
    "images, flat": ({"dataset": "digits", "preprocessing": {"features": "min_max"}}, "hard", None),
    "colors, resized": (
        {
            "dataset": "colored_shapes",
            "network": {"name": "cnn", "blocks": [{"channels": 4}], "normalization": {"name": "batch_norm"}},
            "preprocessing": {"resize": [8, 10]},
        },
        "soft",
        None,
    ),
    "signals": ({"dataset": "waves", "network": {"name": "cnn", "blocks": [{"channels": 4}]}}, "soft", None),
}


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(f"file://{tmp_path / 'artifacts'}")


def _uploaded(client: StrictClient, name: str) -> str:
    schema = json.dumps(_SCHEMAS[name])
    answer = client.post("/v1/datasets", files={"file": ("t.csv", _TABLE.encode())}, data={"schema": schema})
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["id"])


def _draws(count: int, rows: int = 60) -> list[Array | None]:
    """Give bootstrap draws of rows, other ones for each member: few rows, so that members know other words and means."""
    return [np.random.default_rng(member).integers(0, rows, 40) for member in range(count)]


def _model(vote: Vote | None, *fits: int, weights: list[float] | None = None) -> dict[str, Any]:
    return {"plan": "bagging", "model": {"fits": list(fits), "vote": vote, "weights": weights}}


def _of_case(client: StrictClient, db: Database, artifacts: Artifacts, case: str) -> KeptJob:
    fields, vote, weights = CASES[case]
    dataset = _uploaded(client, fields["dataset"]) if fields["dataset"] in _SCHEMAS else fields["dataset"]
    return a_kept_job(
        db, artifacts, {"network": _SMALL, **fields, "dataset": dataset}, _draws(3), result=_model(vote, 1, 2, 3, weights=weights)
    )


def _predict(client: StrictClient, job: KeptJob, rows: Any, query: str = "") -> Answer:
    answer: Answer = client.post(f"/v1/jobs/{job.id}/predictions{query}", json={"rows": rows})
    return answer


def _raw_inputs(model: onnx.ModelProto, job: KeptJob, rows: list[Any]) -> Array:
    """Read a client's rows as the graph's own metadata asks for."""
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    first = next(iter(job.members.values())).preparation.inputs
    if isinstance(first, GridPreparation):
        assert json.loads(metadata["unit"]) == first.unit
        return in_unit_range(first, np.array(rows))
    read = np.full((len(rows), len(rows[0])), np.nan)
    for i, column in enumerate(json.loads(metadata["columns"])):
        for r, row in enumerate(rows):
            value, words = row[column["name"]], column["words"]
            if value is not None:
                read[r, i] = value if words is None else words.index(value) if value in words else -1
    return read


def _run(model: onnx.ModelProto, rows: Array | None) -> Array:
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    [output] = session.run(None, {} if rows is None else {"rows": rows})
    return np.asarray(output)


@pytest.mark.parametrize("case", CASES)
def test_an_ensemble_answers_raw_rows_by_each_members_own_preparation(
    lite_client: StrictClient, sqlite_db: Database, artifacts: Artifacts, case: str
) -> None:
    """B006, B064: by the route, and by the one ONNX graph that leaves."""
    _, vote, weights = CASES[case]
    job = _of_case(lite_client, sqlite_db, artifacts, case)
    numbers = np.arange(0, 70)
    answered = _predict(lite_client, job, job.raw(numbers), "?members=true")
    assert answered.status_code == 200, answered.text
    found, outputs = answered.json(), job.outputs(numbers)
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-2
    expected = combined(outputs, vote, weights)
    assert (found["fit"], found["epoch"]) == (None, None)
    assert found["model"] == {"fits": [1, 2, 3], "vote": vote}
    if found["labels"] is None:
        np.testing.assert_allclose(found["predictions"], expected[:, 0], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found["spread"], outputs[:, :, 0].std(axis=0, ddof=1), rtol=1e-5, atol=1e-5)
        assert found["agreement"] is None
        np.testing.assert_allclose([one["predictions"] for one in found["members"]], outputs[:, :, 0], rtol=1e-5, atol=1e-5)
    else:
        np.testing.assert_allclose(found["probabilities"], expected, rtol=1e-5, atol=1e-5)
        named, best = outputs.argmax(axis=2), expected.argmax(axis=1)
        assert found["predictions"] == [found["labels"][k] for k in best]
        np.testing.assert_allclose(found["agreement"], (named == best).mean(axis=0))
        assert found["spread"] is None
        assert [one["predictions"] for one in found["members"]] == [[found["labels"][k] for k in row] for row in named]
    assert [(one["fit"], one["epoch"]) for one in found["members"]] == [(1, 1), (2, 2), (3, 3)]

    graph = onnx.load_from_string(lite_client.get(f"/v1/jobs/{job.id}/model?format=onnx").content)
    ran = _run(graph, _raw_inputs(graph, job, job.raw(numbers)))
    np.testing.assert_allclose(ran, expected, rtol=1e-5, atol=1e-5)
    told = found["predictions"] if found["labels"] is None else found["probabilities"]
    np.testing.assert_allclose(ran if found["labels"] else ran[:, 0], told, rtol=1e-5, atol=1e-5)


def test_members_that_know_other_words_say_so(lite_client: StrictClient, sqlite_db: Database, artifacts: Artifacts) -> None:
    """Cyan stands in row 6 alone: the first member drew it, the second did not; orange nowhere."""
    fields = {"dataset": _uploaded(lite_client, "kind"), "network": _SMALL, "preprocessing": {"missing": "indicator"}}
    job = a_kept_job(sqlite_db, artifacts, fields, [np.arange(20), np.arange(6, 40)], result=_model("soft", 1, 2))
    row = {"year": 2001, "age": 30, "size": "small"}
    rows = [{**row, "color": color} for color in ("cyan", "orange", "cyan", "red", None)]
    found = _predict(lite_client, job, rows).json()
    assert found["warnings"] == [
        "1 words of column color did not occur in the training rows and are taken as unknown: 'orange'",
        "2 words of column color did not occur in the training rows of 1 of 2 members, which take them as unknown: 'cyan'",
    ]
    graph = onnx.load_from_string(lite_client.get(f"/v1/jobs/{job.id}/model?format=onnx").content)
    inputs = _raw_inputs(graph, job, rows)
    np.testing.assert_allclose(_run(graph, inputs), found["probabilities"], rtol=1e-5, atol=1e-5)
    inputs[1, 2] = 99.0
    np.testing.assert_allclose(_run(graph, inputs), found["probabilities"], rtol=1e-5, atol=1e-5)


def test_rows_far_from_some_members_training_rows_are_said_to_be_once(
    lite_client: StrictClient, sqlite_db: Database, artifacts: Artifacts
) -> None:
    job = a_kept_job(sqlite_db, artifacts, {"dataset": "iris"}, [np.arange(150), np.arange(40)], result=_model("soft", 1, 2))
    warnings = [
        "1 rows lie far from all training rows of 1 of 2 members (the first is row 2): their answers mean little",
        "2 rows lie far from all training rows of up to 2 of 2 members (the first is row 2): their answers mean little",
    ]
    rows = [[5.0, 3.5, 1.4, 0.2], [5.0, 3.5, 1.4, 20.0], [5.0, 3.5, 1.4, 2e4]]
    for count, warning in zip((2, 3), warnings, strict=True):
        assert _predict(lite_client, job, rows[:count]).json()["warnings"] == [warning]


def test_a_value_that_members_do_not_accept_missing_is_refused_and_never_answered(
    lite_client: StrictClient, sqlite_db: Database, artifacts: Artifacts
) -> None:
    """B021."""
    job = a_kept_job(sqlite_db, artifacts, {"dataset": "iris", "network": _SMALL}, _draws(3), result=_model("hard", 1, 2, 3))
    rows = [[5.0, 3.5, 1.4, 0.2], [5.0, None, 1.4, 0.2]]
    answer = _predict(lite_client, job, rows)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "missing_value")
    assert answer.json()["errors"][0]["pointer"].startswith("/rows/1/")
    graph = onnx.load_from_string(lite_client.get(f"/v1/jobs/{job.id}/model?format=onnx").content)
    ran = _run(graph, np.array([[np.nan if value is None else value for value in row] for row in rows]))
    assert np.isnan(ran).all(axis=1).tolist() == [False, True]
    assert not np.isnan(ran[0]).any()


@pytest.mark.parametrize("weights", [None, [1.0, 1.0, 1.0, 1.0], [0.1, 0.7, 0.4, 0.3], [0.0, 1.0, 2.0, 1.0]])
@pytest.mark.parametrize("vote", ["soft", "hard", "mean", "median"])
def test_votes_in_the_graph_are_the_votes_of_the_plans(vote: Vote, weights: list[float] | None) -> None:
    """B064. Rounded answers give ties; where classes are equal the lowest is named."""
    width = 3 if vote in ("soft", "hard") else 1
    outputs = np.random.default_rng(0).random((4, 200, width)).round(1)
    graph = Graph()
    answers = [graph.constant(f"answer{i}", one) for i, one in enumerate(outputs)]
    _voted(graph, answers, vote, weights, width, "voted")
    model = finished(graph, "vote", [], [helper.make_tensor_value_info("voted", TensorProto.DOUBLE, [200, width])], {})
    found, expected = _run(model, None), combined(outputs, vote, weights)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found.argmax(axis=1).tolist() == expected.argmax(axis=1).tolist()


def test_an_ensemble_leaves_with_all_that_it_needs(
    lite_client: StrictClient, sqlite_db: Database, artifacts: Artifacts, tmp_path: Path
) -> None:
    job = _of_case(lite_client, sqlite_db, artifacts, "words and gaps, ordinal")
    answer = lite_client.get(f"/v1/jobs/{job.id}/model?format=zip")
    assert f"{job.id}-ensemble.zip" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path / "out")
    files = {path.relative_to(tmp_path / "out").as_posix(): path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    preparations = [f"preparations/fit-{number}.json" for number in (1, 2, 3)]
    assert files.keys() == {"model.onnx", "model.safetensors", "votes.json", "labels.json", "MODEL_CARD.md", *preparations}
    assert json.loads(files["votes.json"]) == {"fits": [1, 2, 3], "vote": "hard", "weights": [0.5, 2.0, 1.25]}
    assert json.loads(files["labels.json"]) == ["p", "q", "r"]
    alone = lite_client.get(f"/v1/jobs/{job.id}/model").content
    assert safetensors_metadata(alone) == safetensors_metadata(files["model.safetensors"])
    assert load_safetensors(alone).keys() == load_safetensors(files["model.safetensors"]).keys()
    weights, metadata = load_safetensors(files["model.safetensors"]), safetensors_metadata(files["model.safetensors"])
    assert json.loads(metadata["model"]) == json.loads(files["votes.json"])
    for number, member in job.members.items():
        for name, values in load_safetensors(member.content).items():
            np.testing.assert_array_equal(weights.pop(f"member_{number}.{name}"), values)
        assert Preparation.model_validate_json(metadata[f"member_{number}.preparation"]) == member.preparation
        assert Preparation.model_validate_json(files[f"preparations/fit-{number}.json"]) == member.preparation
    assert not weights


def test_the_card_of_an_ensemble_tells_of_its_members_and_sets_it_against_them(
    lite_client: StrictClient, sqlite_db: Database, artifacts: Artifacts
) -> None:
    figure = {"value": 0.25, "low": 0.2, "high": 0.3}
    result = {
        **_model("soft", 1, 2, weights=[1.0, 3.0]),
        "sentence": "The vote beats its members.",
        "val": {"loss": figure, "accuracy": {**figure, "value": 0.75}},
        "mean_member": {"val": {"loss": 0.625, "accuracy": 0.5}, "test": None},
        "loss_gain": {"val": figure, "test": None},
        "disagreement": 0.125,
        "left_out": [3],
        "out_of_bag": {"rows": 36, "coverage": 0.36, "figures": {"accuracy": {"value": 0.875, "low": 0.8, "high": 0.9}}},
    }
    job = a_kept_job(sqlite_db, artifacts, {"dataset": "iris"}, [*_draws(2), None], result=result)
    card = lite_client.get(f"/v1/jobs/{job.id}/model-card").text
    for needed in (
        "2 networks of kind `mlp`",
        "soft vote",
        "The vote beats its members.",
        "| | ensemble, val | mean member, val |",
        "| loss | 0.25 [0.2, 0.3] | 0.625 |",
        "out-of-bag score: accuracy 0.875 [0.8, 0.9] (36 rows, 36.0% of the training rows)",
        "disagreement of members: 0.125",
        "| 2 | member 2 | 2 | 3 | 2 |",
        "Fits 3 did not finish and have no vote.",
        "## What is not known",
        "No test rows were measured",
    ):
        assert needed in card, needed
    of_one = lite_client.get(f"/v1/jobs/{job.id}/model-card?fit=2").text
    assert "fit 2, seed 2" in of_one
    assert "Members" not in of_one


def test_a_card_tells_what_its_own_fit_was_trained_with(lite_client: StrictClient, sqlite_db: Database, artifacts: Artifacts) -> None:
    job = a_kept_job(sqlite_db, artifacts, {"dataset": "iris"}, _draws(2), result=_model("soft", 1, 2))
    changed = {"/optimizer": {"name": "sgd"}, "/training/batch_size": 7, "/preprocessing/features": "min_max", "/early_stopping": None}
    with sqlite_db.write() as connection:
        connection.execute(update(FitRow).where(FitRow.number == 2).values(overrides=changed))
    card = lite_client.get(f"/v1/jobs/{job.id}/model-card?fit=2").text
    for needed in ("optimizer: `name sgd", "batch_size 7", "features min_max"):
        assert needed in card, (needed, card)
    assert "optimizer: `name adam" in lite_client.get(f"/v1/jobs/{job.id}/model-card?fit=1").text


def test_the_card_of_an_ensemble_tells_of_test_rows_and_of_a_vote_without_weights(
    lite_client: StrictClient, sqlite_db: Database, artifacts: Artifacts
) -> None:
    figure = {"value": 0.25, "low": 0.2, "high": 0.3}
    result = {**_model("soft", 1, 2), "test": {"loss": figure}, "test_rows": 20}
    job = a_kept_job(sqlite_db, artifacts, {"dataset": "iris"}, _draws(2), result=result)
    card = lite_client.get(f"/v1/jobs/{job.id}/model-card").text
    assert "* the ensemble measured 20 test rows" in card
    assert "Its answer is the mean of the members' class probabilities." in card


CHOICES: dict[str, tuple[int, dict[str, Any] | None, JobStatus, list[int] | str]] = {
    "the fit that was chosen": (3, _model(None, 2), JobStatus.SUCCEEDED, [2]),
    "the members that vote": (3, _model("soft", 1, 3), JobStatus.SUCCEEDED, [1, 3]),
    "none of several": (3, {"plan": "comparison", "model": None}, JobStatus.SUCCEEDED, "no_single_model"),
    "several and no word of a model": (3, {"plan": "comparison"}, JobStatus.SUCCEEDED, "no_single_model"),
    "the only one": (1, {"plan": "learning_curve", "model": None}, JobStatus.SUCCEEDED, [1]),
    "a result of before": (1, {"plan": "fit", "fit": 1, "val": None}, JobStatus.SUCCEEDED, [1]),
    "the only one of a job that ran out of time": (1, None, JobStatus.FAILED, [1]),
    "several of a job that was cancelled": (2, None, JobStatus.CANCELLED, "no_single_model"),
    "several of a job that runs": (2, None, JobStatus.RUNNING, "no_single_model"),
    "none yet": (0, None, JobStatus.RUNNING, "no_single_model"),
}


@pytest.mark.parametrize("case", CHOICES)
def test_without_a_number_the_conclusion_decides_who_answers(
    lite_client: StrictClient, sqlite_db: Database, artifacts: Artifacts, case: str
) -> None:
    count, result, status, expected = CHOICES[case]
    job = a_kept_job(sqlite_db, artifacts, {"dataset": "iris", "network": _SMALL}, _draws(count), result=result, status=status)
    answer = _predict(lite_client, job, [[5.0, 3.5, 1.4, 0.2]])
    if isinstance(expected, list):
        assert answer.json()["model"]["fits"] == expected
        assert answer.json()["fit"] == (expected[0] if len(expected) == 1 else None)
        assert lite_client.get(f"/v1/jobs/{job.id}/model").status_code == 200
    else:
        for path in ("model", "model?format=onnx", "model?format=zip", "preparation", "model-card"):
            refused = lite_client.get(f"/v1/jobs/{job.id}/{path}")
            assert (refused.status_code, refused.json()["code"]) == (409, expected)
        assert answer.status_code == 409
        assert "?fit=n" in answer.json()["detail"]
    for number in range(1, count + 1):
        named = _predict(lite_client, job, [[5.0, 3.5, 1.4, 0.2]], f"?fit={number}&members=true").json()
        assert (named["fit"], named["epoch"], named["model"]) == (number, number, {"fits": [number], "vote": None})
        assert (named["agreement"], named["spread"], named["members"]) == (None, None, None)
        assert f"fit-{number}.onnx" in lite_client.get(f"/v1/jobs/{job.id}/model?fit={number}&format=onnx").headers["content-disposition"]
    assert _predict(lite_client, job, [[5.0, 3.5, 1.4, 0.2]], f"?fit={count + 1}").status_code == 404


def test_each_member_has_a_preparation_of_its_own(lite_client: StrictClient, sqlite_db: Database, artifacts: Artifacts) -> None:
    """B006: learned from its own rows."""
    job = a_kept_job(sqlite_db, artifacts, {"dataset": "iris"}, _draws(2), result=_model("soft", 1, 2))
    answer = lite_client.get(f"/v1/jobs/{job.id}/preparation")
    assert (answer.status_code, answer.json()["code"]) == (409, "several_preparations")
    assert "?fit=n" in answer.json()["detail"]
    first, second = (lite_client.get(f"/v1/jobs/{job.id}/preparation?fit={number}").json() for number in (1, 2))
    assert first["inputs"]["columns"][0]["offset"] != second["inputs"]["columns"][0]["offset"]


def test_a_member_whose_weights_are_gone_is_named(lite_client: StrictClient, sqlite_db: Database, artifacts: Artifacts) -> None:
    job = a_kept_job(sqlite_db, artifacts, {"dataset": "iris"}, [*_draws(1), None], result=_model("soft", 1, 2))
    answer = _predict(lite_client, job, [[5.0, 3.5, 1.4, 0.2]])
    assert (answer.status_code, answer.json()["code"]) == (409, "no_model")
    assert "fit 2" in answer.json()["detail"]


def test_members_that_read_other_rows_are_no_ensemble(lite_client: StrictClient, sqlite_db: Database, artifacts: Artifacts) -> None:
    """Two sizes of images: each member answers alone."""
    fields = {"dataset": "digits", "network": _SMALL}
    job = a_kept_job(sqlite_db, artifacts, fields, _draws(2), result=_model("soft", 1, 2))
    small = a_kept_job(
        sqlite_db, artifacts, {**fields, "preprocessing": {"resize": [4, 4]}}, _draws(2), result=_model("soft", 1, 2), job_id="job_small"
    )
    artifacts.write(f"jobs/{job.id}/fit-2.safetensors", small.members[2].content)
    row = job.raw(np.arange(1))
    for answer in (_predict(lite_client, job, row), lite_client.get(f"/v1/jobs/{job.id}/model?format=onnx")):
        assert (answer.status_code, answer.json()["code"]) == (409, "members_differ")
    assert _predict(lite_client, job, row, "?fit=2").status_code == 200


def test_an_ensemble_that_is_too_large_to_stay_open_pushes_nobody_out(sqlite_db: Database, artifacts: Artifacts) -> None:
    job = a_kept_job(sqlite_db, artifacts, {"dataset": "iris"}, _draws(8), result=_model("soft", *range(1, 9)))
    fits = list_fits(sqlite_db, job.id)
    wide, narrow = KeptModels(artifacts), KeptModels(artifacts, open_bytes=3 * 2**20)
    for models in (wide, narrow):
        models.open(job.id, fits[0])
        assert len(list(models.open_all(job.id, fits))) == 8
    artifacts.delete([f"jobs/{job.id}/fit-{number}.safetensors" for number in range(1, 9)])
    assert len(list(wide.open_all(job.id, fits))) == 8
    assert narrow.open(job.id, fits[0]).epoch == 1
    with pytest.raises(ProblemError, match="gone"):
        narrow.open(job.id, fits[1])


def test_open_models_hold_no_more_than_they_may(sqlite_db: Database, artifacts: Artifacts) -> None:
    job = a_kept_job(sqlite_db, artifacts, {"dataset": "iris"}, _draws(5), result=_model("soft", 1, 2))
    models, fits = KeptModels(artifacts, open_bytes=3 * 2**20), list_fits(sqlite_db, job.id)
    for fit in fits:
        models.open(job.id, fit)
    assert [key.split("/")[1] for key in models._open] == ["4", "5"]


def test_the_documentation_says_who_answers(lite_client: StrictClient) -> None:
    paths = lite_client.get("/openapi.json").json()["paths"]
    for path, method in (("model", "get"), ("preparation", "get"), ("model-card", "get"), ("predictions", "post")):
        operation = paths[f"/v1/jobs/{{job_id}}/{path}"][method]
        [fit] = [one for one in operation["parameters"] if one["name"] == "fit"]
        assert fit["required"] is False
        assert re.search("concluded with.*ensemble.*no_single_model", fit["description"])

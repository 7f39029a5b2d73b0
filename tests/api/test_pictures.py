"""Pictures of every plan, drawn of real conclusions, and of values that no picture may break on."""

import datetime as dt
import xml.dom.minidom
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import insert

from api.pictures.bagging import bagging_page
from api.pictures.fitting import shortened, width_of, wrapped
from api.pictures.lines import aligned, mean_and_spread
from api.pictures.report import Report, page_of, picture
from api.pictures.settings import setting_of
from api.pictures.style import Heading, Units, plain
from jobs.plans.bagging.result import BaggingResult
from jobs.plans.conclusions import PlanResult, as_json, read_result
from jobs.plans.search.spec import ListedSpec, RangeSpec
from jobs.spec import JobSpec
from jobs.states import FitStatus, JobStatus, ShardStatus
from store.engine import Database
from store.epochs import FitCurve
from store.tables import EpochRow, FitRow, JobRow, ShardRow
from tests.api.conftest import StrictClient
from tests.factories import a_diverged_job, a_job, a_succeeded_job
from tests.reports import CLASSES, NUMBERS, PLANS, reported

TITLE = "a\x01b\n<script>&$x^2$ $ \\frac_1 " + "w" * 200


@pytest.mark.parametrize("task", ["classes", "numbers"])
@pytest.mark.parametrize("name", PLANS)
def test_every_plan_is_typed_and_drawn(name: str, task: str) -> None:
    spec, stored, curves = reported(name, task)
    result = read_result(stored)
    assert result.model_dump(mode="json") == stored
    units = CLASSES if task == "classes" else NUMBERS
    report = Report(heading=Heading(title=TITLE, sentence=result.sentence), plan=spec.plan, result=result, curves=curves, units=units)
    xml.dom.minidom.parseString(picture(report, "svg"))
    if task == "classes":  # a conclusion is drawn without curves as well
        assert picture(replace(report, curves=[]), "png").startswith(b"\x89PNG")


@pytest.mark.parametrize("name", PLANS)
def test_a_long_name_stays_within_the_picture_of_every_plan(name: str) -> None:
    spec, stored, curves = reported(name, "classes")
    for title in ("w" * 170, "i" * 170, "a name of many words " * 8, "\u00dcW$x^2$ " * 24):
        heading = Heading(title=title, subtitle=title, sentence=title * 3, trouble=title)
        figure = page_of(Report(heading=heading, plan=spec.plan, result=read_result(stored), curves=curves, units=CLASSES))
        written = [text.get_window_extent() for text in figure.texts]
        assert len(written) >= 5
        assert all(one.x0 >= 0 and one.x1 <= figure.bbox.width for one in written), title


def test_a_line_is_cut_by_its_width_and_says_so() -> None:
    assert shortened("i" * 80, 5, 12) == "i" * 80
    cut = shortened("W" * 100, 5, 12)
    assert cut.endswith("W…")
    assert 4.7 < width_of(cut, 12) <= 5
    assert wrapped("", 5, 12) == []
    assert wrapped("short of it", 5, 12, most=3) == ["short of it"]
    lines = wrapped("word " * 100, 5, 12, most=3)
    assert [line.endswith("word") for line in lines] == [True, True, False]
    assert [len(line) for line in wrapped("W" * 90, 5, 12, most=9)][:2] == [len(cut), len(cut)]


def _texts(drawing: bytes) -> set[str]:
    document = xml.dom.minidom.parseString(drawing)
    return {one.firstChild.data for one in document.getElementsByTagName("text") if one.firstChild is not None}


def _report(
    result: PlanResult | None, curves: Sequence[FitCurve], spec: JobSpec | None = None, units: Units = CLASSES, title: str = "x"
) -> Report:
    plan = JobSpec.model_validate({"dataset": "iris"} if spec is None else spec.model_dump(mode="json")).plan
    return Report(heading=Heading(title=title), plan=plan, result=result, curves=curves, units=units)


def test_labels_of_others_are_shown_as_they_are_and_never_as_formulas() -> None:
    spec, stored, curves = reported("comparison", "classes")
    drawing = picture(_report(read_result(stored), curves, spec), "svg")
    assert any("_a $b_1$ &amp; &lt;c&gt;" in text or "_a $b_1$ & <c>" in text for text in _texts(drawing))
    assert any(text.startswith("fit 5 (explodes, fold 1) diverged") for text in _texts(drawing))
    assert plain("a $x$ b\x00c", 20) == r"a \$x\$ b c"
    assert plain("w" * 50, 10) == "w" * 9 + "…"


def test_the_worst_fold_and_the_median_best_epoch_are_named() -> None:
    spec, stored, curves = reported("folds", "numbers")
    best = [replace(curve, best_epoch=epoch) for curve, epoch in zip(curves, (1, 2, 3, 3), strict=True)]
    texts = _texts(picture(_report(read_result(stored), best, spec, NUMBERS), "svg"))
    assert {"median best epoch 2", f"fit {stored['worst_fit']}, validation: the worst fold"} <= texts


def test_means_and_bands_are_over_the_folds_that_still_train() -> None:
    def curve(*values: float | None) -> FitCurve:
        last = len(values) - 1
        return FitCurve(number=1, label="", best_epoch=0, last_epoch=last, epoch=list(range(last + 1)), columns={"val_loss": list(values)})

    epochs, values = aligned([curve(1.0, 2.0, 3.0), curve(3.0, 4.0), curve(5.0, None)], "val_loss")
    mean, std = mean_and_spread(values)
    assert epochs.tolist() == [0, 1, 2]
    assert mean.tolist()[:2] == [3.0, 3.0]
    assert std.tolist()[:2] == [2.0, pytest.approx(2**0.5)]
    assert np.isnan([mean[2], std[2]]).all()


def test_settings_stand_on_logarithmic_axes_where_they_were_drawn_so() -> None:
    ranged = setting_of("/optimizer/learning_rate", RangeSpec(low=1e-4, high=1.0, log=True), [0.01])
    assert (ranged.is_log, ranged.height(0.01)) == (True, pytest.approx(0.5))
    listed = setting_of("/network/hidden_units", ListedSpec(values=([8], [8, 8], None)), [[8]])
    assert [listed.place(value) for value in ([8], [8, 8], None)] == [0.0, 1.0, 2.0]
    assert setting_of("/a/0/b", ListedSpec(values=(1, 2, 3)), []).is_log is False


def _curve(losses: list[float], r2: list[float], number: int = 1) -> FitCurve:
    columns: dict[str, list[float | None]] = {"train_loss": [*losses], "val_loss": [*losses], "train_r2": [*r2], "val_r2": [*r2]}
    last = len(losses) - 1
    return FitCurve(number=number, label="holdout", best_epoch=0, last_epoch=last, epoch=list(range(last + 1)), columns=columns)


STRANGE = [
    _curve([1e300, 1.7e308, 1e-300, 1.0], [-1e300, -1e308, 0.5, 1.0]),
    _curve([5e-324, 0.0], [1.0, 1.0]),
    _curve([0.0, 1e-9, 10.0], [0.0, 0.0, 0.0]),
    _curve([1e300], [-1e300]),
    _curve([], []),
]


@pytest.mark.parametrize("curve", STRANGE)
@pytest.mark.parametrize("title", [TITLE, ""])
def test_no_figure_and_no_name_spoils_a_picture(curve: FitCurve, title: str) -> None:
    xml.dom.minidom.parseString(picture(_report(None, [curve], units=NUMBERS, title=title), "svg"))


@pytest.mark.parametrize("name", ["folds", "comparison", "search"])
def test_curves_of_any_shape_stand_beside_a_conclusion(name: str) -> None:
    spec, stored, curves = reported(name, "numbers")
    strange = [replace(STRANGE[i % len(STRANGE)], number=curve.number) for i, curve in enumerate(curves)]
    assert picture(_report(read_result(stored), strange, spec, NUMBERS), "png")


def test_a_sharpness_that_is_not_finite_is_drawn_as_such() -> None:
    spec, stored, curves = reported("fit", "classes")
    line = {"distance": [-1.0, 0.0, 1.0], "train_loss": [None, 1.0, None]}
    flat = {**stored, "sharpness": {"largest_eigenvalue": None, "epsilon_sharpness": 0.5, "slice": line}}
    assert any("largest eigenvalue not finite" in text for text in _texts(picture(_report(read_result(flat), curves, spec), "svg")))


def test_many_fits_share_a_picture_and_fifty_stand_for_more() -> None:
    curves = [_curve([2.0, 1.0 / k], [0.0, 0.1], number=k) for k in range(1, 81)]
    assert "best epoch of each fit" not in _texts(picture(_report(None, curves[:1], units=NUMBERS), "svg"))
    texts = _texts(picture(_report(None, [*curves, replace(STRANGE[-1], number=81)], units=NUMBERS), "svg"))
    assert {"best epoch of each fit", "80 of 81 fits have begun; 50 of them are drawn"} <= texts


def _stretched(result: dict[str, Any], count: int) -> dict[str, Any]:
    """Let a search have tried many more candidates, some of which failed or were stopped."""
    [one, *_] = result["candidates"]
    few = {"mean": 0.5, "std": None, "low": None, "high": None, "count": 1}
    many = [
        {
            **one,
            "number": number,
            "score": {**few, "mean": number / 7} if number % 3 else None,
            "status": "finished" if number % 3 else ("pruned" if number % 2 else "failed"),
            "rungs": [{"epoch": 1, "score": 0.0 if number % 5 else 1e300}],
            "settings": {**one["settings"], "/optimizer/learning_rate": 10.0 ** -(number % 4)},
        }
        for number in range(1, count + 1)
    ]
    return {**result, "candidates": many, "choice": {**result["choice"], "chosen": 1, "best": 1}}


@pytest.mark.parametrize("count", [1, 1000])
def test_any_number_of_candidates_is_drawn(count: int) -> None:
    spec, stored, curves = reported("search", "classes")
    assert picture(_report(read_result(_stretched(stored, count)), curves, spec), "png")


def test_members_that_vote_keep_their_numbers_on_the_axis() -> None:
    _, stored, _ = reported("bagging", "numbers")
    kept = [one for one in stored["standings"] if one["fit"] != 2]
    result = read_result({**stored, "standings": kept, "curve": stored["curve"][:2], "left_out": [2]})
    assert isinstance(result, BaggingResult)
    left, _ = bagging_page(Heading(title="x"), result, Units(is_classes=False)).axes
    assert left.get_xticks().tolist() == [1, 3]
    assert left.lines[0].get_xdata().tolist() == [1, 3]  # type: ignore[union-attr]  # an array
    assert Units(is_classes=False).label("loss") == "mean squared error\n(target units squared)"


def test_results_without_spreads_are_drawn() -> None:
    """One fold, one member, one round, nothing finished but one."""
    _, stored, _ = reported("nested_cv", "classes")
    alone = {
        name: {**stored[name], "std": None, "low": None, "high": None, "count": 1} for name in ("outer_score", "inner_score", "optimism")
    }
    assert picture(_report(read_result({**stored, **alone, "folds": stored["folds"][:1]}), []), "png")
    _, stored, _ = reported("boosting", "classes")
    first = {**stored["rounds"][0], "alpha": None, "error": None, "member_val": None, "val": None, "train": None}
    assert picture(_report(read_result({**stored, "rounds": [first], "val": None}), []), "png")
    _, stored, _ = reported("learning_curve", "classes")
    unfinished = [{**one, "summary": {}, "val_loss": None, "why": "diverged"} for one in stored["points"]]
    assert picture(_report(read_result({**stored, "points": [unfinished[0], *stored["points"][1:]]}), []), "png")
    assert picture(_report(read_result({**stored, "points": unfinished}), []), "png")


def _stored(db: Database, spec: JobSpec, result: dict[str, Any], curves: Sequence[FitCurve]) -> str:
    """Store a job with its curves as workers leave it; its dataset is a built-in one."""
    now = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    body = {**spec.model_dump(mode="json"), "dataset": "iris"}
    job = {"id": "job_drawn", "status": JobStatus.SUCCEEDED, "plan": spec.plan.name, "dataset": "iris", "device": "cpu", "spec": body}
    with db.write() as connection:
        connection.execute(insert(JobRow).values(**job, warnings=[], job_metadata={}, steps_planned=1, created_at=now, result=result))
        connection.execute(insert(ShardRow).values(id="shard_1", job_id="job_drawn", round=0, status=ShardStatus.DONE))
        for curve in curves:
            named = {"job_id": "job_drawn", "number": curve.number, "shard_id": "shard_1", "label": curve.label, "overrides": {}, "seed": 0}
            failure = {"kind": "out_of_memory", "detail": "no memory", "retryable": True} if curve.number == 1 else None
            place = {"fold": curve.number, "fraction": 0.5}
            facts = {"row_hash": "0", "num_rows": {}, "num_parameters": 1, "status": FitStatus.FINISHED, "steps_planned": 1}
            connection.execute(
                insert(FitRow).values(**named, **facts, place=place, failure=failure, best_epoch=1, last_epoch=curve.last_epoch)
            )
            for i, epoch in enumerate(curve.epoch):
                figures = {name: values[i] for name, values in curve.columns.items()}
                connection.execute(
                    insert(EpochRow).values(
                        job_id="job_drawn", fit_number=curve.number, epoch=epoch, version=1, steps=1, seconds=0.1, **figures
                    )
                )
    return "job_drawn"


@pytest.mark.parametrize("name", ["folds", "halving"])
def test_a_stored_conclusion_is_read_and_drawn_over_http(lite_client: StrictClient, sqlite_db: Database, name: str) -> None:
    job_id = _stored(sqlite_db, *reported(name, "classes"))
    answer = lite_client.get(f"/v1/jobs/{job_id}/result")
    assert answer.status_code == 200
    assert answer.content == as_json(read_result(lite_client.get(f"/v1/jobs/{job_id}").json()["result"]))
    assert lite_client.get(f"/v1/jobs/{job_id}/report.png").content.startswith(b"\x89PNG")
    xml.dom.minidom.parseString(lite_client.get(f"/v1/jobs/{job_id}/report.svg").content)
    first, second, *_ = lite_client.get(f"/v1/jobs/{job_id}/fits").json()["items"]
    assert first["place"] == {"fold": 1, "fraction": 0.5}
    assert (first["failure"]["kind"], first["failure"]["retryable"], second["failure"]) == ("out_of_memory", True, None)


def test_a_result_stored_before_there_were_folds_is_served_with_what_it_lacks(client: StrictClient, db: Database) -> None:
    found = client.get(f"/v1/jobs/{a_succeeded_job(db)}/result").json()
    assert (found["fit"], found["fits"], found["divisions"], found["val"]["loss"]["value"]) == (1, [], [], 0.5)
    assert found["sentence"]


def test_a_result_of_an_unknown_shape_is_served_as_it_is_and_its_curves_are_drawn(lite_client: StrictClient, sqlite_db: Database) -> None:
    spec, stored, curves = reported("folds", "classes")
    job_id = _stored(sqlite_db, spec, {**stored, "of_tomorrow": 1}, curves)
    assert lite_client.get(f"/v1/jobs/{job_id}/result").json()["of_tomorrow"] == 1
    assert lite_client.get(f"/v1/jobs/{job_id}/report.png").content.startswith(b"\x89PNG")


def test_a_failed_and_a_waiting_job_are_drawn_as_far_as_they_are(client: StrictClient, db: Database) -> None:
    failed = _texts(client.get(f"/v1/jobs/{a_diverged_job(db)}/report.svg").content)
    assert any(text.startswith("failed: the objective was no longer finite") for text in failed)
    waiting = client.get(f"/v1/jobs/{a_job(db, split={'name': 'k_fold'}).job.id}/report.svg").content
    assert "no epoch has been measured yet" in _texts(waiting)


def test_the_documentation_tells_results_apart_by_their_plan(lite_client: StrictClient) -> None:
    document = lite_client.get("/openapi.json").json()
    schema = document["paths"]["/v1/jobs/{job_id}/result"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    plans = {plan["name"] if isinstance(plan, dict) else plan for plan in (one["plan"]["name"] for one in PLANS.values())}
    assert set(schema["discriminator"]["mapping"]) == plans
    assert len(schema["oneOf"]) == len(plans)
    assert [name for name in document["components"]["schemas"] if "__" in name or "-" in name] == []


def test_a_preview_tells_divisions_places_and_the_steps_of_all_rounds(lite_client: StrictClient) -> None:
    body = {
        "dataset": "iris",
        "seed": 0,
        "split": {"name": "k_fold", "folds": 3, "test_fraction": 0.2},
        "plan": {"name": "search", "space": {"/optimizer/learning_rate": {"values": [0.1, 0.01]}}},
        "training": {"max_epochs": 2, "batch_size": 40},
    }
    found = lite_client.post("/v1/previews", json=body).json()
    assert [one["label"] for one in found["divisions"]] == ["fold 1", "fold 2", "fold 3"]
    assert [one["place"] for one in found["divisions"]] == [{"fold": 1}, {"fold": 2}, {"fold": 3}]
    for one in found["divisions"]:
        assert {part: sum(counts) for part, counts in one["class_counts"].items()} == one["num_rows"]
        assert one["num_rows"] == {"train": 80, "val": 40, "test": 30}
    assert len({one["row_hash"] for one in found["divisions"]}) == 3
    assert (found["num_fits"], len(found["fits"])) == (7, 6)
    assert found["fits"][0]["place"] == {"candidate": 1, "fold": 1}
    assert found["fits"][0]["overrides"] == {"/optimizer/learning_rate": 0.1}
    assert found["steps_planned"] == 6 * 2 * 2 + 2 * 3
    assert lite_client.post("/v1/previews", json={"dataset": "diabetes"}).json()["divisions"][0]["class_counts"] is None

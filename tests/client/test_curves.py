"""Curves as columns and frames, whatever the service left out; and a job in a notebook."""

import builtins
import math
import pickle
from typing import Any
from xml.etree import ElementTree as ET

import httpx2
import pandas as pd
import pytest

from holdout import Client, Curves, FitCurve, Job
from holdout.notebook import job_html, spark_line

FIT = {"number": 1, "label": "holdout", "epoch": [0, 1, 2], "train_loss": [2.0, 1.0, 0.5], "val_loss": [2.1, 1.2, 1.4]}
FIT |= {"generalization_gap": [0.1, 0.2, 0.9], "learning_rate": [None, 0.1, 0.1], "best_epoch": 1, "last_epoch": 2}
EMPTY = {"number": 2, "label": "fold 2", "epoch": [], "best_epoch": None, "last_epoch": None}


def curves(*fits: dict[str, Any]) -> Curves:
    return Curves("job_1", {"fits": list(fits), "version": 7, "sampled": False})


def test_a_frame_has_a_row_for_each_fit_and_epoch() -> None:
    frame = curves(FIT, {**FIT, "number": 2, "label": "b"}).to_pandas()
    assert list(frame.columns) == ["job", "fit", "label", "epoch", "train_loss", "val_loss", "generalization_gap", "learning_rate"]
    assert list(frame["fit"]) == [1, 1, 1, 2, 2, 2]
    assert math.isnan(frame["learning_rate"][0])
    assert {str(dtype) for dtype in frame.dtypes[["fit", "epoch"]]} == {"int64"}
    assert {str(dtype) for dtype in frame.dtypes.iloc[4:]} == {"float64"}


def test_a_delta_without_rows_lacks_columns_and_breaks_nothing() -> None:
    read = curves(EMPTY)
    assert (read[0]["val_loss"], read[0].best(), len(read)) == ([], None, 1)
    frame = read.to_pandas()
    assert len(frame["val_loss"]) == 0
    assert frame["val_loss"].dtype == "float64"
    both = pd.concat([curves(FIT).to_pandas(), frame])
    assert len(both) == 3
    assert len(curves().to_pandas()) == 0


def test_a_column_that_one_fit_has_not_is_missing_there_and_a_wrong_name_is_told() -> None:
    without = {name: value for name, value in FIT.items() if name not in {"val_loss", "generalization_gap"}}
    read = curves(FIT, {**without, "number": 2, "smoothed": {"train_loss": [1.0]}, "of_tomorrow": [1.0, 2.0, 3.0]})
    assert read[1]["val_loss"] == [None, None, None]
    frame = read.to_pandas()
    assert frame[frame["fit"] == 2]["val_loss"].isna().all()
    assert list(frame[frame["fit"] == 2]["of_tomorrow"]) == [1, 2, 3]
    with pytest.raises(KeyError, match="a curve has no column 'valloss'; it may have epoch, train_loss, val_loss"):
        _ = read[0]["valloss"]


def test_every_column_is_there_by_item_and_by_attribute() -> None:
    [curve] = curves({**FIT, "of_tomorrow": [1.0, 2.0, 3.0]})
    assert curve["epoch"] == curve.epoch == [0, 1, 2]
    for name in ("train_loss", "val_loss", "learning_rate", "of_tomorrow"):
        assert curve[name] == getattr(curve, name) == curve.columns[name]
    assert curve.val_r2 == [None, None, None]
    assert "val_loss" in dir(curve)
    with pytest.raises(AttributeError, match="a curve has no 'valloss'; its columns may be epoch, train_loss"):
        _ = curve.valloss
    assert pickle.loads(pickle.dumps(curve)).val_loss == curve.val_loss


def test_without_pandas_it_is_said_which_extra_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return found(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r'pip install "holdout\[pandas\]"'):
        curves(FIT).to_pandas()
    assert len(list(curves(FIT).rows())) == 3


def test_the_best_epoch_is_the_services() -> None:
    assert curves(FIT)[0].best() == (1, 1.2)
    assert curves(FIT)[0].best("train_loss") == (1, 1.0)
    assert curves({**FIT, "best_epoch": 9})[0].best() is None  # not among the points that were asked for


def test_a_line_is_drawn_with_a_sentence_that_says_the_same() -> None:
    image = ET.fromstring(spark_line(FitCurve({**FIT, "label": "<b>&"})).partition("<figcaption>")[0])
    assert image.get("aria-label") == "Loss of <b>&: train solid, validation dashed, epochs 0 to 2; best at epoch 1, validation 1.2."
    solid, dashed = image.findall("polyline")
    assert (solid.get("stroke-dasharray"), dashed.get("stroke-dasharray")) == (None, "4 3")
    assert len(solid.get("points", "").split()) == 3
    assert image.find("circle") is not None
    assert spark_line(FitCurve(EMPTY)) == ""
    broken = FitCurve({**FIT, "val_loss": [2.0, None, 1.0]})
    assert spark_line(broken).count("<polyline") == 1  # a point alone is no line


def test_a_job_in_a_notebook_shows_status_progress_and_line_and_reads_each_version_once() -> None:
    fields = {
        "id": "job_1",
        "name": "<script>",
        "status": "running",
        "progress": 0.25,
        "dataset": "digits",
        "version": 7,
        "phase": "epoch 2",
    }
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        body = {"fits": [FIT], "version": 7, "sampled": False} if request.url.path.endswith("curves") else fields
        return httpx2.Response(200, json=body)

    with Client("http://imagined", transport=httpx2.MockTransport(answer)) as client:
        job = client.jobs.get("job_1")
        shown = job._repr_html_()
        assert shown == job._repr_html_()
        assert asked == ["/v1/jobs/job_1", "/v1/jobs/job_1/curves"]
    assert "&lt;script&gt;" in shown
    assert "<script>" not in shown
    for part in ("running", "25%", "digits", "<progress", "<svg"):
        assert part in shown
    assert "<svg" not in pickle.loads(pickle.dumps(job))._repr_html_()  # it has nobody to ask, and shows the rest
    failed = Job({**fields, "status": "failed", "failure": {"kind": "diverged", "detail": "the loss is not finite"}})
    assert "diverged: the loss is not finite" in job_html(failed, None)

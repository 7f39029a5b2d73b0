"""Pictures of every plan can be read: labels do not meet, numbers and names are those of people, colors those of the page."""

import io
import re
import xml.dom.minidom
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from api.pictures.figures import cut, cut_note, said
from api.pictures.report import Report, page_of, picture
from api.pictures.room import boxes, labelled
from api.pictures.style import HUES, Heading, Units, dress, families, page
from jobs.plans.conclusions import read_result
from store.engine import Database
from tests.api.conftest import StrictClient
from tests.factories import a_job
from tests.reports import CLASSES, NUMBERS, PLANS, reported

TASKS = {"classes": CLASSES, "numbers": NUMBERS}


def _report(name: str, task: str, change: dict[str, Any] | None = None) -> Report:
    spec, stored, curves = reported(name, task)
    result = read_result({**stored, **(change or {})})
    return Report(heading=Heading(title=name, sentence=result.sentence), plan=spec.plan, result=result, curves=curves, units=TASKS[task])


def _meeting(figure: Figure) -> list[tuple[str, str]]:
    """Find labels of axes that are printed over one another; slanted ones are measured by `settle`."""
    figure.draw_without_rendering()
    ticks = [
        one for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for one in labelled(axis) if not one.label1.get_rotation() % 180
    ]
    placed = [(one.label1.get_text(), box) for one, box in zip(ticks, boxes(ticks), strict=True)]
    return [(a, b) for (a, one), (b, other) in combinations(placed, 2) if one.overlaps(other)]


def _texts(figure: Figure) -> list[str]:
    figure.draw_without_rendering()
    ticks = [one.label1.get_text() for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for one in labelled(axis)]
    named = [text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel(), axes.get_title(loc="left"))]
    return [*ticks, *named, *(text.get_text() for legend in figure.legends for text in legend.get_texts())]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", PLANS)
def test_no_two_labels_of_axes_meet_in_the_picture_of_any_plan(name: str, task: str) -> None:
    assert _meeting(page_of(_report(name, task))) == []


def test_letters_that_a_font_lacks_come_from_those_that_the_machine_has() -> None:
    assert families(["DejaVu Sans", "NanumGothic", "Comic Sans"]) == ["sans-serif", "NanumGothic"]
    assert families([]) == ["sans-serif"]


@pytest.mark.parametrize("name", ["fit", "folds", "comparison", "search"])
def test_a_fit_that_blows_up_leaves_the_picture_and_that_is_said(name: str) -> None:
    """Beside a loss of 1e35 every other would be the line 0."""
    report = _report(name, "classes")
    wild = max(report.curves, key=lambda one: len(one.epoch))
    columns = {column: [values[0], *(1e35 for _ in values[1:])] for column, values in wild.columns.items() if column.endswith("loss")}
    curves = [replace(one, columns={**one.columns, **columns}) if one is wild else one for one in report.curves]
    figure = page_of(replace(report, curves=curves))
    panel = next(axes for axes in figure.axes if axes.get_xlabel() == "epoch")
    assert panel.get_ylim()[1] < 1000
    assert "not shown)" in panel.get_ylabel().replace("\n", " ")
    assert len(labelled(panel.yaxis)) >= 2
    assert _meeting(figure) == []


@pytest.mark.parametrize("unit", ["points of a clinical score", "millimetres of mercury, measured twice a day and averaged over a week"])
@pytest.mark.parametrize("name", PLANS)
def test_names_of_axes_end_within_the_picture_and_do_not_meet(name: str, unit: str) -> None:
    report = replace(_report(name, "numbers"), units=Units(is_classes=False, unit=unit))
    figure = page_of(report)
    figure.draw_without_rendering()
    labels = [axis.label for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) if axis.label.get_text()]
    placed = [(one.get_text(), one.get_window_extent()) for one in labels]
    assert [text for text, box in placed if box.x0 < 0 or box.x1 > figure.bbox.x1 or box.y0 < 0 or box.y1 > figure.bbox.y1] == []
    assert [(a, b) for (a, one), (b, other) in combinations(placed, 2) if one.overlaps(other)] == []


@pytest.mark.parametrize("size", [1.93e-4, 1.2e-7, 34567.8, 8.1e9])
def test_labels_of_small_and_of_large_numbers_do_not_meet(size: float) -> None:
    _, stored, _ = reported("nested_cv", "numbers")
    folds = [
        {**one, "optimism": size * k, "inner_score": 1 + size, "outer_score": 1 + size * k} for k, one in enumerate(stored["folds"], 1)
    ]
    spread = {"mean": size, "std": size, "low": -5 * size, "high": 9 * size, "count": 2}
    figure = page_of(_report("nested_cv", "numbers", {"folds": folds, "optimism": spread, "outer_score": spread, "inner_score": spread}))
    assert _meeting(figure) == []
    assert not [text for text in _texts(figure) if re.search(r"\de[+-]?\d", text)]
    for axes in figure.axes:
        assert len(labelled(axes.xaxis)) >= 2


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", PLANS)
def test_no_plan_writes_names_of_fields_or_exponents_of_programs(name: str, task: str) -> None:
    report = _report(name, task)
    assert report.result is not None
    raw = re.compile(r"\b(val|train)_(loss|accuracy|rmse|r2)|/network|/optimizer|\brmse\b|\br2\b|\d[eE][+-]?\d|believed")
    said_in = [report.result.sentence, *_texts(page_of(report))]
    assert [text for text in said_in if raw.search(text)] == []


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (5843.2, 3, "5,843"),
        (999.96, 3, "1,000"),
        (0.0528, 3, "0.0528"),
        (-0.5, 3, "\u22120.5"),
        (0.0, 3, "0"),
        (1e-6, 3, "10⁻⁶"),
        (-3.21e-5, 3, "\u22123.21\u00d710⁻⁵"),
        (2.5e12, 6, "2.5\u00d710¹²"),
        (12345.67, 6, "12,345.7"),
    ],
)
def test_numbers_have_thousands_apart_or_a_power_of_ten(value: float, digits: int, text: str) -> None:
    assert said(value, digits) == text


def test_axes_of_large_numbers_set_thousands_apart_and_have_powers_beside_them() -> None:
    figure = page(Heading(title="x"))
    large, huge = figure.subplots(1, 2)
    for axes, most in ((large, 12_000), (huge, 3e8)):
        axes.plot([0, 1], [0, most])
        dress(axes, "", "")
    figure.draw_without_rendering()
    assert "12,000" in [one.label1.get_text() for one in labelled(large.yaxis)]
    assert huge.yaxis.get_major_formatter().get_offset() == "\u00d710⁸"


def test_variants_have_the_colors_of_their_places_in_the_spec_and_a_key() -> None:
    report = _report("comparison", "numbers")
    figure = page_of(report)
    labels = [one["label"] for one in PLANS["comparison"]["plan"]["variants"]]
    keys = {
        text.get_text().strip().replace("\\$", "$"): to_hex(line.get_color())
        for legend in figure.legends
        for text, line in zip(legend.get_texts(), legend.get_lines(), strict=True)
    }
    assert [keys[label] for label in labels] == list(HUES[:3])
    ranked = [one["label"] for one in reported("comparison", "numbers")[1]["variants"]]
    assert ranked[0] == labels[1]
    marks = {line.get_ydata()[0]: line.get_color() for line in figure.axes[1].lines if line.get_marker() not in {"None", "none", None}}  # type: ignore[index]  # arrays
    assert [marks[ranked.index(label)] for label in labels[:2]] == list(HUES[:2])


def test_a_long_label_of_a_variant_is_written_whole() -> None:
    _, stored, _ = reported("comparison", "numbers")
    long = "adam with dropout 0.5 and a rather long label of 64 letters, all"
    figure = page_of(
        _report("comparison", "numbers", {"variants": [{**one, "label": f"{long} {i}"} for i, one in enumerate(stored["variants"])]})
    )
    figure.draw_without_rendering()
    shown = [one.label1.get_text().replace("\n", " ") for one in labelled(figure.axes[1].yaxis)]
    assert [f"{long} {i}" in text for i, text in enumerate(shown)] == [True] * 3
    assert _meeting(figure) == []


def test_intervals_of_a_search_say_what_they_are_and_end_where_losses_do() -> None:
    report = _report("search", "numbers")
    assert any(one["score"]["low"] < 0 for one in reported("search", "numbers")[1]["candidates"])
    figure = page_of(report)
    assert "95 % t interval of the mean over 2 divisions, cut at 0" in _texts(figure)
    whiskers = [
        one for axes in figure.axes for one in axes.collections if isinstance(one, LineCollection) and "interval" in str(one.get_label())
    ]
    assert len(whiskers) == 2
    assert min(point[1] for one in whiskers for line in one.get_segments() for point in line) == 0


@pytest.mark.parametrize("name", ["comparison", "nested_cv", "learning_curve"])
def test_every_other_interval_of_a_mean_is_named_and_cut_alike(name: str) -> None:
    task = "classes" if name == "learning_curve" else "numbers"
    texts = _texts(page_of(_report(name, task)))
    assert any(re.search(r"95 % t intervals? (of the mean )?over 2 (divisions|outer folds), cut at 0", text) for text in texts)


def test_an_interval_is_cut_to_where_its_figure_can_be() -> None:
    assert (cut(-1, 2, "loss"), cut(-1, 2, "accuracy"), cut(-1, 2, "r2"), cut(None, None, "rmse")) == (
        (0, 2),
        (0, 1),
        (-1, 1),
        (None, None),
    )
    assert [cut_note([(-1.0, 2.0)], figure) for figure in ("rmse", "accuracy", "r2")] == [", cut at 0", ", cut at 0 and 1", ", cut at 1"]
    assert cut_note([(0.1, 0.2), (None, None)], "accuracy") == ""


@pytest.mark.parametrize("name", PLANS)
def test_words_of_a_drawing_are_text_and_equal_drawings_are_equal_bytes(name: str) -> None:
    drawing = picture(_report(name, "classes"), "svg")
    assert drawing == picture(_report(name, "classes"), "svg")
    document = xml.dom.minidom.parseString(drawing)
    words = " ".join(one.firstChild.data for one in document.getElementsByTagName("text") if one.firstChild is not None)
    assert reported(name, "classes")[1]["sentence"].split(";")[0][:40] in words
    assert "sans-serif" in drawing.decode()


@pytest.mark.parametrize("name", PLANS)
def test_a_picture_is_sharp_on_paper_and_stays_small(name: str) -> None:
    drawing = picture(_report(name, "numbers"), "png")
    assert len(drawing) < 400_000
    with Image.open(io.BytesIO(drawing)) as image:
        assert image.width == 2112


@pytest.mark.parametrize(
    ("variant", "told"),
    [
        ({"/optimizer": {"name": "sgd"}}, "mlp  ·  optimizer varied"),
        ({"/network/hidden_units": [3]}, "mlp, varied  ·  adam"),
        ({"/training/batch_size": 8}, "mlp  ·  adam"),
    ],
)
def test_a_subtitle_says_what_is_varied(client: StrictClient, db: Database, variant: dict[str, Any], told: str) -> None:
    plan = {"name": "comparison", "variants": [{"label": "a", "set": {}}, {"label": "b", "set": variant}]}
    drawing = client.get(f"/v1/jobs/{a_job(db, plan=plan).job.id}/report.svg").content
    assert told in re.sub(r"\s+", " ", drawing.decode()).replace(" · ", "  ·  ")

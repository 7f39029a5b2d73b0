"""What is put into the form comes out of it as it was: run again, pasted, by the address, by hand."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.dashboard.conftest import Opener
from tests.dashboard.forms import MODULE, open_form, settled, spec_of
from tests.plan_bodies import BODIES, body_of
from tests.system import Client

ODD: dict[str, dict[str, Any]] = {
    "lists": {"/network/hidden_units": [[4], [256, 256], [], [8, 4, 2]]},
    "words": {"/training/batch_size": ["full", 1], "/network/activation": ["relu", "tanh"]},
    "booleans": {"/evaluation/sharpness": [True, False], "/regularization/balanced_sampling": [True, False]},
    "nothing": {"/early_stopping": [None, {"patience": 2}], "/network/normalization": [None, {"name": "layer_norm"}]},
    "objects": {"/optimizer": [{"name": "sgd", "learning_rate": 0.5}, {"name": "adam", "epsilon": 1e-07}]},
    "numbers": {"/regularization/l2": [1e-12, 0, 0.1, 1e300], "/optimizer/learning_rate": [0, 5e-324]},
}
"""By kind, what settings may be set to: pointers and values."""
EXACT: list[Any] = [
    *(None, True, False, 0, -1, 0.5, 1e-07, 1e300, "", " ", "full", "12", ".5", "1e3", "0x10", "true", "null", '"quoted"', " padded "),
    *("a, b", "[4]", "{", [], [4], [[4]], [256, 256], ["a", "b"], ["1", 1, None, True], [" "], {}, {"name": "adam"}, [{"a": [None]}], "\\"),
]
"""JSON that is easily taken for other JSON once it is text."""


def _resolved(client: Client, spec: dict[str, Any]) -> dict[str, Any]:
    answer = client.request("POST", "/v1/previews", json={"seed": 0, **spec})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["spec"]
    return found


def _plans_of(settings: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Give plans of every kind that take any values, with these."""
    values = {pointer: {"values": one} for pointer, one in settings.items()}
    variants = [{"label": f"{pointer} {i}", "set": {pointer: one}} for pointer, all_ in settings.items() for i, one in enumerate(all_)]
    yield {"name": "comparison", "variants": variants}
    yield {"name": "search", "space": values}
    yield from ({"name": "bias_variance", "resamples": 2, "axis": {pointer: one}} for pointer, one in values.items())


@pytest.mark.parametrize("name", BODIES)
def test_every_plan_run_again_from_its_page_is_the_same_job(name: str, open_page: Opener, client: Client) -> None:
    job = client.request("POST", "/v1/jobs", json=body_of(name)).json()
    client.request("POST", f"/v1/jobs/{job['id']}/cancel")
    page = open_page(f"/ui/new?from={job['id']}")
    expect(page.locator("#state")).to_have_text("✓ It can run")
    expect(page.locator("#lost .notice")).to_have_count(0)
    page.get_by_label("Name", exact=True).fill("again")
    expect(page.locator("#twins code")).to_contain_text("again")
    with page.expect_request(lambda one: one.method == "POST" and one.url.endswith("/v1/jobs")) as sent:
        page.get_by_role("button", name="Submit").click()
    assert _resolved(client, sent.value.post_data_json) == {**job["spec"], "name": "again"}
    page.wait_for_url("**/ui/jobs/job_*")
    client.request("POST", f"/v1/jobs/{page.url.rpartition('/')[2]}/cancel")


@pytest.mark.parametrize("kind", ODD)
def test_values_of_any_kind_are_kept_by_the_address_by_pasting_and_by_editing(kind: str, open_page: Opener) -> None:
    page = open_form(open_page)
    page.get_by_text("Paste a spec").click()
    for plan in _plans_of(ODD[kind]):
        spec = {"dataset": "iris", "name": kind, "split": {"name": "k_fold"}, "plan": plan}
        page.get_by_label("Spec as JSON").fill(json.dumps(spec))
        page.get_by_role("button", name="Fill the form").click()
        expect(page.locator("#pasted-error")).to_be_empty()
        expect(page.locator("#lost .notice")).to_have_count(0)
        assert spec_of(page)["plan"] == plan
        for one in page.locator("#app input[type=text]").all():  # written by hand as it stands there
            text = one.input_value()
            one.evaluate("(input) => { input.value += ' '; input.dispatchEvent(new Event('input', { bubbles: true })) }")
            one.evaluate("(input, text) => { input.value = text + '  '; input.dispatchEvent(new Event('input', { bubbles: true })) }", text)
        page.get_by_label("Max epochs").fill("49")
        expect(page.locator("#twins code")).to_contain_text('"max_epochs": 49')
        assert spec_of(page)["plan"] == plan
        page.reload()
        page.wait_for_selector("#app:not([aria-busy])")
        page.get_by_text("Paste a spec").click()
        expect(page.locator("#twins code")).to_contain_text("max_epochs")
        assert spec_of(page)["plan"] == plan


def test_any_json_is_the_same_once_it_was_text(open_page: Opener) -> None:
    page = open_page("/ui/new")
    program = f"""async (all) => {{
        const {{ look, parse, print }} = await {MODULE.format(name="schema")};
        const [one, many] = [look({{}}, {{}}), look({{ type: 'array', items: {{}} }}, {{}})];
        return [all.map((value) => parse(print(value, one), one)), parse(print(all, many), many), all.map((value) => parse(print([value], many), many))] }}"""
    alone, together, listed = page.evaluate(program, EXACT)
    assert alone == together == EXACT
    assert listed == [[one] for one in EXACT]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-2", 0.01),
        (".5", 0.5),
        ("5.", 5),
        ("0x10", "0x10"),
        ("0b1", "0b1"),
        ("1_000", "1_000"),
        ("Infinity", "Infinity"),
        ("1e400", "1e400"),
    ],
)
def test_a_number_is_what_json_and_people_write(text: str, value: Any, open_page: Opener) -> None:
    page = open_form(open_page)
    rate = page.get_by_role("group", name="Optimizer", exact=True).get_by_label("Learning rate")
    rate.fill(text)
    expect(page.locator("#twins code")).to_contain_text("learning_rate")
    settled(page)
    assert spec_of(page)["optimizer"]["learning_rate"] == value
    if isinstance(value, str):
        expect(rate).to_have_attribute("aria-invalid", "true")
        expect(page.locator("#state")).to_have_text("✗ 1 to mend")
    if text == "1e400":
        expect(rate).to_have_accessible_description(re.compile("JSON carries none"))


def test_a_job_can_be_run_again_with_changes(open_page: Opener, client: Client) -> None:
    job = client.submit("moons", optimizer={"name": "nag", "learning_rate": 0.05}, training={"max_epochs": 2}, name="first")
    page = open_page(f"/ui/new?from={job['id']}")
    expect(page.get_by_role("group", name="Optimizer", exact=True).get_by_label("Learning rate")).to_have_value("0.05")
    settled(page)
    sent = spec_of(page)
    assert sent["dataset"] == "moons"
    assert sent["optimizer"] == {"name": "nag", "learning_rate": 0.05}
    assert sent["training"] == {"max_epochs": 2}
    assert "evaluation" not in sent
    assert "network" not in sent


def test_what_the_service_derived_for_a_job_is_derived_anew_for_another_dataset(open_page: Opener, client: Client) -> None:
    job = client.submit("moons", training={"max_epochs": 1}, split={"name": "holdout", "val_fraction": 0.4}, regularization={"max_norm": 3})
    assert job["spec"]["loss"]["name"] == "cross_entropy"
    page = open_page(f"/ui/new?from={job['id']}")
    settled(page)
    page.get_by_label("Dataset").select_option("diabetes")
    expect(page.locator("#twins code")).to_contain_text("diabetes")
    expect(page.locator("#state")).to_have_text("✓ It can run")
    sent = spec_of(page)
    assert sent["split"] == {"name": "holdout", "val_fraction": 0.4}
    assert sent["regularization"] == {"max_norm": 3}
    assert "loss" not in sent


def test_what_the_reader_chose_is_kept_for_another_dataset(open_page: Opener, client: Client) -> None:
    job = client.submit("moons", training={"max_epochs": 1}, split={"name": "holdout", "stratify": False})
    page = open_page(f"/ui/new?from={job['id']}")
    settled(page)
    page.locator("section", has=page.get_by_role("heading", name="Split")).get_by_label("By", exact=True).select_option("rows")
    page.get_by_label("Dataset").select_option("iris")
    expect(page.locator("#twins code")).to_contain_text("iris")
    expect(page.locator("#state")).to_have_text("✓ It can run")
    assert spec_of(page)["split"] == {"name": "holdout", "stratify": False, "by": "rows"}


def test_a_spec_can_be_pasted_and_what_is_no_spec_is_said(open_page: Opener) -> None:
    page = open_form(open_page)
    page.get_by_text("Paste a spec").click()
    box = page.get_by_label("Spec as JSON")
    box.fill('{"dataset": ')
    page.get_by_role("button", name="Fill the form").click()
    expect(page.locator("#pasted-error")).to_contain_text("no JSON")
    box.fill('{"dataset": "wine", "optimizer": {"name": "sgd", "rate": 1}}')
    page.get_by_role("button", name="Fill the form").click()
    expect(page.get_by_role("alert")).to_contain_text("Left out, as a job has no place for it: /optimizer/rate.")
    expect(page.get_by_label("Dataset")).to_have_value("wine")
    box.fill('{"optimizer": {"name": "sgd", "learning_rate": 1e400}}')
    page.get_by_role("button", name="Fill the form").click()
    expect(page.locator("#pasted-error")).to_contain_text("the number at /optimizer/learning_rate is too large")
    expect(page.get_by_label("Dataset")).to_have_value("wine")
    box.fill('{"dataset": "wine", "optimizer": {"name": "sgd"}}')
    page.get_by_role("button", name="Fill the form").click()
    expect(page.locator("#lost .notice")).to_have_count(0)


def test_a_form_that_left_something_out_is_not_ready_until_the_reader_goes_on_without(open_page: Opener) -> None:
    page = open_form(open_page, {"dataset": "iris", "optimizer": {"lr": 0.1}, "plan": {"name": "fit", "a/b": [1]}, "epochs": 3})
    alert = page.get_by_role("alert")
    for _ in range(2):
        expect(alert).to_contain_text("/optimizer/lr, /plan a/b, /epochs")
        expect(page.locator("#state")).to_have_text("✗ 3 left out")
        page.get_by_role("button", name="Submit").click()
        expect(alert).to_be_focused()
        page.reload()
    page.get_by_role("button", name="Go on without").click()
    expect(page.locator("#state")).to_have_text("✓ It can run")
    assert spec_of(page) == {"dataset": "iris"}


@pytest.mark.parametrize(
    "spec",
    [
        {"optimizer": "adam"},
        {"optimizer": None, "network": {"name": "mlp", "hidden_units": {"a": 1}}},
        {"plan": {"name": "comparison", "variants": {"a": 1}}},
        {"plan": {"name": "comparison", "variants": [7, None, {"set": "text"}]}},
        {"plan": {"name": "search", "space": {"/seed": "text"}}, "metadata": "text", "network": []},
        {"network": {"name": "mlp", "constructor": 1, "__proto__": 2, "activation": "odd"}, "split": {"name": "holdout", "shuffle": "yes"}},
    ],
)
def test_nothing_that_is_wrong_looks_ready(spec: dict[str, Any], open_page: Opener) -> None:
    page = open_form(open_page, {"dataset": "iris", **spec})
    expect(page.locator("#state")).to_have_text(re.compile("✗"))


def test_a_preset_or_a_pasted_spec_can_be_undone(open_page: Opener) -> None:
    page = open_form(open_page, {"dataset": "wine", "seed": 3, "training": {"max_epochs": 4}})
    before = spec_of(page)
    page.get_by_role("button", name="underfits").dblclick()
    expect(page.get_by_label("Dataset")).to_have_value("breast_cancer")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_label("Dataset")).to_have_value("wine")
    expect(page.locator("#twins code")).to_contain_text("wine")
    assert spec_of(page) == before
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    page.get_by_text("Paste a spec").click()
    page.get_by_label("Spec as JSON").fill('{"seed": 5}')
    page.get_by_role("button", name="Fill the form").click()
    expect(page.get_by_label("Seed")).to_have_value("5")
    expect(page.get_by_label("Dataset")).to_have_value("wine")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_label("Seed")).to_have_value("3")

"""The form of a job: built from what the service knows, checked by it, and sent once."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from api.examples import JOBS
from jobs.plans.maker import SETTABLE
from tests.dashboard.conftest import Opener
from tests.dashboard.forms import MODULE, open_form, settled, spec_of
from tests.system import Client

KNOWN = {
    *(
        "$ref",
        "type",
        "enum",
        "const",
        "anyOf",
        "oneOf",
        "discriminator",
        "properties",
        "required",
        "additionalProperties",
        "propertyNames",
    ),
    *("items", "prefixItems", "minItems", "maxItems", "minProperties", "maxProperties", "minLength", "maxLength"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "default", "description", "title", "examples"),
}
OUTAGE = """const real = window.fetch; window.fetch = (path, options) =>
    document.documentElement.dataset.away ? Promise.reject(new TypeError("away")) : real(path, options);"""


def _within(schema: Any) -> Iterator[dict[str, Any]]:
    """Give every schema within a schema, itself first."""
    yield schema
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", []), *schema.get("oneOf", []), *schema.get("prefixItems", [])]
    inner += [
        one for one in (schema.get("items"), schema.get("additionalProperties"), schema.get("propertyNames")) if isinstance(one, dict)
    ]
    for one in inner:
        yield from _within(one)


def test_every_construct_of_the_schema_is_known_to_the_form(open_page: Opener, client: Client) -> None:
    schema = client.get("/v1/techniques")["job_schema"]
    found = [one for each in (schema, *schema["$defs"].values()) for one in _within(each)]
    assert {word for one in found for word in one} - {"$defs"} <= KNOWN
    page = open_page("/ui/new")
    looks = page.evaluate(
        f"async ([all, defs]) => {{ const {{ look }} = await {MODULE.format(name='schema')}; return all.map((one) => look(one, defs).kind) }}",
        [found, schema["$defs"]],
    )
    unknown = [one for one, kind in zip(found, looks, strict=True) if kind == "unknown" and one.get("type") != "null"]
    assert unknown == []
    assert set(looks) - {"unknown"} == {"object", "map", "union", "choice", "list", "enum", "boolean", "text", "const"}


def test_every_technique_comes_out_of_its_fields_as_it_was_put_in(open_page: Opener, client: Client) -> None:
    catalog = client.get("/v1/techniques")
    page = open_page("/ui/new")
    program = f"""async ([schema, value]) => {{
        const [{{ make }}, {{ lean }}] = [await {MODULE.format(name="form")}, await {MODULE.format(name="schema")}];
        const control = make({{ defs: schema.$defs, rules: new Map(), starts: {{}}, special: {{}} }}, 'it', schema, value);
        return [lean(schema, control.read(), schema.$defs), lean(schema, value, schema.$defs)] }}"""
    tried = 0
    for one in catalog["items"]:
        if one["json_schema"].get("type") != "object" or set(one["json_schema"].get("required", ())) - {"name"}:
            continue  # plans that need more are among the examples
        is_named = "name" in one["json_schema"]["properties"]
        value = {**({"name": one["name"]} if is_named else {}), **one["defaults"]}
        schema = dict(one["json_schema"])
        if is_named:
            schema = {"$defs": {**schema.get("$defs", {}), "It": schema}, "oneOf": [{"$ref": "#/$defs/It"}], "discriminator": {}}
        read, given = page.evaluate(program, [schema, value])
        assert read == given == ({"name": one["name"]} if is_named else {}), one["name"]
        tried += 1
    assert tried > 40


@pytest.mark.parametrize("name", JOBS)
def test_every_example_passes_through_the_form_unchanged(name: str, open_page: Opener, client: Client) -> None:
    spec = JOBS[name]["value"]
    page = open_form(open_page, spec)
    settled(page)
    expect(page.locator("#lost .notice")).to_have_count(0)
    sent = spec_of(page)
    found, again = (client.http.post("/v1/previews", json={"seed": 0, **one}) for one in (spec, sent))
    assert found.json().get("spec") == again.json().get("spec")
    if found.status_code == 200:
        expect(page.locator("#state")).to_have_text("✓ It can run")
    else:  # its data is a package of Debian's that is not installed here
        assert [one["code"] for one in found.json()["errors"]] == ["dataset_unavailable"]
        expect(page.locator("#state")).to_have_text("✗ 1 to mend")


def test_only_what_was_chosen_is_sent(open_page: Opener) -> None:
    page = open_form(open_page)
    assert spec_of(page) == {"dataset": "digits"}
    page.get_by_role("group", name="Optimizer", exact=True).get_by_label("Learning rate").fill("0.01")
    page.get_by_label("Batch size").fill("full")
    page.get_by_label("Hidden units").fill("32 16")
    page.get_by_role("group", name="Normalization").get_by_label("Kind").select_option("batch_norm")
    page.get_by_label("Max epochs").fill("50")
    expect(page.locator("#twins code")).to_contain_text("batch_norm")
    settled(page)
    assert spec_of(page) == {
        "dataset": "digits",
        "network": {"name": "mlp", "hidden_units": [32, 16], "normalization": {"name": "batch_norm"}},
        "optimizer": {"name": "adam", "learning_rate": 0.01},
        "training": {"batch_size": "full"},
    }


def test_the_preview_tells_layers_rows_fits_and_steps_without_a_job(open_page: Opener, client: Client) -> None:
    before = len(client.get("/v1/jobs?dataset=wine")["items"])
    page = open_form(
        open_page, {"dataset": "wine", "network": {"name": "mlp", "hidden_units": [8]}, "split": {"name": "k_fold", "folds": 3}}
    )
    expect(page.locator("#facts")).to_contain_text("139")  # 13 * 8 + 8 weights and biases, then 8 * 3 + 3
    expect(page.get_by_role("region", name="Layers").get_by_role("row")).to_have_count(4)
    expect(page.get_by_role("region", name="Rows").get_by_role("row")).to_have_count(4)
    assert len(client.get("/v1/jobs?dataset=wine")["items"]) == before


def test_what_the_service_refuses_is_said_at_its_field(open_page: Opener) -> None:
    page = open_form(open_page)
    rate = page.get_by_role("group", name="Optimizer", exact=True).get_by_label("Learning rate")
    rate.fill("-1")
    expect(rate).to_have_attribute("aria-invalid", "true")
    described = (rate.get_attribute("aria-describedby") or "").split()
    assert any("greater than or equal to 0" in page.locator(f"#{one}").inner_text() for one in described)
    page.get_by_role("button", name="/optimizer/learning_rate").click()
    expect(rate).to_be_focused()
    page.locator("#state").focus()
    page.get_by_role("button", name="Submit").click()
    expect(rate).to_be_focused()
    rate.fill("0.1")
    expect(page.locator("#state")).to_have_text("✓ It can run")
    expect(rate).not_to_have_attribute("aria-invalid", "true")


def test_faults_within_lists_maps_and_folded_parts_find_their_field(open_page: Opener) -> None:
    spec = {
        "dataset": "digits",
        "network": {"name": "cnn", "blocks": [{}, {"channels": 0}]},
        "regularization": {"l2": -1},
        "plan": {"name": "search", "space": {"/optimizer/learning_rate": {"values": []}}},
    }
    page = open_form(open_page, spec)
    expect(page.locator("#state")).to_have_text("✗ 3 to mend")
    expect(page.get_by_role("group", name="Block 2").get_by_label("Channels")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("L2")).to_be_visible()
    expect(page.get_by_role("group", name="Space").get_by_label("Values")).to_have_attribute("aria-invalid", "true")


def test_a_list_that_is_needed_is_missed_at_its_field_and_one_with_a_default_takes_it(open_page: Opener) -> None:
    page = open_form(open_page, {"dataset": "iris", "plan": {"name": "search", "space": {"/network/hidden_units": {"values": [[4]]}}}})
    values = page.get_by_role("group", name="Space").get_by_label("Values")
    values.fill("")
    expect(values).to_have_attribute("aria-invalid", "true")
    page.locator("section", has=page.get_by_role("heading", name="Plan", exact=True)).get_by_label("Kind").first.select_option(
        "learning_curve"
    )
    page.get_by_label("Fractions").fill("")
    expect(page.locator("#state")).to_have_text("✓ It can run")
    expect(page.locator("#twins code")).to_contain_text("learning_curve")
    assert spec_of(page)["plan"] == {"name": "learning_curve"}


def test_plans_can_be_made_of_rows(open_page: Opener, client: Client) -> None:
    page = open_form(open_page)
    plan = page.locator("section", has=page.get_by_role("heading", name="Plan", exact=True))
    plan.get_by_label("Kind").select_option("comparison")
    settled(page)
    plan.get_by_role("button", name="Add variant").click()
    third = plan.get_by_role("group", name="Variant 3")
    expect(third.get_by_label("Label")).to_be_focused()
    third.get_by_label("Label").fill("wide")
    third.get_by_role("button", name="Add setting").click()
    third.get_by_label("Setting (JSON pointer)").fill("/network/hidden_units")
    third.get_by_label("Value", exact=True).fill("[256]")
    plan.get_by_role("button", name="Remove variant 1").click()
    expect(page.locator("#facts")).to_contain_text("Fits2")
    expect(page.locator("#twins code")).to_contain_text("hidden_units")
    sent = spec_of(page)
    assert sent["plan"]["variants"] == [
        {"label": "momentum", "set": {"/optimizer": {"name": "momentum"}}},
        {"label": "wide", "set": {"/network/hidden_units": [256]}},
    ]
    assert client.request("POST", "/v1/previews", json=sent).json()["num_fits"] == 2
    offered = page.locator("#pointers option").evaluate_all("(all) => all.map((one) => one.value)")
    assert {"/optimizer", "/optimizer/learning_rate", "/network/hidden_units"} <= set(offered)


@pytest.mark.parametrize(
    ("preset", "num_fits", "verdict"),
    [
        ("will overfit", 1, "overfitting"),
        ("well regularised", 1, "good_fit"),
        ("underfits", 1, "underfitting"),
        ("optimizer race", 7, None),
        ("5 folds", 6, None),
        ("search", 28, None),
    ],
)
def test_a_preset_makes_the_job_that_it_names(preset: str, num_fits: int, verdict: str | None, open_page: Opener, client: Client) -> None:
    page = open_form(open_page)
    page.get_by_role("button", name=preset, exact=True).click()
    expect(page.locator("#facts")).to_contain_text(f"Fits{num_fits}")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/ui/jobs/job_*")
    job = client.until(page.url.rpartition("/")[2], "succeeded")
    assert job["name"] == preset
    assert verdict is None or client.fit(job["id"])["diagnosis"]["verdict"] == verdict


def test_pressing_twice_makes_one_job_and_a_change_makes_another(open_page: Opener, client: Client) -> None:
    name = "pressed twice"
    page = open_form(open_page, {"dataset": "iris", "name": name, "training": {"max_epochs": 1}})
    keys: list[str] = []
    page.on("request", lambda one: keys.append(one.headers["idempotency-key"]) if "idempotency-key" in one.headers else None)
    page.evaluate("for (const _ of [1, 2, 3]) document.getElementById('form').requestSubmit()")
    page.wait_for_url("**/ui/jobs/job_*")
    assert len(set(keys)) == 1
    assert len(client.get(f"/v1/jobs?name={name}")["items"]) == 1
    page.go_back()
    page.wait_for_selector("#app:not([aria-busy])")
    expect(page.get_by_label("Name")).to_have_value(name)
    page.get_by_label("Max epochs").fill("2")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/ui/jobs/job_*")
    assert len(set(keys)) == 2
    assert len(client.get(f"/v1/jobs?name={name}")["items"]) == 2


def test_the_answer_to_the_latest_change_is_shown_whichever_comes_last(open_page: Opener) -> None:
    page = open_page()
    page.add_init_script("""const real = window.fetch; window.fetch = async (path, options) => {
        const answer = await real(path, options);
        if (String(options?.body).includes('"max_epochs":7}')) {
            await new Promise((done) => setTimeout(done, 1200));
            document.documentElement.dataset.late = "1";
        }
        return answer; };""")
    page.goto("/ui/new?dataset=iris")
    epochs = page.get_by_label("Max epochs")
    with page.expect_response("**/v1/previews"):
        epochs.fill("7")
    page.wait_for_timeout(400)
    epochs.fill("8")
    page.wait_for_selector("html[data-late]")
    page.wait_for_timeout(200)
    expect(page.locator("#facts")).to_contain_text("Steps32")  # 105 rows are 4 batches of 32


def test_the_form_recovers_by_itself_once_the_service_is_back(open_page: Opener) -> None:
    page = open_page()
    page.add_init_script(OUTAGE)
    page.add_init_script(
        "document.addEventListener('readystatechange', () => sessionStorage.late ? (document.documentElement.dataset.away = '1') : 0)"
    )
    page.goto("/ui/new?dataset=iris")
    expect(page.locator("#state")).to_have_text("✓ It can run")
    page.evaluate("document.documentElement.dataset.away = '1'")
    page.get_by_label("Max epochs").fill("7")
    expect(page.locator("#state")).to_have_text("No connection, trying again")
    page.evaluate("delete document.documentElement.dataset.away")
    expect(page.locator("#state")).to_have_text("✓ It can run")
    assert spec_of(page)["training"] == {"max_epochs": 7}
    page.evaluate("document.documentElement.dataset.away = '1'")
    page.get_by_role("button", name="Submit").click()
    expect(page.locator("#state")).to_have_text("No connection, trying again")
    page.evaluate("delete document.documentElement.dataset.away")
    expect(page.locator("#state")).to_have_text("✓ It can run")
    expect(page.locator("#submit")).to_be_enabled()
    page.evaluate("sessionStorage.late = '1'")
    page.reload()
    expect(page.locator("#state")).to_have_text("No connection, trying again")
    page.evaluate("delete document.documentElement.dataset.away")
    expect(page.locator("#state")).to_have_text("✓ It can run")
    expect(page.get_by_label("Max epochs")).to_have_value("7")


def test_a_dataset_can_be_chosen_by_the_address(open_page: Opener) -> None:
    page = open_page("/ui/new?dataset=penguins")
    expect(page.get_by_label("Dataset")).to_have_value("penguins")


def test_enter_in_a_field_checks_and_makes_no_job(open_page: Opener, client: Client) -> None:
    page = open_form(open_page, {"dataset": "iris", "name": "entered"})
    page.get_by_label("Max epochs").fill("0")
    page.get_by_label("Max epochs").press("Enter")
    page.get_by_label("Dataset").press("Enter")
    expect(page.locator("#state")).to_have_text("✗ 1 to mend")
    page.get_by_label("Max epochs").fill("2")
    page.get_by_label("Max epochs").press("Enter")
    expect(page.locator("#state")).to_have_text("✓ It can run")
    assert client.get("/v1/jobs?name=entered")["items"] == []


def test_a_help_says_one_thing_for_what_is_left_empty(open_page: Opener) -> None:
    page = open_form(open_page, JOBS["search"]["value"])
    hints = " ".join(page.locator("#app .hint").all_text_contents())
    assert "null" not in hints
    assert "[]" not in hints
    units = page.locator(".field", has=page.get_by_label("Hidden units")).locator(".hint")
    expect(units).to_contain_text("none is a linear model")
    expect(units).to_contain_text("empty: none")


def test_a_fault_within_a_setting_names_the_setting_as_one_writes_it(open_page: Opener) -> None:
    variants = [{"label": "a", "set": {"/network/hidden_units": "wide"}}, {"label": "b", "set": {}}]
    page = open_form(open_page, {"dataset": "iris", "plan": {"name": "comparison", "variants": variants}})
    page.get_by_role("button", name="/plan/variants/0/set /network/hidden_units").click()
    value = page.get_by_role("group", name="Variant 1").get_by_label("Value", exact=True)
    expect(value).to_be_focused()
    expect(page.locator(".error", has_text="~1")).to_have_count(0)
    page.get_by_role("group", name="Variant 1").get_by_role("button", name="Add setting").click()
    page.get_by_role("group", name="Variant 1").get_by_label("Setting (JSON pointer)").last.fill("/network/hidden_units")
    expect(page.get_by_role("group", name="Variant 1")).to_contain_text("It stands again below")


def test_the_request_is_told_for_curl_python_the_command_and_as_json(open_page: Opener) -> None:
    page = open_form(open_page, {"dataset": "iris", "name": "it's one", "split": {"name": "holdout", "shuffle": False}})
    code = page.locator("#twins code")
    for name, words in {"curl": "it'\\''s one", "Python": '"shuffle": False', "CLI": "holdout train -", "JSON": '"shuffle": false'}.items():
        page.get_by_role("button", name=name, exact=True).click()
        expect(code).to_contain_text(words)


def test_a_job_is_made_with_the_keyboard_alone(open_page: Opener, client: Client) -> None:
    page = open_form(open_page, {"dataset": "iris", "name": "by keyboard", "training": {"max_epochs": 1}})
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "submit":
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/ui/jobs/job_*")
    assert client.job(page.url.rpartition("/")[2])["name"] == "by keyboard"


@pytest.mark.parametrize("how", [{"scheme": "light"}, {"scheme": "dark"}, {"phone": True}])
def test_the_form_is_accessible(how: dict[str, Any], open_page: Opener, assert_accessible: Callable[[Page], None]) -> None:
    page = open_form(open_page, JOBS["search"]["value"], **how)
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    page.get_by_label("Max epochs").fill("-1")
    expect(page.locator("#state")).to_contain_text("to mend")
    expect(page.locator("#submit")).to_be_in_viewport()
    assert_accessible(page)
    page.get_by_label("Max epochs").fill("3")
    expect(page.locator("#state")).to_have_text("✓ It can run")
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(
    "plan",
    [
        {"name": "comparison", "variants": [{"label": "a", "set": {"/optimizer/learning_rat": 1}}, {"label": "b", "set": {}}]},
        {"name": "search", "space": {"/split/folds": {"values": [2, 3]}}},
        {"name": "bias_variance", "axis": {"/network/hidden_unit": {"values": [[1], [2]]}}},
    ],
)
def test_a_setting_that_there_is_not_is_marked_itself_and_not_its_value(open_page: Opener, plan: dict[str, Any]) -> None:
    page = open_form(open_page, {"dataset": "iris", "plan": plan})
    expect(page.locator("#state")).to_have_text("✗ 1 to mend")
    setting = page.get_by_label("Setting (JSON pointer)")
    expect(setting).to_have_attribute("aria-invalid", "true")
    expect(setting).to_have_accessible_description(re.compile("unknown field|cannot be varied"))
    expect(page.locator("[aria-invalid]")).to_have_count(1)


def test_numbers_where_a_list_is_needed_are_told_how_a_list_is_written(open_page: Opener) -> None:
    variants = [{"label": "a", "set": {"/network/hidden_units": [4]}}, {"label": "b", "set": {}}]
    page = open_form(open_page, {"dataset": "iris", "plan": {"name": "comparison", "variants": variants}})
    value = page.get_by_role("group", name="Variant 1").get_by_label("Value", exact=True)
    value.fill("128, 128")
    expect(value).to_have_accessible_description(re.compile(r"must be a list, written in brackets: \[128, 64\]"))


def test_only_what_can_be_varied_is_offered_as_a_setting(open_page: Opener) -> None:
    page = open_form(open_page, {"dataset": "iris", "plan": {"name": "search", "space": {"/optimizer/learning_rate": {"values": [1, 2]}}}})
    offered = [one.get_attribute("value") or "" for one in page.locator("#pointers option").all()]
    assert {one.split("/")[1] for one in offered} == set(SETTABLE)


def test_the_name_of_every_built_in_dataset_fits_its_list(open_page: Opener) -> None:
    page = open_form(open_page)
    room = page.get_by_label("Dataset", exact=True).evaluate("""(one) => {
        const pen = document.createElement('canvas').getContext('2d');
        pen.font = getComputedStyle(one).font;
        return one.clientWidth - 40 - Math.max(...[...one.querySelectorAll("optgroup[label='Built in'] option")].map((option) => pen.measureText(option.text).width));
    }""")
    assert room >= 0

"""The page of jobs beside one another."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.dashboard.conftest import Opener
from tests.system import Client


def test_two_jobs_of_one_seed_have_the_same_start_and_their_differences_listed(
    open_page: Opener, client: Client, assert_accessible: Callable[[Page], None]
) -> None:
    specs = [{"name": name, "learning_rate": rate} for name, rate in (("sgd", 0.1), ("adam", 0.01))]
    ids = [client.run("iris", name=one["name"], optimizer=one, training={"max_epochs": 4})[0]["id"] for one in specs]
    page = open_page(f"/ui/compare?jobs={','.join(ids)}")
    expect(page.locator("#start")).to_contain_text("Same start")
    fields = page.locator("#comparison tbody th code").all_inner_texts()
    assert {"/optimizer/name", "/optimizer/learning_rate"} <= set(fields)
    assert "/seed" not in fields
    expect(page.locator("#comparison tbody tr").filter(has_text="validation loss").locator("td", has_text="(best)")).to_have_count(1)
    assert_accessible(page)
    page.get_by_role("button", name="Take sgd away").click()
    expect(page.locator("#comparison thead a")).to_have_count(1)
    assert ids[0] not in page.url


def test_losses_of_different_kinds_share_no_axis(open_page: Opener, client: Client) -> None:
    small = {"training": {"max_epochs": 2}}
    ids = [client.run(name, name=f"{name} beside another" * 4, **small)[0]["id"] for name in ("iris", "diabetes")]
    page = open_page(f"/ui/compare?jobs={','.join(ids)}")
    expect(page.locator("#start")).to_contain_text("the curves are those of cross-entropy (nats)")
    expect(page.locator("figure").first).to_have_attribute("data-series", "2")
    expect(page.locator("#comparison tbody td", has_text="(best)")).to_have_count(0)


def test_many_jobs_of_long_names_stay_within_the_page(open_page: Opener, client: Client) -> None:
    ids = [client.run("iris", name=f"{number} {'a long name ' * 14}", training={"max_epochs": 1})[0]["id"] for number in range(8)]
    for phone in (False, True):
        page = open_page(f"/ui/compare?jobs={','.join(ids[:7])}", phone=phone)
        expect(page.locator("#comparison thead a")).to_have_count(7)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_a_varied_network_and_what_the_best_one_came_to_are_told(open_page: Opener, client: Client) -> None:
    variants = [{"label": str(width), "set": {"/network/hidden_units": [width]}} for width in (2, 16)]
    spec = {"training": {"max_epochs": 3}, "plan": {"name": "comparison", "variants": variants}}
    compared = client.until(client.submit("iris", name="two widths", **spec)["id"], "succeeded")
    single = client.run("iris", name="one width", training={"max_epochs": 3})[0]
    page = open_page(f"/ui/compare?jobs={compared['id']},{single['id']}")
    rows = page.locator("#comparison tbody tr")
    expect(rows.filter(has_text="network").locator("td").first).to_have_text("MLP, varied")
    expect(rows.filter(has_text="parameters").locator("td").first).to_have_text("19 to 131")
    loss = client.job(compared["id"])["outcome"]["val_loss"]
    shown = rows.filter(has_text="validation loss").locator("td").first.inner_text().split(" ")[0]
    assert abs(float(shown) - loss) < 1e-3


FOLDS = {"name": "k_fold", "folds": 3, "test_fraction": 0.2}
RATE = "/optimizer/learning_rate"
SEARCH = {"name": "search", "method": "grid", "space": {RATE: {"values": [0.001, 0.03]}}}


def _done(client: Client, **spec: Any) -> dict[str, Any]:
    return client.until(client.submit("iris", **{"training": {"max_epochs": 3}, **spec})["id"], "succeeded")


def _cells(page: Page, name: str) -> Locator:
    return page.locator("#comparison tbody tr", has=page.get_by_role("rowheader", name=name, exact=True)).locator("td")


def _value(cell: Locator) -> float:
    return float(cell.inner_text().split(" ")[0])


def test_the_figures_of_a_column_are_of_the_same_fits(open_page: Opener, client: Client) -> None:
    folds = _done(client, name="folds", split=FOLDS, plan={"name": "fit", "refit": True})
    searched = _done(client, name="searched", split=FOLDS, plan=SEARCH)
    variants = [{"label": str(rate), "set": {RATE: rate}} for rate in (0.001, 0.03)]
    compared = _done(client, name="compared", split=FOLDS, plan={"name": "comparison", "variants": variants})
    page = open_page(f"/ui/compare?jobs={folds['id']},{searched['id']},{compared['id']}")
    expect(page.locator("#comparison thead a")).to_have_count(3)
    best = next(one for one in compared["result"]["variants"] if one["rank"] == 1)
    chosen = next(one for one in searched["result"]["candidates"] if one["number"] == searched["result"]["choice"]["chosen"])
    fits = [one for one in searched["result"]["fits"] if one["number"] in chosen["fits"]]
    summary = folds["result"]["summary"]
    for code, name in (("train_loss", "training loss"), ("train_accuracy", "training accuracy"), ("val_accuracy", "validation accuracy")):
        part, _, figure = code.partition("_")
        expected = [summary[code]["mean"], sum(one[part][figure] for one in fits) / len(fits), best["summary"][code]["mean"]]
        for cell, value in zip(_cells(page, name).all(), expected, strict=True):
            assert abs(_value(cell) - value) < 1e-3
    expect(_cells(page, "training loss").first).to_contain_text("[")
    for name, figure in (("test loss, measured once", "loss"), ("test accuracy", "accuracy")):
        assert abs(_value(_cells(page, name).nth(1)) - searched["result"]["refit"]["test"][figure]["value"]) < 1e-3
    expect(_cells(page, "figures are of")).to_have_text(
        [
            "mean over 3 folds; test: the refit",
            f"candidate {chosen['number']}, mean over 3 folds; test: its refit",
            f"variant {best['label']}, mean over 3 folds",
        ]
    )
    expect(_cells(page, "diagnosis")).to_have_text(["several fits"] * 3)


def test_a_search_is_drawn_by_the_fits_of_its_choice_and_what_is_not_drawn_is_said(open_page: Opener, client: Client) -> None:
    searched = _done(client, name="searched", plan=SEARCH)
    single = _done(client, name="single")
    page = open_page(f"/ui/compare?jobs={searched['id']},{single['id']}")
    expect(page.locator("figure").first).to_have_attribute("data-series", "4")  # training and validation of either
    expect(page.locator("#start")).to_contain_text("Drawn are 1 of 3 fits of searched: those that the figures below are of.")
    chosen = client.get(f"/v1/jobs/{searched['id']}/fits/{searched['result']['choice']['chosen']}")
    expect(_cells(page, "best epoch / last").first).to_have_text(f"{chosen['best_epoch']} / {chosen['last_epoch']}")


@pytest.mark.parametrize(
    ("other", "count"),
    [
        ({"optimizer": {"name": "sgd", "learning_rate": 0.001}}, 1),
        ({"seed": 1}, 0),
        ({"split": {"name": "holdout", "val_fraction": 0.4}}, 0),
        ({"name": "equal"}, 0),
    ],
)
def test_best_is_who_is_better_on_the_same_rows(open_page: Opener, client: Client, other: dict[str, Any], count: int) -> None:
    ids = [_done(client, **spec)["id"] for spec in ({}, other)]
    page = open_page(f"/ui/compare?jobs={','.join(ids)}")
    expect(_cells(page, "validation loss")).to_have_count(2)
    expect(_cells(page, "validation loss").filter(has_text="(best)")).to_have_count(count)


def test_what_a_plan_varies_has_no_value_of_a_spec_that_no_fit_used(open_page: Opener, client: Client) -> None:
    searched, single = _done(client, plan=SEARCH), _done(client)
    page = open_page(f"/ui/compare?jobs={searched['id']},{single['id']}")
    expect(_cells(page, RATE).first).to_have_text("varied")
    expect(_cells(page, "/plan/space/~1optimizer~1learning_rate/values").first).to_have_text("[0.001,0.03]")


def test_jobs_without_a_name_are_offered_by_the_title_of_their_dataset(open_page: Opener, client: Client) -> None:
    rows = "\n".join(f"{i},{i % 2}" for i in range(40))
    schema = json.dumps({"target": "offered", "name": "rows to be offered", "task": "classification"})
    files = {"file": ("t.csv", f"x,offered\n{rows}\n".encode())}
    dataset = client.request("POST", "/v1/datasets", files=files, data={"schema": schema}).json()
    client.submit(dataset["id"], training={"max_epochs": 1})
    page = open_page("/ui/compare")
    expect(page.locator("#add option", has_text="fit on rows to be offered")).to_have_count(1)


BROKEN = """() => [...document.querySelectorAll('#comparison th, #comparison td')].flatMap((cell) => {
  const found = [], walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (const word of node.data.matchAll(/[a-z]+/gi)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      if (range.getClientRects().length > 1) found.push(word[0]);
    }
  }
  return found;
})"""


@pytest.mark.parametrize("phone", [False, True])
def test_words_of_the_comparison_break_nowhere_but_at_their_ends(open_page: Opener, client: Client, phone: bool) -> None:
    single, searched = _done(client), _done(client, plan={**SEARCH, "choose": "one_standard_error"}, split={"name": "k_fold", "folds": 3})
    ids = [single["id"], searched["id"], *(_done(client, seed=seed)["id"] for seed in range(1, 5))]
    page = open_page(f"/ui/compare?jobs={','.join(ids)}", phone=phone)
    expect(page.locator("#comparison thead a")).to_have_count(6)
    assert page.evaluate(BROKEN) == []
    button = page.get_by_role("button", name="Show all fields").bounding_box()
    assert button is not None
    assert button["x"] + button["width"] <= page.evaluate("document.querySelector('[aria-label=Comparison]').getBoundingClientRect().right")


def test_the_table_leaves_as_markdown_with_a_cell_for_each_job_and_no_button(open_page: Opener, client: Client) -> None:
    ids = [_done(client, name=name)["id"] for name in ("one | other", "second")]
    page = open_page(f"/ui/compare?jobs={','.join(ids)}", permissions=["clipboard-read", "clipboard-write"])
    expect(page.locator("#comparison thead a")).to_have_count(2)
    page.get_by_role("button", name="Copy as Markdown").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    lines = page.evaluate("navigator.clipboard.readText()").split("\n")
    assert "Show all fields" not in "".join(lines)
    assert {line.replace("\\|", "").count("|") for line in lines} == {4}
    assert lines[0] == "| Figure | one \\| other | second |"


def test_an_id_is_shortened_as_in_the_list_of_jobs(open_page: Opener, client: Client) -> None:
    ids = [_done(client, name="of one name")["id"] for _ in range(2)]
    page = open_page(f"/ui/compare?jobs={','.join(ids)}")
    expect(page.locator("#comparison thead a")).to_have_text([f"of one name {one[-8:]}" for one in ids])
    page = open_page("/ui/compare")
    for one in ids:
        expect(page.locator(f"#add option[value={one}]")).to_have_text(f"of one name ({one[-8:]})")
    page = open_page("/?name=of one name")
    expect(page.locator("#jobs .id")).to_have_text([one[-8:] for one in reversed(ids)])

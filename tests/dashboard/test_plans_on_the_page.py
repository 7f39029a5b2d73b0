"""What plans concluded, in their card of a job's page."""

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.dashboard.conftest import Opener
from tests.system import Client

WRITTEN = "(() => { const all = (window.written = []); const fill = CanvasRenderingContext2D.prototype.fillText; CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) { all.push(text); return fill.call(this, text, ...rest); }; })()"
RATE = "/optimizer/learning_rate"
NETWORK = {"name": "mlp", "hidden_units": [4]}
HOLDOUT = {"name": "holdout", "val_fraction": 0.2, "test_fraction": 0.2}
THREE = {"name": "k_fold", "folds": 3}
GRID = {"method": "grid", "space": {RATE: {"values": [0.001, 0.01, 0.1]}}}
DRAWS = {"name": "search", "method": "random", "candidates": 9, "space": {RATE: {"low": 1e-4, "high": 0.3, "log": True}}}
HALVED = {**DRAWS, "halving": {"factor": 3, "first_epochs": 1}}
NESTED = {"name": "nested_cv", "inner_split": THREE, "search": {**GRID, "metric": "val_accuracy"}}
RESAMPLED = {"name": "bias_variance", "resamples": 3, "axis": {"/network/hidden_units": {"values": [[1], [4]]}}}


def done(client: Client, dataset: str, epochs: int = 2, **spec: Any) -> dict[str, Any]:
    spec = {"network": NETWORK, "training": {"max_epochs": epochs}, **spec}
    return client.until(client.submit(dataset, **spec)["id"], "succeeded")


def opened(open_page: Opener, job: dict[str, Any]) -> tuple[Page, Locator]:
    """Open a job's page that keeps what is written into its charts; give it and the plan's card."""
    page = open_page()
    page.add_init_script(WRITTEN)
    page.goto(f"/ui/jobs/{job['id']}")
    card = page.get_by_role("region", name="What the plan concluded")
    expect(card).to_be_visible()
    for figure in card.locator("figure").all():
        expect(figure).not_to_have_attribute("data-drawn", "0")
    return page, card


def written(page: Page) -> set[str]:
    return set(page.evaluate("written"))


def test_a_learning_curve_tells_its_last_change_and_leaves_the_conclusion_to_the_service(open_page: Opener, client: Client) -> None:
    _, card = opened(open_page, done(client, "iris", plan={"name": "learning_curve"}))
    caption = card.locator("figcaption")
    expect(caption).to_contain_text("the last step changed the validation loss by")
    assert not re.search("help|cannot be told", caption.inner_text())


@pytest.mark.parametrize(
    ("dataset", "spec", "axis"),
    [
        ("iris", {"split": THREE, "plan": NESTED}, "accuracy"),
        ("diabetes", {"plan": {"name": "search", **GRID, "metric": "val_r2"}}, "R²"),
        ("diabetes", {"plan": {"name": "search", **GRID, "metric": "val_rmse"}}, "RMSE (points of a clinical score)"),
        ("diabetes", {"split": THREE}, "MSE (points of a clinical score)²"),
        ("moons", {"split": {"name": "holdout", "val_fraction": 0.9}, "plan": RESAMPLED}, "0-1 loss"),
        ("noisy_sine", {"split": {"name": "holdout", "val_fraction": 0.9}, "plan": RESAMPLED}, "squared error (target units)²"),
        ("diabetes", {"plan": {"name": "boosting", "members": 2}}, "RMSE (points of a clinical score)"),
    ],
)
def test_the_axis_of_a_plans_chart_is_of_what_it_measured(
    open_page: Opener, client: Client, dataset: str, spec: dict[str, Any], axis: str
) -> None:
    page, _ = opened(open_page, done(client, dataset, **spec))
    assert axis in written(page)


@pytest.mark.parametrize("dataset", ["iris", "diabetes"])
@pytest.mark.parametrize("plan", ["bagging", "boosting"])
def test_figures_of_an_ensemble_stand_first_and_those_of_the_test_rows_are_among_them(
    open_page: Opener, client: Client, dataset: str, plan: str
) -> None:
    job = done(client, dataset, split=HOLDOUT, plan={"name": plan, "members": 2})
    _, card = opened(open_page, job)
    table = card.locator("h2 + .scroll table")
    parts = [part for part in ("train", "val", "test") if job["result"].get(part)]
    assert parts[-1] == "test"
    expect(table.locator("thead th")).to_have_count(1 + len(parts))
    expect(table.locator("tbody tr")).to_have_count(len(job["result"]["test"]))
    shown = table.get_by_role("row", name="accuracy" if dataset == "iris" else "R²").locator("td").all_inner_texts()
    values = [job["result"][part]["accuracy" if dataset == "iris" else "r2"] for part in parts]
    for text, one in zip(shown, values, strict=True):
        assert abs(float(text.partition(" [")[0].replace("\N{MINUS SIGN}", "-")) - one["value"]) < 1e-3
        assert "[" in text


def test_candidates_that_stopped_early_tell_their_last_score_behind_the_ranked_ones(open_page: Opener, client: Client) -> None:
    job = done(client, "diabetes", 9, plan=HALVED)
    page, card = opened(open_page, job)
    early = {str(one["number"]) for one in job["result"]["candidates"] if one["status"] == "pruned"}
    rows = card.get_by_role("region", name="Candidates").locator("tbody tr")
    assert early
    assert set(rows.locator("th").all_inner_texts()[-len(early) :]) == early
    for text in rows.all_inner_texts()[-len(early) :]:
        assert re.search(r"\d at epoch \d", text)
    assert {"0.001", "0.01"} <= written(page), "a range of logarithms has an axis of them"
    card.get_by_text("Numbers as a table").click()
    expect(card.get_by_role("columnheader", name="stopped early")).to_be_visible()
    for name in ("validation loss", "learning_rate"):
        card.get_by_role("button", name=name).click()
        expect(rows).to_have_count(9)


def test_headings_of_numbers_stand_over_them(open_page: Opener, client: Client) -> None:
    page, _ = opened(open_page, done(client, "iris", split=THREE, plan={"name": "search", **GRID}))
    for _ in ("job", "list"):
        expect(page.locator("tbody td.number").first).to_be_visible()
        wrong = page.evaluate("""() => [...document.querySelectorAll('table:has(thead)')].flatMap((table) => {
            const heads = table.tHead.rows[0].cells;
            return [...table.tBodies[0].rows].flatMap((row) => row.cells.length < heads.length ? [] : [...row.cells])
                .filter((cell) => cell.matches('td.number')).map((cell) => heads[cell.cellIndex])
                .flatMap((head) => [head, ...head.querySelectorAll('button')])
                .filter((one) => getComputedStyle(one).textAlign !== 'right').map((one) => one.textContent);
        })""")
        assert wrong == []
        page.goto("/")


def test_plus_minus_is_explained_where_it_stands_and_a_gap_beside_another_metric_is_of_the_loss(open_page: Opener, client: Client) -> None:
    variants = [{"label": str(rate), "set": {RATE: rate}} for rate in (0.1, 0.01)]
    plans = [{"name": "fit"}, {"name": "comparison", "variants": variants}, {"name": "search", **GRID, "metric": "val_accuracy"}, NESTED]
    for plan in plans:
        _, card = opened(open_page, done(client, "iris", split=THREE, plan=plan))
        expect(card.locator("caption").first).to_contain_text("± is one standard deviation over folds")
        if plan["name"] in {"comparison", "search"}:
            expect(card.get_by_role("columnheader", name="gap (loss)")).to_be_visible()
    single = done(client, "iris", plan={"name": "comparison", "variants": variants})
    _, card = opened(open_page, single)
    expect(card.locator("caption").first).not_to_contain_text("±")


def test_no_column_is_lost_on_paper(open_page: Opener, client: Client) -> None:
    names = [f"{rate} with a rather long label" for rate in (0.1, 0.01, 0.001)]
    variants = [{"label": name, "set": {RATE: float(name.split()[0])}} for name in names]
    compared = done(client, "iris", split=THREE, plan={"name": "comparison", "variants": variants})
    searched = done(client, "diabetes", 9, plan=HALVED)
    page = open_page()
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 688, "height": 1000})  # A4 within its margins
    for path in (
        f"jobs/{compared['id']}",
        f"jobs/{searched['id']}",
        f"compare?jobs={compared['id']},{searched['id']}&all=1",
    ):
        page.goto(f"/ui/{path}")
        expect(page.locator("tbody td.number").first).to_be_visible()
        wide = page.evaluate("""() => [...document.querySelectorAll('th, td')].filter((cell) => {
            const card = cell.closest('.card')?.getBoundingClientRect();
            return card && cell.getClientRects().length && (cell.getBoundingClientRect().right > card.right || cell.scrollWidth > cell.clientWidth + 1);
        }).map((cell) => cell.textContent)""")
        assert wide == []


def test_cards_stay_whole_on_paper_and_long_tables_go_on(open_page: Opener, client: Client) -> None:
    job = done(client, "iris", plan={"name": "search", **GRID})
    page = open_page()
    page.emulate_media(media="print")
    breaks = "one => getComputedStyle(one).breakInside"
    page.goto(f"/ui/jobs/{job['id']}")
    for name in ("Diagnosis", "Scores", "Facts"):
        assert page.get_by_role("region", name=name, exact=True).evaluate(breaks) == "avoid"
    assert page.get_by_role("region", name="Curves", exact=True).evaluate(breaks) == "auto"
    assert page.locator("#fits table").evaluate(breaks) == "avoid"
    page.goto(f"/ui/compare?jobs={job['id']}&all=1")
    expect(page.locator("#comparison tbody tr").nth(30)).to_be_visible()
    assert page.locator("#comparison").evaluate(breaks) == "auto"
    assert page.locator("#comparison tr").last.evaluate(breaks) == "avoid"


def test_why_a_variant_has_no_figures_stands_at_its_name_within_a_phone(open_page: Opener, client: Client) -> None:
    variants = [{"label": "fine", "set": {}}, {"label": "wild", "set": {RATE: 1e6}}]
    job = done(client, "diabetes", plan={"name": "comparison", "variants": variants}, optimizer={"name": "sgd", "learning_rate": 0.01})
    page = open_page(f"/ui/jobs/{job['id']}", phone=True)
    why = page.get_by_role("region", name="What the plan concluded").locator("tr", has_text="wild").locator(".trouble")
    expect(why).to_contain_text("no longer finite")
    box = why.bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 360
    assert box["height"] <= 110

"""One job's page: live curves, marks, words and files, whatever its plan."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from jobs.plans.extendable import is_extendable
from jobs.plans.results import Interval, shown
from jobs.spec import JobSpec
from tests.dashboard.conftest import Opener
from tests.plan_bodies import BODIES, body_of
from tests.system import Client

LONG = {"training": {"max_epochs": 10_000}}


def open_job(open_page: Opener, job_id: str, query: str = "", **look: Any) -> Page:
    page = open_page(f"/ui/jobs/{job_id}{query}", **look)
    page.wait_for_selector("figure[data-drawn]:not([data-drawn='0'])")
    return page


def _epochs(page: Page) -> int:
    return int(page.locator("figure[data-epochs]").get_attribute("data-epochs") or 0)


def _until_more(page: Page, epochs: int) -> None:
    """Wait until more epochs than these are drawn; the policy of pages forbids the browser to evaluate a condition."""
    give_up_at = time.monotonic() + 30
    while _epochs(page) <= epochs:
        assert time.monotonic() < give_up_at
        page.wait_for_timeout(50)


@pytest.fixture(scope="module")
def digits(client: Client) -> str:
    job, _ = client.run(
        "digits", name="digits <b>&amp;</b> for the page", training={"max_epochs": 12}, split={"name": "holdout", "test_fraction": 0.2}
    )
    return str(job["id"])


@pytest.fixture(scope="module")
def of_plans(client: Client) -> dict[str, str]:
    """Run a job of every plan."""
    asked = {name: client.submit(**body_of(name))["id"] for name in BODIES}
    for job_id in asked.values():
        client.until(job_id, "succeeded")
    return asked


def test_epochs_appear_while_it_trains_and_the_zoom_stays(open_page: Opener, client: Client) -> None:
    job_id = client.submit("digits", **LONG)["id"]
    client.until_epoch(job_id, 3)
    page = open_job(open_page, job_id)
    expect(page.locator("#badge")).to_have_text("Live")
    first = _epochs(page)
    _until_more(page, first + 20)
    page.get_by_role("button", name="Zoom in").first.click()
    zoomed = _epochs(page)
    _until_more(page, zoomed + 20)
    expect(page.get_by_role("button", name="Whole").first).to_be_enabled()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#status")).to_contain_text("cancelled", timeout=15_000)
    last = client.curve(job_id)["last_epoch"]
    expect(page.locator("figcaption").first).to_contain_text(f"of {last}")
    expect(page.locator("#badge")).to_be_hidden()


def test_without_the_stream_the_page_polls(open_page: Opener, client: Client) -> None:
    job_id = client.submit("digits", **LONG)["id"]
    client.until_epoch(job_id, 1)
    page = open_page()
    page.route("**/events*", lambda route: route.fulfill(status=429, json={"title": "Too many", "detail": "too many streams"}))
    page.goto(f"/ui/jobs/{job_id}")
    page.wait_for_selector("figure[data-epochs]")
    first = _epochs(page)
    _until_more(page, first + 5)
    expect(page.locator("#badge")).to_contain_text("Polling")
    client.request("POST", f"/v1/jobs/{job_id}/cancel")
    expect(page.locator("#status")).to_contain_text("cancelled", timeout=15_000)


def test_a_job_that_is_paused_and_resumed_by_its_buttons_goes_on(open_page: Opener, client: Client) -> None:
    job_id = client.submit("digits", **LONG)["id"]
    client.until_epoch(job_id, 1)
    page = open_job(open_page, job_id)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#status")).to_contain_text("paused", timeout=15_000)
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#status")).to_contain_text("running", timeout=20_000)
    client.request("POST", f"/v1/jobs/{job_id}/cancel")
    client.until(job_id, "cancelled")


def test_what_the_page_says_is_what_the_service_measured(open_page: Opener, client: Client, digits: str) -> None:
    curve = client.curve(digits)
    best = curve["best_epoch"]
    page = open_job(open_page, digits)
    expect(page.locator("h1")).to_have_text("digits <b>&amp;</b> for the page")
    assert page.locator("figure[data-best-epoch]").get_attribute("data-best-epoch") == str(best)
    page.get_by_text("Numbers as a table").first.click()
    rows = page.locator("figure").first.locator("details tbody tr")
    expect(rows).to_have_count(13)
    cells = rows.nth(best).locator("td").all_inner_texts()
    assert [float(text) for text in cells] == [pytest.approx(curve[name][best], rel=1e-3) for name in ("train_loss", "val_loss")]
    result = client.get(f"/v1/jobs/{digits}/result")
    expect(page.locator("#sentence")).to_have_text(re.compile(re.escape(result["sentence"]), re.IGNORECASE))
    expect(page.locator("#scores")).to_contain_text("test")
    expect(page.get_by_role("figure").filter(has_text="Reliability")).to_be_visible()


def test_the_view_is_in_the_address(open_page: Opener, digits: str) -> None:
    page = open_job(open_page, digits)
    page.select_option("#metric", "accuracy")
    page.get_by_role("button", name="log y").click()
    page.locator("#smoothing").fill("0.8")
    page.wait_for_url(re.compile("smooth=0.8"))
    again = open_job(open_page, digits, page.url[page.url.index("?") :])
    assert again.input_value("#metric") == "accuracy"
    expect(again.get_by_role("button", name="log y")).to_have_attribute("aria-pressed", "true")
    assert again.locator("figure[data-smoothing]").first.get_attribute("data-smoothing") == "0.8"


@pytest.mark.parametrize("name", BODIES)
def test_the_page_of_every_plan_draws_its_conclusion(
    open_page: Opener, client: Client, of_plans: dict[str, str], assert_accessible: Callable[[Page], None], name: str
) -> None:
    page = open_job(open_page, of_plans[name])
    job = client.job(of_plans[name])
    if name != "fit":
        expect(page.locator("#plan h2")).to_be_visible()
    if job["num_fits"] > 1:
        assert page.locator("#fits tbody tr").count() == job["num_fits"]
    assert (job["outcome"]["val_loss"] is None) == (name == "boosting")  # a vote of classes has no loss
    if job["num_fits"] > 1:  # the page opens on what is left to use, or else on a fit that the figures are of
        opened = page.locator("#fits [aria-current='true']").inner_text()
        numbers = {fit["label"]: fit["number"] for fit in client.get(f"/v1/jobs/{of_plans[name]}/fits")["items"]}
        assert numbers[opened] in ([job["result"]["fit"]] if job["result"].get("fit") else job["outcome"]["fits"])
    plan = JobSpec.model_validate(job["spec"]).plan
    assert page.get_by_role("button", name="Train on").count() == int(is_extendable(plan))
    assert_accessible(page)


@pytest.mark.parametrize("look", [{"scheme": "dark"}, {"phone": True}], ids=["dark", "phone"])
def test_the_page_is_accessible_in_every_look(
    open_page: Opener, digits: str, of_plans: dict[str, str], assert_accessible: Callable[[Page], None], look: dict[str, object]
) -> None:
    for job_id in (digits, of_plans["grid"]):
        page = open_job(open_page, job_id, **look)
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_paper_is_light_whole_and_names_every_line(open_page: Opener, of_plans: dict[str, str]) -> None:
    page = open_job(open_page, of_plans["comparison"], scheme="dark")
    swatch = page.locator(".readout .swatch").first
    on_screen = swatch.evaluate("one => getComputedStyle(one).borderTopColor")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 680, "height": 960})
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    assert (
        swatch.evaluate("one => getComputedStyle(one).borderTopColor") != on_screen
    )  # lines are drawn anew, in the colors for a light ground
    assert all(box["x"] + box["width"] <= 680 for box in (canvas.bounding_box() for canvas in page.locator(".plot canvas").all()) if box)
    assert page.locator(".readout").first.inner_text().count("train") >= 2
    for name in page.locator(".readout button, #fits tbody th button").all():
        expect(name).to_be_visible()
    expect(page.get_by_role("button", name="log y")).to_be_hidden()
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(page.locator("html")).not_to_have_attribute("data-theme", "light")
    assert swatch.evaluate("one => getComputedStyle(one).borderTopColor") == on_screen


def test_who_cancels_is_asked_first_and_told_what_stays_of_a_job_that_is_paused(open_page: Opener, client: Client) -> None:
    job = client.submit("digits", training={"max_epochs": 5000})
    client.until_epoch(job["id"], 1)
    assert client.request("POST", f"/v1/jobs/{job['id']}/pause").status_code == 202
    client.until(job["id"], "paused")
    page = open_job(open_page, job["id"])
    with page.expect_event("dialog") as asked:
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Cancel").click()
    assert "best weights stay in its checkpoint: Train on goes on from there" in asked.value.message
    expect(page.locator("#status")).to_contain_text("cancelled")
    expect(page.get_by_role("button", name="Train on")).to_be_visible()


def test_a_failed_job_says_why_and_how_to_go_on(open_page: Opener, client: Client) -> None:
    spec = {"optimizer": {"name": "sgd", "learning_rate": 1e6}, "training": {"max_epochs": 5}}
    job = client.until(client.submit("diabetes", **spec)["id"], "failed")
    page = open_job(open_page, job["id"])
    expect(page.locator("#trouble")).to_contain_text(job["failure"]["title"])
    expect(page.get_by_role("link", name="Change the spec and run it again")).to_have_attribute("href", f"/ui/new?from={job['id']}")


@pytest.mark.parametrize("phone", [False, True])
def test_long_words_of_others_stay_within_the_page(open_page: Opener, client: Client, phone: bool) -> None:
    variants = [{"label": letter * 64, "set": {"/optimizer/learning_rate": rate}} for letter, rate in (("W", 0.01), ("M", 0.1))]
    plan = {"name": "comparison", "variants": variants}
    job = client.submit("iris", name="W" * 200, metadata={"k" * 60: "v" * 300}, plan=plan, training={"max_epochs": 1})
    client.until(job["id"], "succeeded")
    page = open_job(open_page, job["id"], phone=phone)
    expect(page.get_by_role("region", name="Facts")).to_contain_text("k" * 60)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    value = page.locator("#facts dd", has_text="v" * 60).bounding_box()
    assert value is not None
    assert value["width"] > 80


def test_the_latest_job_has_an_address(open_page: Opener, client: Client) -> None:
    client.submit("iris", training={"max_epochs": 1})
    page = open_page("/ui/jobs/latest?metric=accuracy")
    page.wait_for_url(re.compile(f"/ui/jobs/{client.get('/v1/jobs?limit=1')['items'][0]['id']}.metric=accuracy$"))


def test_an_unknown_job_is_a_sentence(open_page: Opener) -> None:
    page = open_page("/ui/jobs/job_nope")
    expect(page.locator("h1")).to_have_text("No such job")


def test_the_model_and_the_report_leave_by_a_press(open_page: Opener, client: Client, digits: str) -> None:
    page = open_job(open_page, digits)
    for label, path in (
        ("Network (ONNX)", "/model?format=onnx"),
        ("SVG", "/report.svg"),
        ("Curves (CSV)", "/curves.csv"),
        ("Fits (JSON)", "/fits"),
        ("The job as the API gives it", ""),
    ):
        with page.expect_download() as found:
            page.get_by_role("button", name=label, exact=True).click()
        assert found.value.path().read_bytes() == client.request("GET", f"/v1/jobs/{digits}{path}").content


def test_when_all_fits_diverged_at_once_the_curves_say_so(open_page: Opener, client: Client) -> None:
    wild = {
        "optimizer": {"name": "sgd", "learning_rate": 1e6},
        "training": {"max_epochs": 5},
        "network": {"name": "mlp", "hidden_units": [64, 64]},
    }
    jobs = [client.submit("diabetes", **wild, **more)["id"] for more in ({}, {"split": {"name": "k_fold", "folds": 3}})]
    for job_id, who in zip(jobs, ("It", "All 3 fits"), strict=True):
        client.until(job_id, "failed")
        page = open_job(open_page, job_id)
        expect(page.locator("figcaption").first).to_have_text(
            f"{who} diverged in the first epoch; what is drawn is the network before any update."
        )
        expect(page.get_by_role("region", name="Facts")).to_contain_text("sgd 1e6")


@pytest.mark.parametrize(("dataset", "names"), [("iris", ["loss", "accuracy"]), ("diabetes", ["loss", "RMSE", "R²"])])
def test_figures_can_be_chosen_before_any_was_measured(open_page: Opener, client: Client, dataset: str, names: list[str]) -> None:
    job, _ = client.run(dataset, training={"max_epochs": 1})
    fits = client.get(f"/v1/jobs/{job['id']}/fits")
    for fit in fits["items"]:
        fit.update(last=None, best=None)
    page = open_page()
    page.route("**/fits", lambda route: route.fulfill(json=fits))
    page.goto(f"/ui/jobs/{job['id']}")
    expect(page.locator("#metric option")).to_have_text([*names, "objective", "learning rate"])


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [(3003.2, 2316.4, 3680.7), (0.003844, -0.0255, 0.0459), (2.2861, 2.27, 2.3), (1_234_567.2, 999.7, 2_000_000), (1.0, 1.0, 1.0),
     (0.000244, 0.0, 0.000532), (-3.2e-7, -4e-7, 1e-6), (2.5e12, 1e9, 4e12), (0.5, 0.0, 123.4), (0.8125, 0.6875, 0.9375), (-1234.5, -2000.5, 2.5), (0.0, 0.0, 0.0)],
)  # fmt: skip
def test_an_interval_is_rounded_as_sentences_round_it(open_page: Opener, value: float, low: float, high: float) -> None:
    page = open_page("/ui/nothing")
    one = {"value": value, "low": low, "high": high}
    found = page.evaluate(
        "one => import(document.querySelector('script[type=module]').src.replace(/[^/]+$/, 'format.js')).then((all) => all.interval(one))",
        one,
    )
    assert found.replace(",", "").replace(" ", ", ").replace(", [", " [").replace("\N{MINUS SIGN}", "-") == shown(Interval(**one))

"""What pages do while the service is away, busy or refuses, and after it."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.dashboard.conftest import Opener
from tests.dashboard.forms import MODULE, open_form, spec_of
from tests.system import Client

ANSWER = """
const real = window.fetch;
window.fetch = (address, options) => {
  const { status, at } = JSON.parse(sessionStorage.answer ?? "{}");
  if (!status || !new RegExp(at).test(String(address))) return real(address, options);
  const headers = { "Content-Type": "application/problem+json", "Retry-After": "1" };
  return Promise.resolve(new Response(JSON.stringify({ title: `Out ${status}`, detail: "It is out for now.", status }), { status, headers }));
};"""
"""Answers in the service's place: what a browser gets of a real failure it writes to the console, which fails a test."""


def _answering(page: Page, status: int | None, at: str = "/v1/") -> None:
    page.evaluate("(answer) => (sessionStorage.answer = answer)", json.dumps({"status": status, "at": at}))


def _opened_amid(open_page: Opener, path: str, status: int, at: str = "/v1/") -> Page:
    """Open a page while requests that match are answered so, until the test answers otherwise."""
    page = open_page()
    page.add_init_script(f"sessionStorage.answer ??= {json.dumps(json.dumps({'status': status, 'at': at}))}")
    page.add_init_script(ANSWER)
    page.goto(path)
    return page


@pytest.fixture(scope="module")
def job(client: Client) -> str:
    found, _ = client.run("iris", name="read amid outages", training={"max_epochs": 3})
    return str(found["id"])


@pytest.mark.parametrize(
    ("path", "status", "place"),
    [
        ("/?name=read+amid", 500, "#jobs tbody tr"),
        ("/ui/jobs/{job}", 500, "figure[data-epochs]"),
        ("/ui/jobs/{job}", 429, "figure[data-epochs]"),
        ("/ui/jobs/latest", 503, "figure[data-epochs]"),
        ("/ui/compare?jobs={job}", 429, "#comparison thead a"),
        ("/ui/compare?jobs={job}", 503, "#comparison thead a"),
        ("/ui/datasets", 500, "#datasets tbody tr"),
        ("/ui/datasets/iris", 429, "#picture img"),
        ("/ui/new?from={job}", 503, "text=It can run"),
    ],
)
def test_every_page_says_what_is_wrong_and_reads_again_until_it_is_read(
    open_page: Opener, job: str, path: str, status: int, place: str
) -> None:
    page = _opened_amid(open_page, path.format(job=job), status)
    expect(page.locator(".notice", has_text="It is out for now.").first).to_contain_text("It is tried again by itself.")
    _answering(page, None)
    expect(page.locator(place).first).to_be_visible(timeout=15_000)
    expect(page.get_by_text("It is out for now.")).to_have_count(0)


@pytest.mark.parametrize("at", ["/fits", "/curves", "/preview.png", "/v1/jobs.dataset", "/v1/jobs.limit=50"])
def test_a_part_that_is_not_read_is_read_again_as_a_page_is(open_page: Opener, job: str, at: str) -> None:
    paths = {"/preview.png": "/ui/datasets/iris", "/v1/jobs.dataset": "/ui/datasets/iris", "/v1/jobs.limit=50": f"/ui/compare?jobs={job}"}
    page = _opened_amid(open_page, paths.get(at, f"/ui/jobs/{job}"), 503, at)
    expect(page.get_by_text("It is out for now.")).to_be_visible()
    _answering(page, None)
    expect(page.get_by_text("It is out for now.")).to_have_count(0, timeout=15_000)
    expect(page.locator("figure, #picture img").first).to_be_visible()


def test_a_job_that_is_deleted_elsewhere_is_called_so_and_has_no_buttons(open_page: Opener, client: Client) -> None:
    asked = client.submit("digits", name="deleted elsewhere", training={"max_epochs": 10_000})["id"]
    client.until_epoch(asked, 1)
    page = _opened_amid(open_page, f"/ui/jobs/{asked}", 404, "nothing")
    expect(page.locator("#badge")).to_have_text("Live")
    _answering(page, 404)
    expect(page.locator("h1")).to_have_text("This job was deleted")
    expect(page.get_by_role("main").get_by_role("button")).to_have_count(0)
    client.request("POST", f"/v1/jobs/{asked}/cancel")
    page.get_by_role("link", name="All jobs").click()
    page.wait_for_url(re.compile("/$"))


def _give(page: Page, key: str) -> None:
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_role("button", name="Use it").click()


@pytest.mark.parametrize("path", ["/", "/ui/jobs/{job}", "/ui/compare?jobs={job}", "/ui/datasets", "/ui/new"])
def test_a_refused_key_is_called_refused_and_who_closes_the_dialog_is_left_alone(open_page: Opener, job: str, path: str) -> None:
    page = _opened_amid(open_page, path.format(job=job), 401)
    dialog, button = page.get_by_role("dialog"), page.locator("#key-button")
    expect(dialog).to_contain_text("This service asks for a key.")
    expect(button).to_have_text("Key")
    _give(page, "wrong")
    expect(dialog).to_contain_text("This key is not valid, or not any more.")
    expect(button).to_have_text("Key ✗")
    expect(page.get_by_role("main").get_by_text("It is out for now.")).to_be_visible()
    expect(page.get_by_text("again")).to_have_count(0)
    page.keyboard.press("Escape")
    page.evaluate(f"{MODULE.replace('{name}', 'api')}.then((api) => api.refuse())")
    expect(dialog).to_be_hidden()
    button.click()
    expect(dialog).to_contain_text("not valid")
    _answering(page, None)
    _give(page, "Authorization: Bearer hk_right ")
    expect(dialog).to_be_hidden()
    expect(button).to_have_text("Key ✓")
    assert page.evaluate("sessionStorage['holdout-key']") == "hk_right"


def test_what_cannot_be_a_key_is_refused_in_the_dialog_and_harms_no_page(open_page: Opener) -> None:
    page = open_page("/")
    page.locator("#key-button").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.get_by_text("asks for a key")).to_have_count(0)
    _give(page, "ключ")
    expect(page.get_by_role("dialog")).to_contain_text("This is no key")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.evaluate("sessionStorage['holdout-key'] = 'ключ'")
    page.reload()
    expect(page.locator("#badge")).to_have_text("Live")


def test_the_list_says_what_the_service_said(open_page: Opener) -> None:
    page = open_page("/?dataset=%00")
    expect(page.locator("#badge")).to_have_text(re.compile("^Unprocessable"))
    expect(page.locator("#list [role=alert]")).to_be_visible()
    page.get_by_label("Dataset", exact=True).fill("")
    expect(page.locator("#badge")).to_have_text("Live")


@pytest.mark.parametrize("address", ["?from=job_nope", "?from={job}&fit=99", "#spec=broken", "#spec=%E0%A4%A", "#spec=5", "#spec=[]"])
def test_an_address_that_cannot_be_read_leaves_a_form_to_be_filled(open_page: Opener, job: str, address: str) -> None:
    page = open_page("/ui/new" + address.format(job=job))
    expect(page.locator("#unread [role=alert]")).to_be_visible()
    assert page.get_by_text("The address holds no spec").count() == int(address.startswith("#"))
    expect(page.locator("#state")).to_have_text("✓ It can run")
    assert spec_of(page) == {"dataset": "digits"}


def test_another_jobs_spec_goes_onto_the_dataset_that_the_address_names(open_page: Opener, job: str) -> None:
    page = open_page(f"/ui/new?from={job}&dataset=wine")
    expect(page.locator("#state")).to_have_text("✓ It can run")
    assert spec_of(page) == {"dataset": "wine", "name": "read amid outages", "seed": 0, "training": {"max_epochs": 3}}


def test_an_unknown_dataset_and_the_way_to_others_stand_apart(open_page: Opener) -> None:
    page = open_form(open_page, {"dataset": "nothing"})
    error = page.locator(".field .error:not(:empty)").bounding_box()
    link = page.get_by_role("link", name="Look at them").bounding_box()
    assert error
    assert link
    assert link["y"] >= error["y"] + error["height"]


def _sending(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "typed.csv"
    path.write_text("a,b\n1,2\n")
    page.get_by_label("File", exact=True).set_input_files(path)
    page.get_by_label("Target").fill("b")
    page.get_by_role("button", name="Upload", exact=True).click()


def test_who_leaves_during_an_upload_is_asked(open_page: Opener, tmp_path: Path) -> None:
    page = open_page("/ui/datasets")
    asked: list[Route] = []

    def hold(route: Route) -> None:
        asked.append(route)

    page.route("**/v1/datasets", hold)
    _sending(page, tmp_path)
    expect(page.get_by_role("button", name="Upload", exact=True)).to_be_disabled()
    with page.expect_event("dialog") as found:
        page.close(run_before_unload=True)
    assert found.value.type == "beforeunload"
    found.value.dismiss()
    asked[0].fulfill(status=422, json={"title": "No", "detail": "not so"})
    expect(page.locator("#state")).to_contain_text("not so")
    with page.expect_event("close"):
        page.close(run_before_unload=True)


def test_an_upload_that_ends_in_an_outage_is_called_cut_off_and_can_be_sent_again(open_page: Opener, tmp_path: Path) -> None:
    page = open_page()
    page.add_init_script("Object.defineProperty(XMLHttpRequest.prototype, 'status', { get: () => 500 })")
    page.route("**/v1/datasets", lambda route: route.fulfill(status=418, body="Internal Server Error"))
    page.goto("/ui/datasets")
    _sending(page, tmp_path)
    expect(page.locator("#state")).to_contain_text("The upload was cut off")
    expect(page.get_by_label("Target")).to_have_value("b")
    expect(page.get_by_role("button", name="Upload", exact=True)).to_be_enabled()


def test_what_a_button_could_not_do_is_said_once_where_it_was_pressed(open_page: Opener, job: str) -> None:
    page = _opened_amid(open_page, f"/ui/jobs/{job}", 503, "/report|DELETE|/extend")
    for section, label in (("Take it with you", "PNG"), (None, "Train on")):
        page.on("dialog", lambda dialog: dialog.accept())
        button = (page.get_by_role("region", name=section) if section else page.locator("#head")).get_by_role(
            "button", name=label, exact=True
        )
        for _ in range(2):
            button.click()
            expect(page.get_by_text("It is out for now.").last).to_be_in_viewport()
        expect(page.locator(f"#{'files' if section else 'head'}-said .notice")).to_have_count(1)
        page.reload()


def test_tables_of_numbers_are_called_after_their_charts(open_page: Opener, job: str) -> None:
    page = open_page(f"/ui/jobs/{job}")
    for one in page.get_by_text("Numbers as a table").all():
        one.click()
    regions = page.locator("figure [role=region]")
    expect(regions.nth(1)).to_be_visible()
    names = [one.get_attribute("aria-label") for one in regions.all()]
    assert len(set(names)) == len(names)


def test_a_paused_job_has_trained_for_as_long_as_it_has_and_is_asked_for_seldom(open_page: Opener, client: Client) -> None:
    asked = client.submit("digits", name="paused in the list", training={"max_epochs": 10_000})["id"]
    client.until_epoch(asked, 1)
    client.request("POST", f"/v1/jobs/{asked}/pause")
    client.until(asked, "paused")
    page = open_page()
    requests: list[str] = []
    page.on("request", lambda one: requests.append(one.url) if "/v1/jobs?" in one.url else None)
    page.clock.install()
    page.goto("/?name=paused+in+the+list&shown=342")
    expect(page.locator('[data-label="Trained"]')).to_have_text(re.compile(r"\d"))
    page.clock.run_for(4000)
    assert len(requests) == 1
    assert "limit=100&" in requests[0]
    with page.expect_request("**/v1/jobs?*"):
        page.clock.run_for(2000)
    client.request("POST", f"/v1/jobs/{asked}/cancel")

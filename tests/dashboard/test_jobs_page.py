"""The list of jobs, as people use it."""

import json
import re
import uuid
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import Opener
from tests.system import Client


@pytest.fixture(scope="module")
def mark(client: Client) -> str:
    """Run three jobs that only this module's filters find; give what their names share."""
    found = f"listed-{uuid.uuid4().hex[:6]}"
    for i, units in enumerate(([], [4], [16])):
        client.run("iris", name=f"{found} {i}", network={"name": "mlp", "hidden_units": units}, training={"max_epochs": 2 + i})
    return found


@pytest.mark.parametrize("look", [{}, {"scheme": "dark"}, {"phone": True}], ids=["light", "dark", "phone"])
def test_the_list_is_accessible(open_page: Opener, mark: str, assert_accessible: Callable[[Page], None], look: dict[str, object]) -> None:
    page = open_page(f"/?name={mark}", **look)
    expect(page.locator("#jobs tbody tr")).to_have_count(3)
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_a_new_job_appears_and_ends_without_a_reload(open_page: Opener, client: Client, mark: str) -> None:
    page = open_page(f"/?name={mark}")
    page.evaluate("window.wasHere = true")
    job = client.submit("iris", name=f"{mark} live", training={"max_epochs": 10_000})
    row = page.locator(f'tr[data-id="{job["id"]}"]')
    expect(row).to_contain_text("running", timeout=10_000)
    client.request("POST", f"/v1/jobs/{job['id']}/cancel")
    expect(row).to_contain_text("cancelled", timeout=10_000)
    assert page.evaluate("window.wasHere")
    client.request("DELETE", f"/v1/jobs/{job['id']}")


def test_filters_are_in_the_address_and_come_back_with_it(open_page: Opener, mark: str) -> None:
    page = open_page("/")
    page.fill("#filter-name", f"{mark} 1")
    expect(page.locator("#jobs tbody tr")).to_have_count(1)
    page.click("button[data-status=succeeded]")
    page.wait_for_url(re.compile("status=succeeded"))
    again = open_page(page.url)
    expect(again.locator("#jobs tbody tr")).to_have_count(1)
    assert again.input_value("#filter-name") == f"{mark} 1"
    again.click("button[data-status=succeeded]")
    again.click("button[data-status=failed]")
    expect(again.locator("#list")).to_contain_text("No job fits these filters")


def test_columns_sort_and_jobs_are_chosen_and_compared_by_keyboard_alone(open_page: Opener, mark: str) -> None:
    page = open_page(f"/?name={mark}")
    expect(page.locator("#jobs tbody tr")).to_have_count(3)
    page.get_by_role("button", name="Validation loss").focus()
    page.keyboard.press("Enter")
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("Validation loss")
    losses = [float(text) for text in page.locator("#jobs tbody td[data-label='Validation loss']").all_inner_texts()]
    assert losses == sorted(losses)
    page.locator("body").press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("#actions a")).to_have_text("Compare 2")
    page.keyboard.press("c")
    page.wait_for_url(re.compile("/ui/compare"))
    expect(page.locator("#comparison thead a")).to_have_count(2)


def test_the_keys_are_told(open_page: Opener) -> None:
    page = open_page("/")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_contain_text("search by name")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.locator("#filter-name")).to_be_focused()


def test_the_theme_is_the_readers_and_stays(open_page: Opener) -> None:
    page = open_page("/")
    page.click("#theme-button")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"


def test_a_service_that_is_busy_is_told_of_and_what_was_read_stays(open_page: Opener, mark: str) -> None:
    page = open_page(f"/?name={mark}")
    expect(page.locator("#jobs tbody tr")).to_have_count(3)
    page.route("**/v1/jobs?*", lambda route: route.fulfill(status=429, json={"title": "busy"}))
    expect(page.locator("#badge")).to_have_text("busy, trying again", timeout=15_000)
    expect(page.locator("#jobs tbody tr")).to_have_count(3)
    page.unroute("**/v1/jobs?*")
    expect(page.locator("#badge")).to_have_text("Live", timeout=15_000)


def test_two_filters_typed_at_once_both_count(open_page: Opener, mark: str) -> None:
    page = open_page("/?name=zzz")
    expect(page.get_by_text("No job fits these filters.")).to_be_visible()
    page.evaluate(
        """(mark) => {
      for (const [id, value] of [["filter-name", mark], ["filter-dataset", "iris"]]) {
        const input = document.getElementById(id);
        input.value = value;
        input.dispatchEvent(new Event("input"));
      }
    }""",
        mark,
    )
    page.wait_for_url(f"**/?name={mark}&dataset=iris")
    expect(page.locator("#jobs tbody tr").first).to_be_visible()


def test_an_upload_is_called_by_its_title_and_found_by_it(open_page: Opener, client: Client) -> None:
    content = "a,b,kind\n" + "".join(f"{i},{i % 3},{'x' if i % 2 else 'y'}\n" for i in range(40))
    form = {"files": {"file": ("garden.csv", content.encode())}, "data": {"schema": json.dumps({"target": "kind", "name": "my garden"})}}
    dataset = client.request("POST", "/v1/datasets", **form).json()
    client.run(dataset["id"], training={"max_epochs": 1})
    page = open_page("/")
    expect(page.locator("#jobs tbody tr").first.locator('[data-label="Data"]')).to_have_text("my garden")
    page.get_by_label("Dataset", exact=True).fill("my garden")
    page.wait_for_url("**/?dataset=my+garden")
    expect(page.locator("#jobs tbody tr")).to_have_count(1)


def test_a_name_that_fills_the_line_ends_before_the_box_on_a_phone(open_page: Opener, client: Client) -> None:
    job = client.submit("iris", name=f"wide {'mmmm ' * 9}", training={"max_epochs": 1})
    page = open_page("/?name=wide", phone=True)
    row = page.locator(f"#jobs tr[data-id={job['id']}]")
    box = row.locator("input").bounding_box()
    assert box is not None
    rights = row.locator("a").evaluate("one => [...one.getClientRects()].map((line) => line.right)")
    assert len(rights) > 1
    assert max(rights) <= box["x"]

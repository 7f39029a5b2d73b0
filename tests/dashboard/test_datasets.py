"""The pages of datasets: what there is, an upload with its faults, what was found in it, and its end."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import Opener
from tests.system import Client

ROWS = [f"{i % 11},{(i * 7) % 9},{'abc'[i % 3]},{'yes' if i % 11 + (i * 7) % 9 > 8 else 'no'}" for i in range(60)]


@pytest.fixture
def csv(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Write a table that no other test uploads."""
    path = tmp_path / "scores.csv"
    path.write_text(f"hours,sleep,school,{request.node.name.replace('[', '_').rstrip(']')}\n" + "\n".join(ROWS) + "\n")
    return path


def _target(csv: Path) -> str:
    return csv.read_text().splitlines()[0].rpartition(",")[2]


def _upload(client: Client, csv: Path) -> dict[str, Any]:
    schema = json.dumps({"target": _target(csv), "name": f"scores for {_target(csv)}"})
    found = client.request("POST", "/v1/datasets", files={"file": ("scores.csv", csv.read_bytes())}, data={"schema": schema})
    assert found.status_code == 201, found.text
    answer: dict[str, Any] = found.json()
    return answer


def test_built_in_datasets_and_uploads_are_listed_with_their_sizes(open_page: Opener, client: Client, csv: Path) -> None:
    dataset = _upload(client, csv)
    page = open_page("/ui/datasets")
    row = page.get_by_role("row", name="Handwritten digits")
    for text in ("built in", "classification", "1,797", "1 \u00d7 8 \u00d7 8", "10"):
        expect(row).to_contain_text(text)
    expect(row.get_by_role("button", name="Delete")).to_have_count(0)
    mine = page.get_by_role("row", name=dataset["title"])
    expect(mine).to_contain_text("uploaded")
    mine.get_by_role("link", name=dataset["title"], exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(dataset["title"])


def test_a_file_becomes_a_dataset_and_a_job_can_name_it(open_page: Opener, client: Client, csv: Path) -> None:
    page = open_page("/ui/datasets")
    page.get_by_label("File", exact=True).set_input_files(csv)
    expect(page.locator("#columns option")).to_have_count(4)
    target = page.get_by_label("Target")
    target.fill("nothing")
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(target).to_have_attribute("aria-invalid", "true")
    expect(target).to_be_focused()
    target.fill(_target(csv))
    page.get_by_label("Title").fill("exam scores")
    page.get_by_text("More", exact=True).click()
    page.get_by_label("The rest of the schema").fill('{"columns": {"sleep": "category"}}')
    page.get_by_role("button", name="Upload", exact=True).click()
    page.wait_for_url("**/ui/datasets/ds_*")
    expect(page.get_by_role("heading", level=1)).to_have_text("exam scores")
    found = client.get(f"/v1/datasets/{page.url.rpartition('/')[2]}")
    assert found["upload"]["schema"]["columns"]["sleep"] == "category"
    page.get_by_role("link", name="New job with this dataset").click()
    expect(page.get_by_label("Dataset")).to_have_value(found["id"])


def test_a_file_may_be_dropped(open_page: Opener) -> None:
    page = open_page("/ui/datasets")
    page.evaluate("""() => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File(['one;two\\n1;2\\n'], 'dropped.csv'));
        document.querySelector('form.drop').dispatchEvent(new DragEvent('drop', {bubbles: true, cancelable: true, dataTransfer}));
    }""")
    expect(page.locator("#columns option")).to_have_count(2)
    expect(page.locator("#live")).to_have_text("dropped.csv was taken.")


def test_what_cannot_be_sent_is_said_before_it_is(open_page: Opener, csv: Path) -> None:
    page = open_page("/ui/datasets")
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_label("File", exact=True)).to_have_attribute("aria-invalid", "true")
    page.get_by_label("File", exact=True).set_input_files(csv)
    page.get_by_text("More", exact=True).click()
    page.get_by_label("The rest of the schema").fill("{no}")
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_label("The rest of the schema")).to_be_focused()


def test_a_dataset_tells_what_was_found_in_it(open_page: Opener, client: Client, csv: Path) -> None:
    dataset = _upload(client, csv)
    job = client.submit(dataset["id"], name="on my scores", training={"max_epochs": 1})
    page = open_page(f"/ui/datasets/{dataset['id']}")
    classes = page.get_by_role("region", name="Rows of each class")
    for label, count in zip(dataset["class_labels"], dataset["class_counts"], strict=True):
        expect(classes.get_by_role("row", name=label)).to_contain_text(str(count))
    expect(page.get_by_role("region", name="What was found in each column").get_by_role("row")).to_have_count(5)
    expect(page.get_by_role("region", name="As they came in the file").get_by_role("row", name="1 0 0 a no")).to_be_visible()
    picture = page.get_by_role("img", name="Histograms")
    expect(picture).to_be_visible()
    assert picture.evaluate("async (one) => { await one.decode(); return one.naturalWidth }") > 100
    expect(page.get_by_role("link", name="on my scores")).to_have_attribute("href", f"/ui/jobs/{job['id']}")
    page.get_by_text("Show it").click()
    expect(page.locator("pre")).to_contain_text('"target"')
    for warning in dataset["upload"]["profile"]["warnings"]:
        expect(page.get_by_text(warning)).to_be_visible()


def test_a_dataset_goes_when_somebody_said_so_twice_and_no_job_uses_it(open_page: Opener, client: Client, csv: Path) -> None:
    dataset = _upload(client, csv)
    job = client.submit(dataset["id"], training={"max_epochs": 1})
    page = open_page(f"/ui/datasets/{dataset['id']}")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Keep it").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_role("alert")).to_contain_text("used by 1 job")
    client.until(job["id"], "succeeded")
    assert client.request("DELETE", f"/v1/jobs/{job['id']}").status_code == 204
    page.get_by_role("button", name="Delete it").click()
    page.wait_for_url("**/ui/datasets")
    expect(page.get_by_role("row", name="Handwritten digits")).to_be_visible()
    expect(page.get_by_text(dataset["id"])).to_have_count(0)


def test_an_unknown_dataset_says_so(open_page: Opener) -> None:
    page = open_page("/ui/datasets/ds_00000000000000000000000000")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_role("link", name="All datasets")).to_be_visible()


def test_the_key_goes_with_every_request(open_page: Opener, client: Client, csv: Path) -> None:
    dataset = _upload(client, csv)
    page = open_page()
    page.add_init_script("sessionStorage.setItem('holdout-key', 'hk_test')")
    sent: list[tuple[str, str | None]] = []
    page.on(
        "request", lambda one: sent.append((f"{one.method} {one.url}", one.headers.get("authorization"))) if "/v1/" in one.url else None
    )
    page.goto(f"/ui/datasets/{dataset['id']}")
    expect(page.get_by_role("img", name="Histograms")).to_be_visible()
    page.goto("/ui/datasets")
    page.get_by_label("File", exact=True).set_input_files(csv)
    page.get_by_label("Target").fill(_target(csv))
    page.get_by_label("Title").fill(dataset["title"])
    page.get_by_role("button", name="Upload", exact=True).click()
    page.wait_for_url(f"**/ui/datasets/{dataset['id']}")
    assert any(line.startswith("POST") for line, _ in sent)
    assert {key for _, key in sent} == {"Bearer hk_test"}


@pytest.mark.parametrize("how", [{"scheme": "light"}, {"scheme": "dark"}, {"phone": True}])
def test_the_pages_of_datasets_are_accessible(
    how: dict[str, Any], open_page: Opener, assert_accessible: Callable[[Page], None], client: Client, csv: Path
) -> None:
    dataset = _upload(client, csv)
    page = open_page("/ui/datasets", **how)
    expect(page.get_by_role("row", name="Handwritten digits")).to_be_visible()
    page.get_by_role("button", name="Upload", exact=True).click()
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name=f"Delete {dataset['title']}").click()
    assert_accessible(page)
    page.goto(f"/ui/datasets/{dataset['id']}")
    expect(page.get_by_role("img", name="Histograms")).to_be_visible()
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

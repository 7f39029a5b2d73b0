"""The pages of datasets: what there is, an upload with its faults, what was found in it, and its end."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from api.samples import TEXT, WIDTH
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
    expect(target).to_be_focused()
    expect(target).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("alert")).to_have_count(0)
    target.fill(_target(csv))
    expect(target).to_have_attribute("aria-invalid", "false")
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


LONG_ROWS = "".join(f'"{i}, {i}";{i}\n' for i in range(9000))


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b'"height, cm","say ""x""",y\n1,2,3\n', ["height, cm", 'say "x"', "y"]),
        (b'\xef\xbb\xbf"height, cm";y\r\n1,5;2\r\n', ["height, cm", "y"]),
        (b"height, cm;weight, kg;y\n1;2;3\n4;5;6\n", ["height, cm", "weight, kg", "y"]),
        (b"\n\n a \tb\t\n1\t2\t3\n", ["a", "b", "column_3"]),
        (b"a|b\n1|2\n", ["a", "b"]),
        ("größe,y\n1,2\n".encode("utf-16"), ["größe", "y"]),
        ("Höhe,y\n1,2\n".encode("latin-1"), ["Höhe", "y"]),
        (f'"a; b";y\n{LONG_ROWS}'.encode(), ["a; b", "y"]),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR,x", []),
        (b"", []),
    ],
)  # fmt: skip
def test_columns_are_offered_as_the_service_reads_the_header(open_page: Opener, client: Client, content: bytes, names: list[str]) -> None:
    page = open_page("/ui/datasets")
    page.get_by_label("File", exact=True).set_input_files({"name": "other.csv", "mimeType": "text/csv", "buffer": b"other\n"})
    expect(page.locator("#columns option")).to_have_count(1)
    page.get_by_label("File", exact=True).set_input_files({"name": "table.txt", "mimeType": "text/plain", "buffer": content})
    expect(page.locator('#columns option[value="other"]')).to_have_count(0)
    assert page.locator("#columns option").evaluate_all("all => all.map((one) => one.value)") == names
    if names:
        found = client.request("POST", "/v1/datasets", files={"file": ("t.csv", content)}, data={"schema": '{"target": "nothing"}'}).json()
        for name in names:
            assert f"'{name}'" in found["detail"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"a,y\n1,2\n", "the file has 1 row; at least 2 are needed"),
        (b"y,y\n1,2\n3,4\n", "two columns are called 'y'"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "one image is no dataset"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_once_at_the_file(open_page: Opener, content: bytes, message: str) -> None:
    page = open_page("/ui/datasets")
    page.get_by_label("File", exact=True).set_input_files({"name": "some.txt", "mimeType": "text/plain", "buffer": content})
    page.get_by_label("Target").fill("y")
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_label("File", exact=True)).to_be_focused()
    expect(page.locator("#file-error")).to_contain_text(message)
    expect(page.get_by_text(message)).to_have_count(1)
    expect(page.get_by_label("The rest of the schema")).to_be_hidden()


def test_what_is_wrong_with_the_rest_of_a_schema_is_said_there_and_where(open_page: Opener, csv: Path) -> None:
    page = open_page("/ui/datasets")
    page.get_by_label("File", exact=True).set_input_files(csv)
    page.get_by_text("More", exact=True).click()
    rest = page.get_by_label("The rest of the schema")
    rest.fill('{"no": 1, "csv": {"delimiter": "#"}}')
    page.get_by_text("More", exact=True).click()
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(rest).to_be_focused()
    expect(page.locator("#rest-error")).to_contain_text("/no: unknown field")
    expect(page.locator("#rest-error")).to_contain_text("/csv/delimiter: ")
    expect(page.locator("#target-error")).to_be_empty()


def test_what_belongs_to_no_field_is_said_by_itself(open_page: Opener, csv: Path) -> None:
    page = open_page("/ui/datasets")
    problem = {"title": "Too Many Requests", "status": 429, "detail": "too many uploads are being read at once", "errors": []}
    page.route("**/v1/datasets", lambda route: route.fulfill(status=429, json=problem))
    page.get_by_label("File", exact=True).set_input_files(csv)
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("too many uploads are being read at once")
    expect(page.locator("[aria-invalid=true]")).to_have_count(0)


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


def test_shares_are_of_all_rows_and_figures_of_a_column_are_written_alike(open_page: Opener, client: Client, csv: Path) -> None:
    target = _target(csv)
    lines = [f"{1_100_000 * (i == 0)},{-2.5e-4 if i else -9e-4},{i},{'a' if i % 4 else 'b'}" for i in range(60)]
    csv.write_text(f"big,small,i,{target}\n" + "\n".join(lines) + "\n")
    page = open_page(f"/ui/datasets/{_upload(client, csv)['id']}")
    shares = page.locator("meter").evaluate_all("all => all.map((one) => one.value / one.max)")
    assert shares == [0.75, 0.25]
    found = page.get_by_role("region", name="What was found in each column")
    expect(found.get_by_role("row", name="big")).to_contain_text("018,3331,100,000140,821")
    expect(found.get_by_role("row", name="small")).to_contain_text("-9e-4-2.61e-4-2.5e-4".replace("-", "\N{MINUS SIGN}"))


def test_words_that_are_whole_numbers_keep_their_order(open_page: Opener, client: Client, csv: Path) -> None:
    target = _target(csv)
    words = ["9"] * 30 + ["x"] * 14 + ["7"] * 8 + ["2"] * 5 + ["1"] * 3
    csv.write_text(f"20,10,{target}\n" + "\n".join(f"{word},{i},{'ab'[i % 2]}" for i, word in enumerate(words)) + "\n")
    schema = json.dumps({"target": target, "name": target, "columns": {"20": "category"}})
    dataset = client.request("POST", "/v1/datasets", files={"file": ("t.csv", csv.read_bytes())}, data={"schema": schema}).json()
    page = open_page(f"/ui/datasets/{dataset['id']}")
    found = page.get_by_role("region", name="What was found in each column")
    expect(found.get_by_role("row", name="20 ")).to_contain_text("9 (30), x (14), 7 (8), 2 (5)")
    heads = page.get_by_role("region", name="As they came in the file").locator("thead th")
    expect(heads).to_have_text(["Row", "20", "10", re.compile(target[:10])])


@pytest.mark.parametrize("phone", [False, True])
def test_the_picture_of_a_dataset_is_legible_where_it_is_shown(open_page: Opener, phone: bool) -> None:
    page = open_page("/ui/datasets/breast_cancer", phone=phone)
    picture = page.get_by_role("img", name="Histograms")
    expect(picture).to_be_visible()
    assert picture.evaluate("(one) => one.clientWidth") * TEXT / 72 / WIDTH >= 9


@pytest.mark.parametrize("phone", [False, True])
def test_long_texts_stay_within_their_cards(open_page: Opener, client: Client, csv: Path, phone: bool) -> None:
    words, letters = "a very long name " * 9, "n" * 170
    target = _target(csv)
    csv.write_text(
        f"{words},{letters},{'k' * 190},{target}\n"
        + "\n".join(f"{row.rpartition(',')[0]},{'yes' * 60 if i % 2 else 'no ' * 60}" for i, row in enumerate(ROWS))
        + "\n"
    )
    schema = json.dumps({"target": target, "name": "t" * 150 + target[-50:]})
    dataset = client.request("POST", "/v1/datasets", files={"file": ("long.csv", csv.read_bytes())}, data={"schema": schema}).json()
    for name in (words.strip(), letters, "short"):
        client.submit(dataset["id"], name=name, training={"max_epochs": 1})
    page = open_page(f"/ui/datasets/{dataset['id']}", phone=phone)
    jobs = page.get_by_role("region", name="All of them")
    expect(jobs.get_by_role("row")).to_have_count(4)
    expect(page.get_by_role("img", name="Histograms")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert jobs.evaluate("(one) => one.scrollWidth <= one.clientWidth + 1")
    assert page.get_by_role("region", name="Rows of each class").evaluate("(one) => one.scrollWidth <= one.clientWidth + 1")
    for name in ("What was found in each column", "As they came in the file"):
        widest = (
            page.get_by_role("region", name=name).locator("th, td").evaluate_all("all => Math.max(...all.map((one) => one.clientWidth))")
        )
        assert widest <= (700 if phone is False else 340)
        if not phone:
            assert page.get_by_role("region", name=name).evaluate("(one) => one.scrollWidth <= one.clientWidth + 1")
    expect(page.get_by_title(letters).first).to_be_visible()
    page.goto("/ui/datasets")
    expect(page.get_by_role("row", name="Handwritten digits")).to_be_visible()
    assert page.locator(".scroll").evaluate("(one) => one.scrollWidth <= one.clientWidth + 1")
    page.get_by_role("button", name=f"Delete {dataset['title']}").click()
    assert page.get_by_role("dialog").evaluate("(one) => one.scrollWidth <= one.clientWidth + 1")


def test_a_dataset_goes_when_somebody_said_so_twice_and_no_job_uses_it(open_page: Opener, client: Client, csv: Path) -> None:
    dataset = _upload(client, csv)
    job = client.submit(dataset["id"], training={"max_epochs": 1})
    page = open_page(f"/ui/datasets/{dataset['id']}")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Keep it").click()
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("60 rows")
    expect(dialog.get_by_role("alert")).to_contain_text("It cannot be deleted: 1 job uses it.")
    expect(page.get_by_role("button", name="Delete it")).to_be_disabled()
    expect(dialog.get_by_role("link")).to_have_attribute("href", f"/?dataset={dataset['id']}")
    page.get_by_role("button", name="Keep it").click()
    client.until(job["id"], "succeeded")
    assert client.request("DELETE", f"/v1/jobs/{job['id']}").status_code == 204
    page.get_by_role("button", name="Delete").click()
    expect(dialog.get_by_role("alert")).to_be_empty()
    page.get_by_role("button", name="Delete it").click()
    page.wait_for_url("**/ui/datasets")
    expect(page.get_by_role("row", name="Handwritten digits")).to_be_visible()
    expect(page.get_by_text(dataset["id"])).to_have_count(0)


def test_a_job_that_came_while_it_was_asked_keeps_the_dataset(open_page: Opener, client: Client, csv: Path) -> None:
    dataset = _upload(client, csv)
    page = open_page(f"/ui/datasets/{dataset['id']}")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="Delete it")).to_be_enabled()
    client.submit(dataset["id"], training={"max_epochs": 1})
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("1 job uses it")
    expect(page.get_by_role("button", name="Delete it")).to_be_disabled()


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


@pytest.mark.parametrize("how", [{"scheme": "light"}, {"scheme": "dark"}, {"phone": True}])
def test_an_address_of_no_page_says_so_and_leads_to_the_jobs(
    how: dict[str, Any], open_page: Opener, assert_accessible: Callable[[Page], None]
) -> None:
    page = open_page("/ui/nothing", **how)
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no such page")
    assert_accessible(page)
    expect(page.get_by_role("button", name="Theme")).to_contain_text("auto")  # its script runs
    page.get_by_role("main").get_by_role("link", name="Jobs").click()
    expect(page).to_have_title("Jobs - Holdout")

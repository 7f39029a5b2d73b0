"""The newcomer's road in the browser, every step of it: upload, train, watch, compare two optimizers, take the model home."""

import csv
import io
import json
import re
import zipfile
from pathlib import Path

from playwright.sync_api import Page, expect

from data.builtin import load
from tests.dashboard.conftest import Opener
from tests.system import Client


def _submit(page: Page, optimizer: str, *, watched: bool = False) -> str:
    page.get_by_role("group", name="Optimizer").get_by_label("Kind").select_option(optimizer)
    expect(page.locator("#state")).to_contain_text("It can run", timeout=20_000)
    page.get_by_role("button", name="Submit").first.click()
    page.wait_for_url(re.compile("/ui/jobs/job_"))
    if watched:
        curve = page.locator("figure[data-epochs]").first
        early = int(curve.get_attribute("data-epochs") or 0)
        expect(page.locator("#status")).to_contain_text("running")
        expect(curve).not_to_have_attribute("data-epochs", str(early))  # it grew before one's eyes, without a reload
    expect(page.locator("#status")).to_contain_text("succeeded", timeout=60_000)
    page.wait_for_selector("figure[data-best-epoch]")
    return page.url.rsplit("/", 1)[-1]


def test_from_a_file_to_a_model_in_the_browser(open_page: Opener, client: Client, tmp_path: Path) -> None:
    """The issue's road: a CSV, a curve that is watched live, two optimizers beside one another, a model that leaves."""
    iris = load("iris")
    names = ["sepal length", "sepal width", "petal length", "petal width"]
    path = tmp_path / "flowers from the garden.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "species"])
        writer.writerows([*row, f"kind {target}"] for row, target in zip(iris.x.tolist(), iris.y.tolist(), strict=True))

    page = open_page("/")
    page.get_by_role("link", name="Datasets").first.click()
    page.get_by_label("File", exact=True).set_input_files(path)
    page.get_by_label("Target").fill("species")
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("flowers", timeout=30_000)
    page.get_by_role("link", name="New job with this dataset").click()
    page.get_by_label("Name", exact=True).fill("flowers, first try")
    page.get_by_role("group", name="Training").get_by_label("Max epochs").fill("3000")
    first = _submit(page, "sgd", watched=True)
    expect(page.get_by_role("region", name="Diagnosis")).to_be_visible()

    page.get_by_role("link", name="Run again with changes").click()
    page.get_by_label("Name", exact=True).fill("flowers, second try")
    second = _submit(page, "adam")

    page.goto("/?name=flowers%2C")
    for name in ("first", "second"):
        page.get_by_label(f"Choose flowers, {name} try to compare").check()
    page.get_by_role("link", name="Compare 2").click()
    expect(page.locator("#start")).to_contain_text("Same start")
    expect(page.locator("#comparison")).to_contain_text("/optimizer/name")

    page.get_by_role("link", name="flowers, second try").first.click()
    with page.expect_download() as found:
        page.get_by_role("button", name="Everything (ZIP)").click()
    files = zipfile.ZipFile(io.BytesIO(found.value.path().read_bytes()))
    assert {Path(name).suffix for name in files.namelist()} >= {".onnx", ".safetensors", ".json", ".md"}
    specs = [client.job(job_id)["spec"] for job_id in (first, second)]
    assert [one["optimizer"]["name"] for one in specs] == ["sgd", "adam"]
    assert json.dumps(specs[0]["dataset"]) == json.dumps(specs[1]["dataset"])

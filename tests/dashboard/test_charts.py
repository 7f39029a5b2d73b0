"""The charts of a job's page: what they draw, say and leave behind."""

import io
import json
import re

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import Opener
from tests.dashboard.test_job_page import open_job
from tests.system import Client

_TRAIN = (0, 114, 178)
"""The color of training on a light ground."""
_COUNT = """([r, g, b]) => {
  const canvas = document.querySelector(".plot canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let found = 0;
  for (let i = 0; i < data.length; i += 4) found += data[i] === r && data[i + 1] === g && data[i + 2] === b ? 1 : 0;
  return found;
}"""


@pytest.fixture(scope="module")
def job(client: Client) -> str:
    """Train a network on digits."""
    return client.run("digits", name="digits for the charts", training={"max_epochs": 12})[0]["id"]  # type: ignore[no-any-return]


def _inked(page: Page) -> int:
    """Count the pixels of the first chart that are as blue as training is."""
    found: int = page.evaluate(_COUNT, _TRAIN)
    return found


def test_arrow_keys_read_the_chart_aloud(open_page: Opener, job: str) -> None:
    page = open_job(open_page, job)
    page.locator(".plot").first.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#live")).to_have_text(re.compile("^epoch 1: training .*, validation "))
    expect(page.locator(".readout caption").first).to_have_text("epoch 1")
    expect(page.locator(".readout caption").nth(1)).to_have_text("epoch 1")


@pytest.mark.parametrize("query", ["", "?logx=1", "?logy=1", "?logx=1&logy=1", "?zero=1", "?logx=1&x=time"])
def test_a_curve_is_drawn_on_every_kind_of_axis(open_page: Opener, job: str, query: str) -> None:
    page = open_job(open_page, job, query)
    assert _inked(page) > 40
    has_no_place = page.locator(".marks").first.get_by_text("0 has no place on a logarithmic axis")
    expect(has_no_place).to_have_count(int("logx" in query and "time" not in query))  # the first epoch took some time


def test_a_lone_epoch_is_drawn_in_the_middle_of_its_axis(open_page: Opener, client: Client) -> None:
    spec = {"optimizer": {"name": "sgd", "learning_rate": 1e6}, "training": {"max_epochs": 5}}
    page = open_job(open_page, client.until(client.submit("diabetes", **spec)["id"], "failed")["id"])
    expect(page.locator("figure figcaption").first).to_have_text(re.compile("^It diverged in the first epoch"))
    page.get_by_text("Numbers as a table").first.click()
    expect(page.locator("figure").first.locator("details tbody tr")).to_have_count(1)


def test_smoothing_changes_lines_and_no_number(open_page: Opener, client: Client, job: str) -> None:
    curve = client.curve(job)
    page = open_job(open_page, job, "?smooth=0.9")
    values = page.locator(".readout").first.locator("td").all_inner_texts()
    assert [float(text) for text in values] == [pytest.approx(curve[name][-1], rel=1e-3) for name in ("train_loss", "val_loss")]


def test_a_chart_leaves_as_a_picture_with_its_sentence_and_its_legend(open_page: Opener, job: str) -> None:
    page = open_job(open_page, job)
    height = page.evaluate("document.querySelector('.plot canvas').height")
    with page.expect_download() as found:
        page.get_by_role("button", name="PNG", exact=True).first.click()
    picture = Image.open(io.BytesIO(found.value.path().read_bytes())).convert("RGB")
    assert picture.height >= height + 3 * 19
    below = picture.crop((0, picture.height - 60, picture.width, picture.height))
    assert _TRAIN in {color for _, color in below.getcolors(maxcolors=10**6)}  # the legend's stroke
    assert found.value.suggested_filename == "digits-for-the-charts.png"


@pytest.mark.parametrize("beta", [0, 0.5, 0.99])
def test_smoothing_is_bias_corrected_and_nothing_at_zero(open_page: Opener, beta: float) -> None:
    page = open_page("/")
    values = [3.0, None, 1.0, 0.1, -7.25, 1e-9]
    module = page.evaluate("document.querySelector('script[type=module]').src.replace(/[^/]*$/, 'smoothing.js')")
    found = page.evaluate(f"import({json.dumps(module)}).then((m) => m.smooth({json.dumps(values)}, {beta}))")
    average, count, expected = 0.0, 0, []
    for value in values:
        if value is not None:
            count += 1
            average = beta * average + (1 - beta) * value
        expected.append(None if value is None else average / (1 - beta**count))
    assert found == (values if beta == 0 else [None if one is None else pytest.approx(one) for one in expected])
    assert expected[0] == pytest.approx(3.0)


def test_a_mean_is_of_all_fits_where_their_curves_keep_different_epochs(open_page: Opener) -> None:
    page = open_page("/")
    module = page.evaluate("document.querySelector('script[type=module]').src.replace(/[^/]*$/, 'smoothing.js')")

    found = page.evaluate("async (module) => (await import(module)).spread([[0, null, 2, 3, null], [4, 5, null, 7, 8]])", module)

    assert found["mean"] == [2, 3, 4, 5, 8]  # what lies between is interpolated, what is beyond a fit's end is not made up
    assert found["high"][0] - found["mean"][0] == pytest.approx(8**0.5)


def test_fits_of_one_color_are_one_entry_and_the_page_opens_on_the_best(open_page: Opener, client: Client) -> None:
    variants = [{"label": name, "set": {"/optimizer": {"name": name}}} for name in ("sgd", "adam")]
    spec = {"training": {"max_epochs": 4}, "split": {"name": "k_fold", "folds": 7}, "plan": {"name": "comparison", "variants": variants}}
    found = client.until(client.submit("iris", **spec)["id"], "succeeded")
    page = open_job(open_page, found["id"])
    legend = page.locator(".readout").first
    for name in ("sgd", "adam"):
        expect(legend.get_by_text(f"{name}, 7 fits")).to_have_count(1)
    expect(legend.get_by_text("14 curves: point at one")).to_be_visible()
    best = found["result"]["best"]
    expect(page.get_by_role("region", name="Diagnosis").locator("h2")).to_have_text(f"Diagnosis of {best}, fold 1")


def test_candidates_that_share_a_setting_are_told_apart(open_page: Opener, client: Client) -> None:
    space = {"/optimizer/learning_rate": {"values": [0.1, 0.01]}, "/network/hidden_units": {"values": [[4], [6]]}}
    spec = {
        "training": {"max_epochs": 2},
        "split": {"name": "k_fold", "folds": 4},
        "plan": {"name": "search", "method": "grid", "space": space},
    }
    found = client.until(client.submit("iris", **spec)["id"], "succeeded")
    page = open_job(open_page, found["id"])
    legend = page.locator(".readout").first
    expect(legend.get_by_text(re.compile(r"^learning_rate=0\.1+, hidden_units=\[[46]\], 4 fits$"))).to_have_count(2)
    chosen = next(one for one in found["result"]["candidates"] if one["number"] == found["result"]["choice"]["chosen"])
    expect(page.get_by_role("region", name="Diagnosis").locator("h2")).to_have_text(f"Diagnosis of {chosen['label']}, fold 1")

"""Charts of what is out of the ordinary: fits that diverged, few epochs, many fits, values without a place, views that were turned."""

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.dashboard.conftest import Opener
from tests.dashboard.test_job_page import LONG, open_job
from tests.system import Client

_ROWS = """(color) => {
  const canvas = document.querySelector(".plot canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const rows = new Set();
  for (let i = 0; i < data.length; i += 4) if (color.every((one, k) => data[i + k] === one)) rows.add(Math.floor(i / 4 / canvas.width));
  return (Math.max(...rows) - Math.min(...rows)) / canvas.height;
}"""
_DRAW = """async ([module, content]) => {
  const { Chart } = await import(module);
  const chart = new Chart({ name: "alone" });
  document.querySelector("main").replaceChildren(chart.element);
  chart.set(content);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const [x, y] = chart.plot.axes;
  return { data: chart.plot.data, said: chart.marksSaid(), x: x._values, y: y._values, room: y._size };
}"""
_RING = """(radius) => {
  const canvas = document.querySelector(".plot canvas");
  const context = canvas.getContext("2d");
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let [count, x, y] = [0, 0, 0];
  for (let i = 0; i < data.length; i += 4) if (data[i] === 0 && data[i + 1] === 114 && data[i + 2] === 178) [count, x, y] = [count + 1, x + (i / 4) % canvas.width, y + Math.floor(i / 4 / canvas.width)];
  const at = (k) => 4 * (Math.round(y / count + radius * Math.sin(k / 14)) * canvas.width + Math.round(x / count + radius * Math.cos(k / 14)));
  const colors = Array.from({ length: 90 }, (_, k) => data.slice(at(k), at(k) + 4).join());
  return [...new Set(colors)];
}"""
_GREEN = [0, 121, 90]
"""The third color of lines on a light ground."""


def _variants(**rates: float) -> dict[str, Any]:
    return {
        "name": "comparison",
        "variants": [{"label": name, "set": {"/optimizer": {"name": "sgd", "learning_rate": rate}}} for name, rate in rates.items()],
    }


def _module(page: Page, name: str) -> str:
    found: str = page.evaluate("document.querySelector('script[type=module]').src.replace(/[^/]*$/, '')")
    return found + name


def _drawn(page: Page, **content: Any) -> Any:
    """Draw a chart of its own on a page that has uPlot; give what is drawn, and what is said of it."""
    full = {"xLabel": "epoch", "yLabel": "loss", "caption": "", **content}
    return page.evaluate(_DRAW, [_module(page, "chart.js"), full])


def _line(values: list[float | None], **more: Any) -> dict[str, Any]:
    return {"group": "one", "part": "train", "name": "training", "color": "#0072b2", "values": values, **more}


def _legend(page: Page) -> Locator:
    return page.get_by_role("region", name="Curves").locator(".readout").first


@pytest.fixture(scope="module")
def digits(client: Client) -> str:
    return str(client.run("digits", name="digits at the edges", training={"max_epochs": 40})[0]["id"])


@pytest.fixture(scope="module")
def wild(client: Client) -> str:
    """Train three variants on three folds; all losses of one go to infinity."""
    split, network = {"name": "k_fold", "folds": 3}, {"name": "mlp", "hidden_units": [8]}
    job = client.submit("iris", network=network, split=split, training={"max_epochs": 6}, plan=_variants(slow=0.01, wild=50, calm=0.1))
    return str(client.until(job["id"], "succeeded")["id"])


@pytest.mark.parametrize("query", ["", "?logy=1", "?show=mean"])
def test_a_fit_that_diverged_leaves_the_chart_to_those_that_finished(open_page: Opener, wild: str, query: str) -> None:
    page = open_job(open_page, wild, query)
    for marks in page.locator(".marks").all()[:2]:
        expect(marks).to_contain_text(re.compile("diverged and left the chart: wild"))
    assert page.evaluate(_ROWS, _GREEN) > 0.3  # the line of what finished is no flat one
    caption = page.locator("figcaption").first
    expect(caption).to_have_text(
        re.compile(r"^9 fits, 3 of which diverged\. At their best epochs the validation loss of the others goes from ")
    )
    expect(caption).not_to_contain_text("wild")


def test_every_axis_has_two_round_ticks_or_more_and_epochs_are_whole(open_page: Opener, digits: str) -> None:
    page = open_job(open_page, digits)
    ask = "([module, ...of]) => import(module).then(({ ticksOf }) => ticksOf(...of))"
    module = _module(page, "drawing.js")
    for low, high in ((-1700, 1500), (0, 1.1e35), (-2.1e6, 1e5), (0.999, 1.001), (1e-9, 3e-9)):
        ticks = page.evaluate(ask, [module, low, high, 3.4, False, False])
        assert 2 <= len(ticks) <= 6
        assert all(low <= one <= high * (1 + 1e-9) for one in ticks)
    for low, high in ((0.4, 1.1), (0.02, 3e35), (0.11, 0.13), (1, 12)):
        assert 2 <= len(page.evaluate(ask, [module, low, high, 6, True, False])) <= 7
    assert page.evaluate(ask, [module, 0, 7, 8, False, True]) == list(range(8))
    assert page.evaluate(ask, [module, -1, 1, 8, False, True]) == [0, 1]


def test_a_lone_epoch_has_whole_epochs_beside_it_and_no_best_one(open_page: Opener, client: Client) -> None:
    spec = {"optimizer": {"name": "sgd", "learning_rate": 1e6}, "training": {"max_epochs": 5}}
    page = open_job(open_page, client.until(client.submit("diabetes", **spec)["id"], "failed")["id"])
    for marks in page.locator(".marks").all()[:2]:
        expect(marks).to_have_text("triangle: diverged")
    assert _drawn(page, x=[0], lines=[_line([1])])["x"] == ["0", "1"]


def test_ticks_have_room_however_long_they_are(open_page: Opener, digits: str) -> None:
    page = open_job(open_page, digits)
    wide, narrow = (_drawn(page, x=[0, 1, 2], lines=[_line([high, -high, 0])]) for high in (1.02e120, 5))
    assert wide["room"] > narrow["room"]
    width = page.evaluate(
        "(texts) => { const to = document.createElement('canvas').getContext('2d'); to.font = '12px system-ui, sans-serif';"
        " return Math.max(...texts.map((one) => to.measureText(one).width)); }",
        wide["y"],
    )
    assert wide["room"] >= width + 15  # the tick's line and the gap


def test_charts_on_one_axis_lie_below_one_another(open_page: Opener, client: Client) -> None:
    job = client.until(client.submit("diabetes", training={"max_epochs": 5}, plan=_variants(bold=0.3, calm=0.001))["id"], "succeeded")
    page = open_job(open_page, job["id"])
    page.get_by_role("button", name="from 0").click()
    expect(page.get_by_role("button", name="from 0")).to_have_attribute("aria-pressed", "true")
    boxes = [one.bounding_box() for one in page.locator(".plot .u-over").all()[:2]]
    assert boxes[0]
    assert boxes[1]
    assert boxes[0]["x"] == boxes[1]["x"]


def test_a_line_breaks_where_a_value_has_no_place_and_nowhere_else(open_page: Opener, digits: str) -> None:
    page = open_job(open_page, digits)
    found = _drawn(page, x=[0, 1, 2, 3, 4], lines=[_line([-1, 1, 0, None, 2])], logY=True)
    assert found["data"][1] == [None, 1, None, None, 2]  # what was not measured is undefined, which is joined
    assert found["said"] == ["2 values of 0 or less have no place on a logarithmic axis"]
    assert _drawn(page, x=[0, 1], lines=[_line([-1, 1])])["said"] == []


def test_discs_have_round_edges_beside_a_dotted_line(open_page: Opener, digits: str) -> None:
    page = open_job(open_page, digits)
    dotted = _line([0, 0.5, 1], group="two", color="#3d434b", dotted=True)
    _drawn(page, x=[0, 0.5, 1], lines=[_line([None, 0.9, None], sizes=[None, 24, None]), dotted])
    assert page.evaluate(_RING, 24) == ["255,255,255,255"]  # the card's ground, all around


def test_speech_and_readout_tell_the_same_epoch_however_the_view_was_turned(open_page: Opener, digits: str) -> None:
    page = open_job(open_page, digits)
    captions, live = page.locator(".readout caption"), page.locator("#live")
    page.locator(".plot").first.focus()
    went = (
        *(("ArrowLeft", 39), ("Home", 0), ("ArrowRight", 1), ("+", 1), ("ArrowRight", 2), ("End", 40), ("PageUp", 30), ("+", 30)),
        *(("PageUp", 20), ("PageUp", 10), ("ArrowLeft", 9), ("-", 9), ("0", 9), ("ArrowRight", 10)),
    )
    for key, epoch in went:
        page.keyboard.press(key)
        expect(live).to_have_text(re.compile(f"^epoch {epoch}: "))
        for caption in (captions.first, captions.nth(1)):
            expect(caption).to_have_text(f"epoch {epoch}")


def test_groups_beyond_the_colors_differ_by_width(open_page: Opener, client: Client) -> None:
    space = {"/optimizer/learning_rate": {"values": [0.1, 0.01, 0.001]}, "/network/hidden_units": {"values": [[4], [6], [8]]}}
    spec = {"training": {"max_epochs": 2}, "plan": {"name": "search", "method": "grid", "space": space}}
    page = open_job(open_page, client.until(client.submit("iris", **spec)["id"], "succeeded")["id"])
    looks = _legend(page).locator(".swatch").evaluate_all("(all) => all.map((one) => one.style.color + one.style.height)")
    assert len(looks) == len(set(looks)) >= 9


def test_five_folds_are_named_beside_the_chart(open_page: Opener, client: Client) -> None:
    job = client.until(client.submit("iris", training={"max_epochs": 2}, split={"name": "k_fold", "folds": 5})["id"], "succeeded")
    page = open_job(open_page, job["id"])
    for fold in range(1, 6):
        expect(_legend(page).get_by_role("button", name=f"fold {fold}", exact=True)).to_be_visible()


def test_swatches_and_cells_keep_their_colors_where_colors_are_forced(open_page: Opener, wild: str) -> None:
    page = open_job(open_page, wild, forced_colors="active")
    drawn = _legend(page).locator(".swatch").evaluate_all("(all) => all.map((one) => getComputedStyle(one).color)")
    assert len(set(drawn)) == 3
    cells = page.locator(".confusion td").evaluate_all("(all) => all.map((one) => getComputedStyle(one).backgroundColor)")
    assert len(set(cells)) > 1


def test_a_fit_in_training_tells_both_losses_and_the_best_so_far(open_page: Opener, client: Client) -> None:
    job_id = client.submit("digits", **LONG)["id"]
    client.until_epoch(job_id, 3)
    page = open_job(open_page, job_id)
    said = r"^At epoch [\d,]+ the training loss is [^ ]+, the validation loss [^ ]+; the best so far is [^ ]+ at epoch [\d,]+\.$"
    expect(page.locator("figcaption").first).to_have_text(re.compile(said))
    client.request("POST", f"/v1/jobs/{job_id}/cancel")
    client.until(job_id, "cancelled")


def test_one_of_several_fits_is_named_when_it_is_alone(open_page: Opener, wild: str) -> None:
    page = open_job(open_page, wild, "?fits=7")
    expect(page.locator("figcaption").first).to_have_text(re.compile("^The best epoch of calm, fold 1 is "))
    expect(page.locator(".readout").first.get_by_role("button", name="calm, fold 1")).to_be_visible()

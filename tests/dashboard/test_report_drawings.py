"""Drawings of reports as a browser shows them, with its own fonts."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from api.pictures.report import Report, picture
from api.pictures.style import HUES, Heading, Units
from jobs.plans.conclusions import read_result
from tests.reports import PLANS, reported

_STATIC = Path(__file__).parents[2] / "api" / "dashboard" / "static"
_MEETING = """(font) => {
  const texts = [...document.querySelectorAll("text")].filter((one) => one.textContent.trim());
  if (font) for (const one of document.querySelectorAll("text, tspan")) one.style.fontFamily = font;
  const found = texts.map((one) => [one.textContent, one.getBoundingClientRect()]), page = document.querySelector("svg").getBoundingClientRect();
  const meets = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4;
  const pairs = found.flatMap(([text, box], i) => found.slice(i + 1).filter(([, other]) => meets(box, other)).map(([other]) => [text, other]));
  const outside = found.filter(([, box]) => box.left < page.left - 1 || box.right > page.right + 1).map(([text]) => text);
  return { count: texts.length, pairs, outside };
}"""


@pytest.mark.parametrize("task", ["classes", "numbers"])
def test_no_text_of_a_drawing_meets_another_or_leaves_it_in_a_browser(browser: Browser, task: str) -> None:
    page = browser.new_page(viewport={"width": 1200, "height": 1000})
    units = Units(is_classes=task == "classes", unit=None if task == "classes" else "points")
    for name in PLANS:
        spec, stored, curves = reported(name, task)
        result = read_result(stored)
        report = Report(heading=Heading(title=name, sentence=result.sentence), plan=spec.plan, result=result, curves=curves, units=units)
        page.set_content(picture(report, "svg").decode())
        for font in ("", "sans-serif"):
            found = page.evaluate(_MEETING, font)
            assert found["count"] > 8, name
            assert (found["pairs"], found["outside"]) == ([], []), (name, font)
    page.close()


def test_reports_have_the_colors_of_the_page() -> None:
    [hues] = [line for path in _STATIC.glob("*.js") for line in path.read_text().splitlines() if "const HUES =" in line]
    places = [hues.index(f'["{hue}"') for hue in HUES]
    assert places == sorted(places)
    assert hues.count("[") == len(HUES) + 1

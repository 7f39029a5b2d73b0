"""The documentation hangs together: links lead somewhere, and the contents name every page."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "README.ko.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _anchors(text: str) -> set[str]:
    """Give the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        assert found.exists(), target
        assert not anchor or anchor in _anchors(found.read_text()), target


def test_the_contents_lead_to_every_page() -> None:
    listed = subprocess.run(["git", "ls-files", "docs"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    contents = (ROOT / "docs" / "README.md").read_text()
    linked = {(ROOT / "docs" / target.partition("#")[0]).resolve() for target in re.findall(r"\]\(([^)\s]+)\)", contents)}
    pages = {ROOT / name for name in listed if name.endswith(".md")} - {ROOT / "docs" / "README.md"}
    assert sorted(str(page.relative_to(ROOT)) for page in pages if page not in linked and page.parent not in linked) == []


def test_the_korean_readme_has_the_commands_of_the_english_one() -> None:
    """Every block of code of the translation stands in README.md, word for word but for comments."""
    english, korean = (_code((ROOT / name).read_text()) for name in ("README.md", "README.ko.md"))
    assert korean
    assert [block for block in korean if block not in english] == []


def test_each_readme_leads_to_the_other_on_its_first_lines() -> None:
    assert "(README.ko.md)" in "\n".join((ROOT / "README.md").read_text().splitlines()[:4])
    assert "(README.md)" in "\n".join((ROOT / "README.ko.md").read_text().splitlines()[:4])


def test_the_korean_table_of_jobs_has_the_figures_of_the_english_one() -> None:
    english, korean = (_figures((ROOT / name).read_text()) for name in ("README.md", "README.ko.md"))
    assert korean
    assert korean == english


def _code(text: str) -> list[str]:
    """Give the blocks of code, without comments at the ends of lines."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [re.sub(r" +# .*$", "", block, flags=re.MULTILINE) for block in blocks]


def _figures(text: str) -> list[list[str]]:
    """Give the numbers of the lines of the first table that has an interval."""
    return [re.findall(r"\d+(?:\.\d+)?", line) for line in text.splitlines() if line.startswith("| digits ")]

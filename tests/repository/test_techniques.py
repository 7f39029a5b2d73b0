"""docs/techniques.md has a line for every technique, and it is what the specs say."""

from pathlib import Path

from api.techniques import page

ROOT = Path(__file__).parents[2]


def test_the_page_of_techniques_says_what_the_specs_say() -> None:
    assert (ROOT / "docs/techniques.md").read_text() == page(), "write it again: make techniques"

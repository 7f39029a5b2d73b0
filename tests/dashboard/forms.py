"""The form as tests open and read it."""

import json
import re
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Page, expect

from tests.dashboard.conftest import Opener

MODULE = "import(document.querySelector('script[type=module]').src.replace(/[^/]+$/, '{name}.js'))"


def open_form(open_page: Opener, spec: dict[str, Any] | None = None, **how: Any) -> Page:
    page = open_page("/ui/new" + ("" if spec is None else f"#spec={quote(json.dumps(spec))}"), **how)
    expect(page.locator("#state")).not_to_have_text(re.compile("…"))
    return page


def spec_of(page: Page) -> dict[str, Any]:
    """Give the spec that the form would send."""
    page.get_by_role("button", name="JSON", exact=True).click()
    found: dict[str, Any] = json.loads(page.locator("#twins code").inner_text())
    return found


def settled(page: Page) -> None:
    """Wait until the preview is of what stands in the form."""
    expect(page.locator("#state")).to_have_text(re.compile("✓|✗"))

"""Pages in a real Chromium, against a real service. What a page complains of fails the test that opened it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request, sync_playwright

from cli.service import Service

_AXE = Path(__file__).with_name("axe.min.js")
_WIDE, _PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
_TELL = "document.addEventListener('securitypolicyviolation', (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI}`))"
_RUN = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
  .filter((one) => one.impact === 'serious' || one.impact === 'critical')
  .map((one) => `${one.id}: ${one.help}: ` + one.nodes.map((node) => `${node.target} ${node.failureSummary ?? ''}`).join('; '))"""

Opener = Callable[..., Page]


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """Drive a browser; its event loop ends with this folder's tests, as others want their own."""
    with sync_playwright() as found:
        yield found


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Start the machine's Chromium."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.fail("the dashboard's tests need a browser: install Debian's package chromium (apt-get install chromium)", pytrace=False)
    found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
    yield found
    found.close()


@pytest.fixture
def open_page(browser: Browser, service: Service) -> Iterator[Opener]:
    """Open pages, light or dark, wide or of a phone; fail the test on errors, on breaches of the policy and on requests to elsewhere.

    A refusal by the API (4xx below /v1/) and a page that says that there is none are answers and no faults, though Chromium writes of
    them to the console.
    """
    faults: list[str] = []
    opened: list[Any] = []

    def open_(path: str | None = None, *, scheme: Literal["light", "dark"] = "light", phone: bool = False, **options: Any) -> Page:
        context = browser.new_context(
            base_url=service.url, color_scheme=scheme, viewport=_PHONE if phone else _WIDE, **{"reduced_motion": "reduce", **options}
        )
        opened.append(context)
        context.add_init_script(_TELL)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("console", lambda message: faults.extend(_complaint(message)))
        page.on("request", lambda request: faults.extend(_stranger(request, service.url)))
        if path is not None:
            page.goto(path)
            page.wait_for_selector("#app:not([aria-busy])")
        return page

    yield open_
    for context in opened:
        context.close()
    assert faults == []


@pytest.fixture
def page(open_page: Opener) -> Page:
    """Give a wide, light page that is open nowhere yet; `page.goto("/")` opens the dashboard."""
    return open_page()


@pytest.fixture
def assert_accessible() -> Callable[[Page], None]:
    """Give a check that fails on what axe-core calls a serious or critical fault of a page as it stands."""

    def check(page: Page) -> None:
        if not page.evaluate("typeof axe === 'object'"):
            page.evaluate(_AXE.read_text())
        assert page.evaluate(_RUN) == []

    return check


def _complaint(message: ConsoleMessage) -> Iterator[str]:
    url = str(message.location.get("url", ""))
    path = urlsplit(url).path
    is_answer = path.startswith("/v1/") or (path.startswith("/ui/") and not path.startswith("/ui/static/"))
    is_refusal = "Failed to load resource: the server responded with a status of 4" in message.text and is_answer
    if message.type in {"error", "warning"} and not is_refusal:
        yield f"console {message.type}: {message.text} {url}"


def _stranger(request: Request, own: str) -> Iterator[str]:
    found, here = urlsplit(request.url), urlsplit(own)
    if found.scheme not in {"blob", "data"} and (found.scheme, found.netloc) != (here.scheme, here.netloc):
        yield f"a request to {request.url}"

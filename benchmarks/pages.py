"""How long pages take to show what they are for: `python benchmarks/pages.py [URL]`, of a running service.

Trains a bag of 100 networks for 1 000 epochs once (found again by its name), then opens pages in a fresh Chromium context, so that nothing is remembered,
and prints the time from the navigation to the first drawing, and the bytes that came.
"""

import shutil
import statistics
import sys
import time

from playwright.sync_api import Browser, sync_playwright

from holdout import Client

_ROUNDS = 5
_NAME = "a hundred fits of a thousand epochs"
_SPEC = {
    "name": _NAME,
    "dataset": "iris",
    "seed": 0,
    "network": {"name": "mlp", "hidden_units": [8]},
    "training": {"max_epochs": 1000},
    "plan": {"name": "bagging", "members": 100},
    "evaluation": {"resamples": 100},
}


def main(url: str) -> None:
    """Measure."""
    with Client(url) as client:
        found = next(iter(client.jobs.list(name=_NAME, status="succeeded")), None)
        job_id = (found or client.submit(_SPEC).wait()).id
    pages = {
        "jobs": ("/", "#jobs tbody tr"),
        "100 fits of 1 000 epochs": (f"/ui/jobs/{job_id}", "figure[data-series='200']"),
        "new job": ("/ui/new", "#state"),
    }
    print(f"{'page':28}{'median s':>10}{'shortest':>10}{'longest':>10}{'kB':>8}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (path, shown) in pages.items():
            rounds = [_opened(browser, url + path, shown) for _ in range(_ROUNDS)]
            times = [seconds for seconds, _ in rounds]
            print(f"{name:28}{statistics.median(times):10.2f}{min(times):10.2f}{max(times):10.2f}{rounds[-1][1] / 1000:8.0f}")
        browser.close()


def _opened(browser: Browser, address: str, shown: str) -> tuple[float, int]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_selector(shown)
    seconds = time.perf_counter() - began
    size = page.evaluate("performance.getEntriesByType('resource').reduce((sum, one) => sum + one.transferSize, 0)")
    context.close()
    return seconds, int(size)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")

"""Take the pictures of this folder: `python -m docs.pages.shoot [URL]`, of a service that has run nothing else of note.

It trains the jobs that are shown, opens every page in light, in dark and at a phone's width, and writes small PNG files.
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from docs.pictures import small
from holdout import Client

_FOLDER = Path(__file__).parent
_LOOKS = {"light": ("light", 1280, 1000), "dark": ("dark", 1280, 1000), "phone": ("light", 360, 1400)}
_DIGITS = {
    "dataset": "digits",
    "seed": 0,
    "network": {"name": "mlp", "hidden_units": [64]},
    "split": {"name": "holdout", "test_fraction": 0.2},
}
_JOBS = {
    "optimizers": {
        "name": "which optimizer?",
        "dataset": "digits",
        "seed": 0,
        "network": {"name": "mlp", "hidden_units": [32]},
        "training": {"max_epochs": 12},
        "plan": {
            "name": "comparison",
            "variants": [{"label": name, "set": {"/optimizer": {"name": name}}} for name in ("sgd", "momentum", "nag", "rmsprop", "adam")],
        },
    },
    "variance": {
        "name": "bias and variance of a noisy sine",
        "dataset": "noisy_sine",
        "seed": 0,
        "optimizer": {"name": "adam", "learning_rate": 0.02},
        "training": {"max_epochs": 150, "batch_size": "full"},
        "split": {"name": "holdout", "val_fraction": 0.9},
        "plan": {"name": "bias_variance", "resamples": 8, "axis": {"/network/hidden_units": {"values": [[1], [4], [32], [128]]}}},
    },
    "sgd": {
        **_DIGITS,
        "name": "digits, gradient descent",
        "optimizer": {"name": "sgd", "learning_rate": 0.1},
        "training": {"max_epochs": 40},
    },
    "adam": {**_DIGITS, "name": "digits, Adam", "optimizer": {"name": "adam", "learning_rate": 0.003}, "training": {"max_epochs": 40}},
}


def main(url: str) -> None:
    """Train, open, write."""
    with Client(url) as client:
        ids = {name: client.submit(spec).wait().id for name, spec in _JOBS.items()}
    pages = {
        "jobs": "/",
        "job": f"/ui/jobs/{ids['adam']}",
        "comparison": f"/ui/jobs/{ids['optimizers']}",
        "bias-variance": f"/ui/jobs/{ids['variance']}",
        "compare": f"/ui/compare?jobs={ids['sgd']},{ids['adam']}",
        "new": "/ui/new?dataset=digits",
        "datasets": "/ui/datasets",
        "dataset": "/ui/datasets/penguins",
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for look in _LOOKS:
            for name, path in pages.items():
                _take(browser, url + path, look, _FOLDER / f"{name}-{look}.png")
        browser.close()


def _take(browser: Browser, address: str, look: str, path: Path) -> None:
    scheme, width, height = _LOOKS[look]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce")
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("#app:not([aria-busy])")
    page.wait_for_timeout(3000)
    picture = Image.open(io.BytesIO(page.screenshot()))
    small(picture).save(path, optimize=True)
    print(path.name, path.stat().st_size)
    context.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")

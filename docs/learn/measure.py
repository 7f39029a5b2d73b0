"""Run every job of the quick start and of the pages of this folder on a service; write what came of it into the pages, and pictures beside them.

holdout up & python -m docs.learn.measure http://127.0.0.1:8000 [PAGE ...]

After a body (a block of JSON) come comments that say what is shown, and what must hold:

    <!-- rows: fits | variant=label | validation loss=last/val_loss -->    a table, up to <!-- end -->
    <!-- sentence -->                                                      the result's sentence, as a quotation
    <!-- claims: fit/l2/last/val_loss < fit/none/last/val_loss; ... -->   what tests/e2e/test_learn_pages.py checks

A path goes from `job`, `result`, `fits` (a list), `fit` (by label) or `curves` (by label, rows by epoch): `curves/holdout@0,5,20` is three rows.
"""

import io
import json
import operator
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from PIL import Image

from docs.pictures import small

FOLDER = Path(__file__).parent
_BODY = re.compile(r"^```json\n(\{.*?)^```\n", re.DOTALL | re.MULTILINE)
_TABLE = re.compile(r"(<!-- rows: (.*?) -->\n).*?(<!-- end -->)", re.DOTALL)
_SENTENCE = re.compile(r"(<!-- sentence -->\n)(?:> .*\n)?")
_CLAIMS = re.compile(r"<!-- claims: (.*?) -->", re.DOTALL)
_PICTURE = re.compile(r"!\[.*?\]\((\w+\.png)\)")
_SIGN = re.compile(r"\s(<|>|==)\s")
_HOLDS: dict[str, Callable[[Any, Any], bool]] = {"<": operator.lt, ">": operator.gt, "==": operator.eq}


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """A body, and the text from it to the next one (or the end of the page)."""

    body: dict[str, Any]
    text: str

    @property
    def claims(self) -> list[str]:
        """List what must hold of it."""
        return [one.strip() for block in _CLAIMS.findall(self.text) for one in block.split(";") if one.strip()]


def lessons(page: str) -> list[Lesson]:
    """Find the bodies of a page."""
    found = list(_BODY.finditer(page))
    ends = [one.start() for one in found[1:]] + [len(page)]
    return [Lesson(body=json.loads(one[1]), text=page[one.end() : end]) for one, end in zip(found, ends, strict=True)]


def outcome(get: Callable[[str], Any], job_id: str) -> dict[str, Any]:
    """Read what came of a job, as paths go through it. `get` reads JSON from a path of the service."""
    base = f"/v1/jobs/{job_id}"
    job, fits = get(base), get(f"{base}/fits")["items"]
    for figures in (fit[when] for fit in fits for when in ("best", "last")):
        if figures is not None and "val_loss" in figures:
            figures["gap"] = figures["val_loss"] - figures["train_loss"]
    curves = {curve["label"]: rows(curve) for curve in get(f"{base}/curves?max_points=100000")["fits"]}
    for fit in fits:
        if fit["last"] is not None:
            fit["last"]["learning_rate"] = curves[fit["label"]][-1]["learning_rate"]
    return {"job": job, "result": job["result"], "fits": fits, "fit": {fit["label"]: fit for fit in fits}, "curves": curves}


def rows(curve: dict[str, Any]) -> list[dict[str, Any]]:
    """Turn a curve's columns into a row for each epoch."""
    columns = {name: values for name, values in curve.items() if isinstance(values, list)}
    return [{name: values[i] for name, values in columns.items()} for i in range(len(curve["epoch"]))]


def at(found: Any, path: str) -> Any:
    """Follow a path, as far as there is something; KeyError or IndexError where a name is not known."""
    path, _, chosen = path.partition("@")
    for step in path.split("/"):
        if found is None:
            return None
        found = found[int(step)] if isinstance(found, list) else found[step]
    return [found[int(one)] for one in chosen.split(",")] if chosen else found


def holds(claim: str, found: dict[str, Any]) -> bool:
    """Tell whether a claim holds: paths, numbers and words joined by <, > and ==."""
    parts = _SIGN.split(claim)
    values = [_value(part, found) for part in parts[::2]]
    return all(_HOLDS[sign](low, high) for sign, low, high in zip(parts[1::2], values, values[1:], strict=False))


def _value(text: str, found: dict[str, Any]) -> Any:
    if text.partition("/")[0] in found:
        return at(found, text)
    try:
        return json.loads(text)
    except ValueError:
        return text


def table(directive: str, found: dict[str, Any]) -> str:
    """Write the table that a comment asks for."""
    path, *columns = directive.split(" | ")
    named = [column.partition("=") for column in columns]
    lines = [[name for name, _, _ in named], ["---"] * len(named)]
    lines += [[shown(at(row, inner)) for _, _, inner in named] for row in at(found, path)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def shown(value: Any) -> str:
    """Write a figure as a table has it."""
    if value is None:
        return "-"
    if isinstance(value, dict) and {"value", "low", "high"} <= value.keys():
        return f"{shown(value['value'])} [{shown(value['low'])}, {shown(value['high'])}]"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def written(text: str, found: dict[str, Any]) -> str:
    """Put tables and sentences into the text after a body."""
    text = _TABLE.sub(lambda one: f"{one[1]}\n{table(one[2], found)}\n{one[3]}", text)
    return _SENTENCE.sub(lambda one: f"{one[1]}> {found['result']['sentence']}\n", text)


def _thumbnail(picture: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.thumbnail((1320, 2640), Image.Resampling.LANCZOS)
    return small(image)


def _ran(client: httpx2.Client, body: dict[str, Any]) -> str:
    job = client.post("/v1/jobs", json=body).raise_for_status().json()
    while job["status"] in {"queued", "running"}:
        time.sleep(0.2)
        job = client.get(f"/v1/jobs/{job['id']}").json()
    if job["status"] != "succeeded":
        raise RuntimeError(f"{body['name']}: {job['failure']}")
    return str(job["id"])


def _pieces(client: httpx2.Client, page: str) -> Iterator[str]:
    """Give the page anew, piece by piece."""
    done = 0
    for lesson, match in zip(lessons(page), _BODY.finditer(page), strict=True):
        job_id = _ran(client, lesson.body)
        found = outcome(lambda path: client.get(path).raise_for_status().json(), job_id)
        print(lesson.body["name"], *(claim for claim in lesson.claims if not holds(claim, found)), sep="\n    does not hold: ")
        for name in _PICTURE.findall(lesson.text):
            _thumbnail(client.get(f"/v1/jobs/{job_id}/report.png").raise_for_status().content).save(FOLDER / name, optimize=True)
        yield page[done : match.end()]
        yield written(lesson.text, found)
        done = match.end() + len(lesson.text)
    yield page[done:]


def main(url: str, *names: str) -> None:
    """Measure all pages, or those named."""
    with httpx2.Client(base_url=url, timeout=60) as client:
        for path in [FOLDER / name for name in names] or [FOLDER.parent / "quickstart.md", *sorted(FOLDER.glob("*.md"))]:
            path.write_text("".join(_pieces(client, path.read_text())))


if __name__ == "__main__":
    main(*sys.argv[1:])

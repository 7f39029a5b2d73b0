"""What pages are made of: small, from here alone, and open to all as they hold no data."""

import gzip
import hashlib
import re
from pathlib import Path

import pytest

from api.dashboard.assets import assets, fingerprint
from tests.system import Client

_FOLDER = Path("api/dashboard/static")
_PAGES = ("/", "/ui/jobs/job_1", "/ui/compare", "/ui/new", "/ui/datasets", "/ui/datasets/digits", "/ui/nothing")


def _loaded(name: str, found: dict[str, int]) -> dict[str, int]:
    """Give a script and all that it imports, with the bytes that each takes on its way."""
    if name not in found:
        found[name] = len(assets()[name].packed)
        for imported in re.findall(r'from "\./([a-z_]+\.js)"', assets()[name].content.decode()):
            _loaded(imported, found)
    return found


@pytest.mark.parametrize("path", _PAGES)
def test_a_page_takes_at_most_60_kb_of_script(client: Client, path: str) -> None:
    found: dict[str, int] = {}
    for name in re.findall(r'<script[^>]* src="/ui/static/[0-9a-f]+/([^"]+)"', client.request("GET", path).text):
        _loaded(name, found)
    assert {"theme.js", "dom.js", "api.js"} <= found.keys()
    assert sum(found.values()) <= 60_000, found


def test_vendored_files_are_those_that_were_published() -> None:
    """SHA256SUMS was made from the package's own files; who takes another release makes it anew."""
    listed = [line.split("  ") for line in (_FOLDER / "vendor" / "SHA256SUMS").read_text().splitlines()]
    assert {name: hashlib.sha256((_FOLDER / "vendor" / name).read_bytes()).hexdigest() for _, name in listed} == {
        name: digest for digest, name in listed
    }
    assert {path.relative_to(_FOLDER / "vendor").as_posix() for path in (_FOLDER / "vendor").rglob("*.*") if path.is_file()} - {
        name for _, name in listed
    } == set()


@pytest.mark.parametrize("path", _PAGES)
def test_a_page_is_a_shell_of_files_from_here_under_a_strict_policy(client: Client, path: str) -> None:
    answer = client.request("GET", path)
    assert answer.status_code == (404 if path == "/ui/nothing" else 200)
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert not re.search(r"<script>|<style|style=|\son\w+=|https?://", answer.text)
    files = re.findall(r'(?:src|href)="(/ui/static/[^"]+)"', answer.text)
    assert len(files) >= 4
    for name in files:
        found = client.request("GET", name)
        assert found.status_code == 200, name
        assert "immutable" in found.headers["cache-control"]


def test_files_are_packed_for_who_asks_and_gone_under_another_releases_address(client: Client) -> None:
    path = f"/ui/static/{fingerprint()}/chart.js"
    packed = client.http.build_request("GET", path, headers={"Accept-Encoding": "gzip"})
    answer = client.http.send(packed)
    assert answer.headers["content-encoding"] == "gzip"
    plain = client.request("GET", path, headers={"Accept-Encoding": "identity"})
    assert plain.content == answer.content == gzip.decompress(assets()["chart.js"].packed)
    assert client.request("GET", "/ui/static/0123456789abcdef/chart.js").status_code == 404
    assert client.request("GET", f"/ui/static/{fingerprint()}/../../app.py").status_code == 404


def test_an_address_of_no_page_is_told_in_a_page_and_one_of_no_operation_in_a_problem(client: Client) -> None:
    for path in ("/ui/nothing", "/ui/jobs/a/b", "/ui/static/nothing"):
        answer = client.request("GET", path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert client.request("GET", "/v1/nothing").headers["content-type"] == "application/problem+json"
    assert client.request("POST", "/ui/nothing").headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/ui/", "/"),
        ("/ui/jobs", "/"),
        ("/ui/datasets/", "/ui/datasets"),
        ("/ui/compare/?jobs=a", "/ui/compare?jobs=a"),
        ("/ui//x.org/", "/ui//x.org"),
    ],
)
def test_a_slash_too_many_leads_to_the_page_without_it(client: Client, path: str, place: str) -> None:
    answer = client.request("GET", path, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, place)

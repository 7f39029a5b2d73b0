"""`holdout keys`, and where the API does not start without one."""

import json
import os
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.keys import why_not
from cli.main import app
from store.engine import Database
from store.keys import create_key, find_key, hashed, parts_of
from store.settings import StoreSettings


def _holdout(home: Path, *arguments: str, **environment: str) -> Result:
    assert "HOLDOUT_DATABASE_URL" not in os.environ
    return CliRunner().invoke(app, [*arguments], env={"HOLDOUT_HOME": str(home), **environment}, catch_exceptions=False)


@pytest.fixture
def home(sqlite_db: Database, tmp_path: Path) -> Path:
    """Give a home whose database is migrated."""
    assert Path(str(sqlite_db.engine.url.database)).parent == tmp_path
    return tmp_path


def test_a_key_is_made_listed_and_revoked(home: Path, sqlite_db: Database) -> None:
    made = _holdout(home, "keys", "create", "--owner", "ann", "--label", "laptop")
    assert made.exit_code == 0
    key = made.stdout.strip()
    key_id, secret = parts_of(key) or ("", "")
    stored = find_key(sqlite_db, key_id)
    assert stored is not None
    assert (stored.owner, stored.label, stored.hash) == ("ann", "laptop", hashed(secret))
    listed = _holdout(home, "keys", "list")
    assert re.fullmatch(rf"{key_id}  \S+Z  valid  ann  laptop\n", listed.stdout)
    for _ in range(2):  # again is no error
        assert _holdout(home, "keys", "revoke", key_id).stdout == f"{key_id} of ann is revoked\n"
    listed = _holdout(home, "keys", "list")
    assert re.fullmatch(rf"{key_id}  \S+Z  revoked \S+Z  ann  laptop\n", listed.stdout)
    assert secret not in listed.output + made.stderr


def test_what_is_done_with_keys_is_told_to_the_log_without_the_secret(home: Path) -> None:
    made = _holdout(home, "keys", "create", "--owner", "ann")
    key_id, secret = parts_of(made.stdout.strip()) or ("", "")
    revoked = _holdout(home, "keys", "revoke", key_id)
    told = [json.loads(line) for done in (made, revoked) for line in done.stderr.splitlines()]
    assert [(line["event"], line["action"], line["owner"], line["target"]) for line in told] == [
        ("audit", "key.create", "ann", key_id),
        ("audit", "key.revoke", "ann", key_id),
    ]
    assert secret not in made.stderr + revoked.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("create", "--owner", "no spaces"), "an owner's name"),
        (("create", "--owner", "ann", "--label", "a\nb"), "a label has at most"),
        (("revoke", "nope"), "no key has this id"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(home: Path, arguments: tuple[str, ...], sentence: str) -> None:
    done = _holdout(home, "keys", *arguments)
    assert done.exit_code == 1
    assert f"error: {sentence}" in done.stderr


def test_a_home_without_a_database_is_told_and_not_made(tmp_path: Path) -> None:
    done = _holdout(tmp_path / "none", "keys", "list")
    assert (done.exit_code, "run holdout up or holdout migrate first" in done.stderr) == (1, True)
    assert not (tmp_path / "none").exists()


def test_a_database_that_is_not_migrated_or_away_is_told(tmp_path: Path) -> None:
    (tmp_path / "holdout.db").touch()
    done = _holdout(tmp_path, "keys", "list")
    assert (done.exit_code, "the database has not been migrated" in done.stderr) == (1, True)
    done = _holdout(tmp_path, "keys", "list", HOLDOUT_DATABASE_URL="postgresql://a:opensesame@127.0.0.1:1/b")
    assert (done.exit_code, "cannot be reached" in done.stderr) == (1, True)
    assert "opensesame" not in done.output


def test_an_address_that_others_reach_is_not_served_without_a_key(home: Path, sqlite_db: Database, tmp_path: Path) -> None:
    def answer(host: str, *, is_behind_loopback: bool = False, **fields: str) -> str | None:
        settings = StoreSettings.model_validate({"home": home, **fields})
        return why_not(host, settings, is_behind_loopback=is_behind_loopback)

    for host in ("127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"):
        assert answer(host) is None
    for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", ""):
        told = answer(host)
        assert told is not None
        assert "holdout keys create --owner" in told
        assert answer(host, access="keys") is answer(host, access="open") is answer(host, is_behind_loopback=True) is None
    done = _holdout(home, "api", "--host", "0.0.0.0")
    assert (done.exit_code, "there is no API key: make one first" in done.stderr) == (1, True)
    assert "cannot be told" in str(why_not("::", StoreSettings(home=tmp_path / "none"), is_behind_loopback=False))
    create_key(sqlite_db, "ann")
    assert answer("0.0.0.0") is None

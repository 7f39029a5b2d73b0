"""API keys: made, found, listed, revoked. A secret is shown once, to whoever made it; what is stored is its SHA-256."""

import datetime as dt
import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update

from store.engine import Database
from store.errors import NotFound
from store.tables import ApiKeyRow, table

_KEYS = table(ApiKeyRow)
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_KEY = re.compile(r"hk_([0-9a-z]{16})_([0-9a-f]{64})", re.ASCII)
OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)
"""What an owner may be called."""


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key as it is stored; `hash` is the SHA-256 of its secret, in hex."""

    id: str
    owner: str
    hash: str
    label: str | None
    created_at: dt.datetime
    revoked_at: dt.datetime | None


def create_key(db: Database, owner: str, label: str | None = None) -> tuple[ApiKey, str]:
    """Make a key; give its row and the key itself, `hk_<id>_<secret>`, which nobody can read again.

    Raises:
        ValueError: no owner is called so, or the label cannot be stored.
    """
    if OWNER.fullmatch(owner) is None:
        raise ValueError("an owner's name has 1 to 64 letters, digits and . _ @ -, and begins with a letter or digit")
    if label is not None and (len(label) > 200 or not label.isprintable()):
        raise ValueError("a label has at most 200 printable characters")
    key_id, secret = "".join(secrets.choice(_ALPHABET) for _ in range(16)), secrets.token_hex(32)
    with db.write() as connection:
        values = {"id": key_id, "owner": owner, "hash": hashed(secret), "label": label, "created_at": db.now(connection)}
        connection.execute(insert(_KEYS).values(**values))
        row = connection.execute(select(_KEYS).where(_KEYS.c.id == key_id)).one()
    return _key(row), f"hk_{key_id}_{secret}"


def find_key(db: Database, key_id: str) -> ApiKey | None:
    """Read a key by its id, a revoked one too; None if there is none."""
    with db.read() as connection:
        row = connection.execute(select(_KEYS).where(_KEYS.c.id == key_id)).first()
    return None if row is None else _key(row)


def has_keys(db: Database) -> bool:
    """Tell whether a key was ever made. Revoking the last one opens no door."""
    with db.read() as connection:
        return connection.execute(select(_KEYS.c.id).limit(1)).first() is not None


def list_keys(db: Database) -> list[ApiKey]:
    """List all keys, oldest first, those revoked too."""
    with db.read() as connection:
        return [_key(row) for row in connection.execute(select(_KEYS).order_by(_KEYS.c.created_at, _KEYS.c.id))]


def revoke_key(db: Database, key_id: str) -> ApiKey:
    """Revoke a key; again is no error and changes nothing.

    Raises:
        NotFound: no key has this id.
    """
    with db.write() as connection:
        is_valid = (_KEYS.c.id == key_id) & _KEYS.c.revoked_at.is_(None)
        connection.execute(update(_KEYS).where(is_valid).values(revoked_at=db.now(connection)))
        row = connection.execute(select(_KEYS).where(_KEYS.c.id == key_id)).first()
    if row is None:
        raise NotFound(key_id)
    return _key(row)


def parts_of(key: str) -> tuple[str, str] | None:
    """Give the id and the secret of a key; None if it is no key's text."""
    found = _KEY.fullmatch(key)
    return None if found is None else (found[1], found[2])


def hashed(secret: str) -> str:
    """Give what is stored of a secret. It has 256 random bits: nothing slower than SHA-256 is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(row: Any) -> ApiKey:
    return ApiKey(id=row.id, owner=row.owner, hash=row.hash, label=row.label, created_at=row.created_at, revoked_at=row.revoked_at)

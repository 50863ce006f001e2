"""API keys of machines: ``sfk_<id>_<secret>``, of which only a hash of the secret is stored.

It must never store, log or show a secret again after it was made. The secret has 256 random bits,
so a plain SHA-256 of it cannot be guessed back. Invariants: a key does at most what its role and
scopes say; a rotated key lives on for the overlap and no longer than before.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.auth.permissions import Permission, Role
from api.auth.principal import Principal

PREFIX: Final = "sfk_"
_FORM: Final = re.compile(r"sfk_([a-z0-9]{12})_([A-Za-z0-9_-]{43})", re.ASCII)
_ID_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_USED_EVERY: Final = timedelta(minutes=1)
COLUMNS: Final = (
    "id, client, role, scopes, team_ids, centre_ids, created_at, expires_at, revoked_at, "
    "replaces, last_used_at"
)
_INSERT: Final = f"""
INSERT INTO api_key (id, client, secret_hash, role, scopes, team_ids, centre_ids, created_at,
    expires_at, replaces)
VALUES (%(id)s, %(client)s, %(secret_hash)s, %(role)s, %(scopes)s, %(team_ids)s, %(centre_ids)s,
    %(created_at)s, %(expires_at)s, %(replaces)s)
RETURNING {COLUMNS}"""  # noqa: S608 - our own names
_LIST: Final = f"SELECT {COLUMNS} FROM api_key ORDER BY client, created_at, id"  # noqa: S608 - likewise
_FIND: Final = f"SELECT {COLUMNS}, secret_hash FROM api_key WHERE id = %s"  # noqa: S608 - likewise
_TOUCH: Final = """
UPDATE api_key SET last_used_at = %(at)s
WHERE id = %(id)s AND (last_used_at IS NULL OR last_used_at < %(before)s)"""
_REVOKE: Final = f"""
UPDATE api_key SET revoked_at = coalesce(revoked_at, %(at)s) WHERE id = %(id)s
RETURNING {COLUMNS}"""  # noqa: S608 - likewise
_SHORTEN: Final = "UPDATE api_key SET expires_at = least(expires_at, %(until)s) WHERE id = %(id)s"
_LOCK: Final = f"SELECT {COLUMNS} FROM api_key WHERE id = %s FOR UPDATE"  # noqa: S608 - likewise


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key just made. ``key`` is shown once."""

    key: str
    row: DictRow


def split_key(text: str) -> tuple[str, bytes] | None:
    """Id and hash of the secret; None for what is no key."""
    found = _FORM.fullmatch(text)
    return None if found is None else (found[1], hash_secret(found[2]))


def hash_secret(secret: str) -> bytes:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).digest()


async def create(
    connection: AsyncConnection[DictRow],
    *,
    client: str,
    role: Role,
    scopes: Collection[Permission] | None,
    team_ids: Collection[str],
    centre_ids: Collection[str],
    at: datetime,
    lifetime: timedelta,
    replaces: str | None = None,
) -> MadeKey:
    """Make and store a key. Never commits."""
    identifier = "".join(secrets.choice(_ID_ALPHABET) for _ in range(12))
    secret = secrets.token_urlsafe(32)
    values = {
        "id": identifier,
        "client": client,
        "secret_hash": hash_secret(secret),
        "role": str(role),
        "scopes": None if scopes is None else sorted(str(scope) for scope in scopes),
        "team_ids": sorted(team_ids),
        "centre_ids": sorted(centre_ids),
        "created_at": at,
        "expires_at": at + lifetime,
        "replaces": replaces,
    }
    row = await (await connection.execute(_INSERT, values)).fetchone()
    if row is None:
        msg = "INSERT … RETURNING returned nothing"
        raise AssertionError(msg)
    return MadeKey(f"{PREFIX}{identifier}_{secret}", row)


async def list_all(connection: AsyncConnection[DictRow]) -> list[DictRow]:
    """Every key, without anything secret."""
    return await (await connection.execute(_LIST)).fetchall()


async def rotate(
    connection: AsyncConnection[DictRow], key_id: str, *, at: datetime, overlap: timedelta
) -> MadeKey | None:
    """A new key with the same rights and lifetime; the old one ends after the overlap.

    None when there is no such key, or it is not good any more. Never commits.
    """
    old = await (await connection.execute(_LOCK, (key_id,))).fetchone()
    if old is None or old["revoked_at"] is not None or old["expires_at"] <= at:
        return None
    await connection.execute(_SHORTEN, {"id": key_id, "until": at + overlap})
    return await create(
        connection,
        client=old["client"],
        role=Role(old["role"]),
        scopes=None if old["scopes"] is None else [Permission(s) for s in old["scopes"]],
        team_ids=old["team_ids"],
        centre_ids=old["centre_ids"],
        at=at,
        lifetime=old["expires_at"] - old["created_at"],
        replaces=key_id,
    )


async def revoke(
    connection: AsyncConnection[DictRow], key_id: str, *, at: datetime
) -> DictRow | None:
    """End a key at once; None when there is none such. Never commits."""
    return await (await connection.execute(_REVOKE, {"id": key_id, "at": at})).fetchone()


async def find(
    connection: AsyncConnection[DictRow], key_id: str, secret_hash: bytes, *, at: datetime
) -> Principal | None:
    """Whose key this is; None when it is none, or not good any more. Notes that it was used."""
    row = await (await connection.execute(_FIND, (key_id,))).fetchone()
    if row is None or not hmac.compare_digest(row["secret_hash"], secret_hash):
        return None
    if row["revoked_at"] is not None or row["expires_at"] <= at:
        return None
    touched = {"id": key_id, "at": at, "before": at - _USED_EVERY}
    await connection.execute(_TOUCH, touched)
    return _as_principal(row)


def _as_principal(row: dict[str, Any]) -> Principal:
    known = {str(permission) for permission in Permission}
    scopes = row["scopes"]
    return Principal(
        subject=f"client:{row['client']}",
        kind="machine",
        roles=frozenset({Role(row["role"])}),
        team_ids=frozenset(row["team_ids"]),
        centre_ids=frozenset(row["centre_ids"]),
        scopes=None if scopes is None else frozenset(Permission(s) for s in scopes if s in known),
        expires_at=row["expires_at"],
    )

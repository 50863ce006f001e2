"""Secrets of webhooks at rest: under the deployment's key where there is a key file.

Bound to their subscription, so that none can be moved to another. Without a key file they are
stored as they are, as the documentation says. It must never log or show a secret.
"""

from typing import Final, NamedTuple

from ingest.db.connections import Connection
from ingest.db.keyring import Keyring, UnknownKeyError, decrypt, encrypt

_DOMAIN: Final = b"suifang/v1/webhook-secret\x00"


class Sealed(NamedTuple):
    """A secret as it is stored."""

    key_id: str | None  # None: it is not sealed.
    content: bytes


def _bound(webhook: int, key_id: str) -> bytes:
    return _DOMAIN + f"{key_id}\x00{webhook}".encode()


def seal(keyring: Keyring | None, webhook: int, secret: bytes) -> Sealed:
    """The secret of one subscription, sealed by the key in force if there is one."""
    if keyring is None:
        return Sealed(None, secret)
    key_id = keyring.current_id
    return Sealed(key_id, encrypt(keyring.keys[key_id], secret, _bound(webhook, key_id)))


def open_sealed(keyring: Keyring | None, webhook: int, sealed: Sealed) -> bytes:
    """The secret again. Raises ``UnknownKeyError``, ``BrokenSealError``."""
    if sealed.key_id is None:
        return sealed.content
    if keyring is None or sealed.key_id not in keyring.keys:
        msg = f"key {sealed.key_id!r} is not in the key file; put it back, below the current one"
        raise UnknownKeyError(msg)
    return decrypt(keyring.keys[sealed.key_id], sealed.content, _bound(webhook, sealed.key_id))


_BY_KEY: Final = """
SELECT key_id, count(*) FROM webhook_secret WHERE key_id IS NOT NULL GROUP BY 1"""
_OLD: Final = """
SELECT webhook, id, key_id, content FROM webhook_secret
WHERE key_id IS DISTINCT FROM %s ORDER BY webhook, id FOR UPDATE"""
_RESEAL: Final = """
UPDATE webhook_secret SET key_id = %s, content = %s WHERE webhook = %s AND id = %s"""


async def count_by_key(connection: Connection) -> dict[str, int]:
    """How many secrets each key of the deployment seals."""
    return {row[0]: row[1] for row in await (await connection.execute(_BY_KEY)).fetchall()}


async def reseal(connection: Connection, keyring: Keyring) -> int:
    """Seal by the key in force what another one seals, or none; how many. Never commits.

    All at once: there are a few for each contract system.

    Raises:
        UnknownKeyError, BrokenSealError: Nothing is changed.
    """
    rows = await (await connection.execute(_OLD, (keyring.current_id,))).fetchall()
    for webhook, id_, *sealed in rows:
        secret = open_sealed(keyring, webhook, Sealed(*sealed))
        await connection.execute(_RESEAL, (*seal(keyring, webhook, secret), webhook, id_))
    return len(rows)

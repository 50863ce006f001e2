"""SQL of enrolment and renewal. Each function runs inside the caller's transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from ingest.db import channels

# Whoever else has this token, or renews this certificate, waits here.
_TOKEN: Final = "SELECT * FROM enrolment_token WHERE id = %s FOR UPDATE"  # noqa: S105 - no password
_BY_TOKEN: Final = "SELECT * FROM gateway_certificate WHERE token_id = %s"  # noqa: S105 - the same
_BY_FINGERPRINT: Final = """
SELECT * FROM gateway_certificate WHERE fingerprint = %s FOR UPDATE"""
_SUCCESSOR: Final = "SELECT * FROM gateway_certificate WHERE renews = %s"
_GATEWAY: Final = "SELECT * FROM gateway WHERE id = %s FOR UPDATE"
_COUNT_GOOD: Final = """
SELECT count(*) AS good FROM gateway_certificate
WHERE gateway_id = %s AND revoked_at IS NULL AND expires_at > %s"""
_USE: Final = "UPDATE enrolment_token SET used_at = %s WHERE id = %s"
_ENROL: Final = """
INSERT INTO gateway (id, centre_id, enrolled_at) VALUES (%(gateway)s, %(centre)s, %(at)s)
ON CONFLICT (id) DO UPDATE SET revoked_at = NULL, revoked_because = NULL"""
_SUPERSEDE: Final = """
UPDATE gateway_certificate SET revoked_at = %(at)s, revoked_because = 'enrolled again'
WHERE gateway_id = %(gateway)s AND revoked_at IS NULL AND expires_at > %(at)s"""
_INSERT: Final = """
INSERT INTO gateway_certificate (serial, gateway_id, fingerprint, key_hash, certificate, issued_at,
                                 expires_at, token_id, renews)
VALUES (%(serial)s, %(gateway_id)s, %(fingerprint)s, %(key_hash)s, %(certificate)s, %(issued_at)s,
        %(expires_at)s, %(token_id)s, %(renews)s)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRow:
    """One row of ``gateway_certificate``."""

    serial: str
    gateway_id: str
    fingerprint: bytes
    key_hash: bytes
    certificate: str
    issued_at: datetime
    expires_at: datetime
    token_id: str | None = None
    renews: str | None = None


async def _one(
    connection: AsyncConnection[DictRow], statement: str, *values: object
) -> DictRow | None:
    cursor = await connection.execute(statement.encode(), values)
    return await cursor.fetchone()


async def lock_token(connection: AsyncConnection[DictRow], token_id: str) -> DictRow | None:
    """A token by its number; nobody else can use it until the transaction ends."""
    return await _one(connection, _TOKEN, token_id)


async def lock_certificate(
    connection: AsyncConnection[DictRow], fingerprint: bytes
) -> DictRow | None:
    """A certificate by its fingerprint; nobody else can renew it until the transaction ends."""
    return await _one(connection, _BY_FINGERPRINT, fingerprint)


async def lock_gateway(connection: AsyncConnection[DictRow], gateway_id: str) -> DictRow | None:
    """A gateway; it cannot be revoked until the transaction ends."""
    return await _one(connection, _GATEWAY, gateway_id)


async def find_given_for(connection: AsyncConnection[DictRow], token_id: str) -> DictRow | None:
    """The certificate that was given for a token."""
    return await _one(connection, _BY_TOKEN, token_id)


async def find_successor(connection: AsyncConnection[DictRow], serial: str) -> DictRow | None:
    """The certificate that renewed another."""
    return await _one(connection, _SUCCESSOR, serial)


async def count_good(connection: AsyncConnection[DictRow], gateway_id: str, *, at: datetime) -> int:
    """How many certificates of a gateway are neither revoked nor over."""
    row = await _one(connection, _COUNT_GOOD, gateway_id, at)
    return 0 if row is None else int(row["good"])


async def enrol(connection: AsyncConnection[DictRow], token: DictRow, *, at: datetime) -> None:
    """Use the token: its gateway is enrolled, and whatever it was given before is void."""
    values: dict[str, Any] = {"gateway": token["gateway_id"], "centre": token["centre_id"]}
    await connection.execute(_USE, (at, token["id"]))
    await connection.execute(_ENROL, values | {"at": at})
    await connection.execute(_SUPERSEDE, values | {"at": at})
    await connection.execute("SELECT pg_notify(%s, %s)", (channels.GATEWAYS, token["gateway_id"]))


async def insert(connection: AsyncConnection[DictRow], row: CertificateRow) -> None:
    """Write a certificate down, before anybody gets it."""
    values = {name: getattr(row, name) for name in CertificateRow.__slots__}
    await connection.execute(_INSERT, values)

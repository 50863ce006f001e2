"""SQL of the operator's side of enrolment: tokens, revocation, lists.

The API's side, which gives certificates, is ``api/enrolment/queries.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString

from psycopg.rows import class_row

from ingest.db import channels
from ingest.db.connections import Connection
from ingest.db.errors import UnstorableError, translated


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """A token as the server knows it."""

    id: str
    secret_hash: bytes
    gateway_id: str
    centre_id: str
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateState:
    """One gateway's certificate, for lists."""

    serial: str
    gateway_id: str
    centre_id: str
    issued_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    revoked_because: str | None


_FIND_CENTRE: Final = "SELECT centre_id FROM gateway WHERE id = %s"
_WITHDRAW: Final = "DELETE FROM enrolment_token WHERE gateway_id = %s AND used_at IS NULL"
_TOKEN: Final = """
INSERT INTO enrolment_token (id, secret_hash, gateway_id, centre_id, issued_at, expires_at)
VALUES (%s, %s, %s, %s, %s, %s)"""  # noqa: S105 - no password
_REVOKE_GATEWAY: Final = """
UPDATE gateway SET revoked_at = %(at)s, revoked_because = %(because)s
WHERE id = %(gateway)s AND revoked_at IS NULL"""
_REVOKE_CERTIFICATES: Final = """
UPDATE gateway_certificate SET revoked_at = %(at)s, revoked_because = %(because)s
WHERE gateway_id = %(gateway)s AND revoked_at IS NULL AND expires_at > %(at)s"""
_REVOKED: Final = """
SELECT serial, revoked_at FROM gateway_certificate
WHERE revoked_at IS NOT NULL AND expires_at > %s ORDER BY revoked_at, serial"""
_LIST: Final = """
SELECT c.serial, c.gateway_id, g.centre_id, c.issued_at, c.expires_at, c.revoked_at,
       c.revoked_because
FROM gateway_certificate c JOIN gateway g ON g.id = c.gateway_id
WHERE (%(gateway)s::text IS NULL OR c.gateway_id = %(gateway)s)
  AND (%(before)s::timestamptz IS NULL
       OR c.expires_at < %(before)s AND c.expires_at > %(at)s AND c.revoked_at IS NULL
          AND NOT EXISTS (SELECT FROM gateway_certificate n
                          WHERE n.gateway_id = c.gateway_id AND n.revoked_at IS NULL
                            AND n.expires_at > c.expires_at))
ORDER BY c.gateway_id, c.issued_at, c.serial"""


async def save_tokens(connection: Connection, tokens: Sequence[TokenRow]) -> None:
    """Keep new tokens, all or none; of each gateway only the newest unused one counts.

    Raises:
        UnstorableError: A centre is not there, or a gateway belongs to another one.
        DatabaseUnavailableError: Try again.
    """
    with translated():
        async with connection.transaction():
            for row in tokens:
                await _require_centre(connection, row)
                await connection.execute(_WITHDRAW, (row.gateway_id,))
                values = (row.id, row.secret_hash, row.gateway_id, row.centre_id)
                await connection.execute(_TOKEN, (*values, row.issued_at, row.expires_at))


async def _require_centre(connection: Connection, row: TokenRow) -> None:
    cursor = await connection.execute(_FIND_CENTRE, (row.gateway_id,))
    found = await cursor.fetchone()
    if found is not None and found[0] != row.centre_id:
        msg = (
            f"gateway {row.gateway_id} belongs to centre {found[0]}, not {row.centre_id};"
            " move it first (suifang load), or name its own centre"
        )
        raise UnstorableError(msg)


async def revoke(
    connection: Connection, gateway_id: str, *, because: str, at: datetime
) -> int | None:
    """Revoke a gateway, its certificates and its unused tokens; ingest hears of it at once.

    Returns:
        How many certificates are revoked now that were not; None: there is no such gateway.

    Raises:
        DatabaseUnavailableError: Try again.
    """
    values = {"gateway": gateway_id, "because": because, "at": at}
    with translated():
        async with connection.transaction():
            cursor = await connection.execute(_FIND_CENTRE, (gateway_id,))
            if await cursor.fetchone() is None:
                return None
            await connection.execute(_REVOKE_GATEWAY, values)
            await connection.execute(_WITHDRAW, (gateway_id,))
            cursor = await connection.execute(_REVOKE_CERTIFICATES, values)
            await connection.execute("SELECT pg_notify(%s, %s)", (channels.GATEWAYS, gateway_id))
            return cursor.rowcount


async def list_revoked(connection: Connection, *, at: datetime) -> list[tuple[int, datetime]]:
    """Serial and time of what was revoked and would otherwise hold still."""
    with translated():
        cursor = await connection.execute(_REVOKED, (at,))
        return [(int(row[0], 16), row[1]) for row in await cursor.fetchall()]


async def list_certificates(
    connection: Connection,
    *,
    at: datetime,
    gateway_id: str | None = None,
    before: datetime | None = None,
) -> list[CertificateState]:
    """Certificates by gateway and age.

    Args:
        connection: Any.
        at: Now.
        gateway_id: Of one gateway only.
        before: Only those that end before, hold still, and have no later one beside them: what an
            operator must see to.
    """
    statement: LiteralString = _LIST
    values = {"gateway": gateway_id, "before": before, "at": at}
    with translated():
        async with connection.cursor(row_factory=class_row(CertificateState)) as cursor:
            await cursor.execute(statement, values)
            return await cursor.fetchall()

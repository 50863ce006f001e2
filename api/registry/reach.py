"""Who may write which places: whoever belongs to a centre, that centre's only.

Residents and contracts need no check here: row-level security has one. Places are seen by
everybody, so the database would let a centre's administrator write those of another centre.
"""

from typing import Final, Protocol

from api.auth.principal import Principal, Reach
from api.errors import ForbiddenError
from ingest.db.connections import Connection
from ingest.db.registry import Kind


class Placed(Protocol):
    """A record with its id; that of a team and of staff names a centre."""

    @property
    def id(self) -> str:
        """As the contract system calls it."""
        ...


_CENTRE_OF: Final[dict[str, str]] = {
    "team": "SELECT centre_id FROM team WHERE id = %s",
    "staff": "SELECT centre_id FROM staff WHERE id = %s",
}


async def require_own_place(
    connection: Connection, principal: Principal, kind: Kind, record: Placed
) -> None:
    """Raise ``ForbiddenError`` for a place of another centre, and for what is of no centre."""
    if principal.reach is Reach.ALL or kind in ("resident", "contract"):
        return
    if kind == "package":
        msg = "packages are of the whole deployment: only the contract system writes them"
        raise ForbiddenError(msg)
    centres = {record.id if kind == "centre" else getattr(record, "centre_id", "")}
    if kind in _CENTRE_OF:
        cursor = await connection.execute(_CENTRE_OF[kind].encode(), (record.id,))
        centres |= {row[0] for row in await cursor.fetchall()}
    if not centres <= principal.seen_centre_ids:
        msg = "this is of another centre than yours"
        raise ForbiddenError(msg)

"""SQL of subscriptions, as their owner writes and reads them.

Whose they are is decided by the database: no statement here names the owner but the insertion.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from api.webhooks.schemas import WebhookIn
from ingest.db.webhook_secrets import Sealed

FIRST_SECRET: Final = "first"  # noqa: S105 - its name
_COLUMNS: Final = """
w.number, w.id, w.url, w.kinds AS types, w.description, w.enabled, w.created_at, w.changed_at,
CASE WHEN NOT w.enabled THEN 'disabled' WHEN w.parked_because = 'gone' THEN 'gone'
     WHEN w.parked_at IS NOT NULL THEN 'parked' WHEN w.failures > 0 THEN 'retrying'
     ELSE 'active' END AS state,
w.after, feed_head() AS head, w.failures, w.failing_since, w.next_at AS next_attempt_at,
w.parked_at, w.last_delivered_at, w.last_problem,
ARRAY(SELECT jsonb_build_object('id', s.id, 'made_at', s.made_at, 'expires_at', s.expires_at)
      FROM webhook_secret s
      WHERE s.webhook = w.number AND (s.expires_at IS NULL OR s.expires_at > %(at)s)
      ORDER BY s.expires_at DESC NULLS FIRST) AS secrets"""
_FETCH: Final = f"SELECT {_COLUMNS} FROM webhook w WHERE w.id = %(id)s"  # noqa: S608 - our own names
_LIST: Final = f"""
SELECT {_COLUMNS} FROM webhook w
WHERE (%(after_id)s::text IS NULL OR w.id > %(after_id)s) ORDER BY w.id LIMIT %(rows)s"""  # noqa: S608 - likewise
# Of two who make the same one the second waits here, and then sees it.
_INSERT: Final = """
INSERT INTO webhook (owner, id, url, kinds, description, enabled, reach, created_at, changed_at,
    after)
VALUES (%(owner)s, %(id)s, %(url)s, %(types)s, %(description)s, %(enabled)s, %(reach)s, %(at)s,
    %(at)s, feed_head())
ON CONFLICT (owner, id) DO NOTHING RETURNING number"""
# Another address, or one that is wanted again, begins without the failures of before.
_UPDATE: Final = """
UPDATE webhook AS w SET url = %(url)s, kinds = %(types)s, description = %(description)s,
    enabled = %(enabled)s, reach = %(reach)s, changed_at = %(at)s, epoch = w.epoch + 1,
    failures = CASE WHEN b.anew THEN 0 ELSE w.failures END,
    failing_since = CASE WHEN NOT b.anew THEN w.failing_since END,
    next_at = CASE WHEN NOT b.anew THEN w.next_at END,
    parked_at = CASE WHEN NOT b.anew THEN w.parked_at END,
    parked_because = CASE WHEN NOT b.anew THEN w.parked_because END
FROM (SELECT number, url <> %(url)s OR (%(enabled)s AND NOT enabled)
             OR (parked_because IS NOT DISTINCT FROM 'owner') AS anew
      FROM webhook WHERE id = %(id)s FOR UPDATE) AS b
WHERE w.number = b.number
  AND (w.url, w.kinds, w.description, w.enabled, w.reach) IS DISTINCT FROM
      (%(url)s, %(types)s::text[], %(description)s, %(enabled)s, %(reach)s::jsonb)"""
_COUNT: Final = "SELECT count(*) AS count FROM webhook"
_DELETE: Final = "DELETE FROM webhook WHERE id = %s"
_REPLAY: Final = """
UPDATE webhook SET after = %(after)s, epoch = epoch + 1, failures = 0, failing_since = NULL,
    next_at = NULL, parked_at = NULL, parked_because = NULL
WHERE id = %(id)s"""
_LOCK: Final = "SELECT number FROM webhook WHERE id = %s FOR UPDATE"
_SECRETS: Final = "SELECT id FROM webhook_secret WHERE webhook = %s"
_FORGET_OLD: Final = """
DELETE FROM webhook_secret WHERE webhook = %(webhook)s AND expires_at <= %(at)s"""
_LIMIT_OLD: Final = """
UPDATE webhook_secret SET expires_at = %(until)s
WHERE webhook = %(webhook)s AND expires_at IS NULL"""
_PUT_IN_FORCE: Final = """
INSERT INTO webhook_secret (webhook, id, key_id, content, made_at)
VALUES (%(webhook)s, %(id)s, %(key_id)s, %(content)s, %(at)s)"""
_WAKE: Final = "SELECT pg_notify('webhook', '')"


async def fetch(connection: AsyncConnection[DictRow], id_: str, *, at: datetime) -> DictRow | None:
    """One subscription of whoever asks; None: there is none of this id."""
    return await (await connection.execute(_FETCH, {"id": id_, "at": at})).fetchone()


async def list_by_id(
    connection: AsyncConnection[DictRow], *, after_id: str | None, rows: int, at: datetime
) -> list[DictRow]:
    """At most ``rows`` subscriptions of whoever asks, above an id."""
    asked = {"after_id": after_id, "rows": rows, "at": at}
    return await (await connection.execute(_LIST, asked)).fetchall()


async def count(connection: AsyncConnection[DictRow]) -> int:
    """How many subscriptions whoever asks has."""
    row = await (await connection.execute(_COUNT)).fetchone()
    return 0 if row is None else int(row["count"])


async def save(
    connection: AsyncConnection[DictRow],
    id_: str,
    content: WebhookIn,
    *,
    owner: str,
    reach: dict[str, Any],
    at: datetime,
) -> int | None:
    """Insert or update; its number if it is new. The same again changes nothing. Never commits."""
    types = None if content.types is None else sorted(set(content.types))
    values = {
        **content.model_dump(exclude={"types"}),
        "types": types,
        "id": id_,
        "owner": owner,
        "reach": Jsonb(reach),
        "at": at,
    }
    made = await (await connection.execute(_INSERT, values)).fetchone()
    if made is None:
        await connection.execute(_UPDATE, values)
    await connection.execute(_WAKE)
    return None if made is None else int(made["number"])


async def delete(connection: AsyncConnection[DictRow], id_: str) -> bool:
    """Take one away, with its secrets; whether it was there. Never commits."""
    return (await connection.execute(_DELETE, (id_,))).rowcount == 1


async def replay(connection: AsyncConnection[DictRow], id_: str, *, after: int) -> None:
    """Go on from a number, whatever was told and however it failed before. Never commits."""
    await connection.execute(_REPLAY, {"id": id_, "after": after})
    await connection.execute(_WAKE)


async def lock(connection: AsyncConnection[DictRow], id_: str) -> int | None:
    """Hold a subscription until the transaction ends; its number."""
    row = await (await connection.execute(_LOCK, (id_,))).fetchone()
    return None if row is None else int(row["number"])


async def list_secret_ids(
    connection: AsyncConnection[DictRow], webhook: int, *, at: datetime
) -> Sequence[str]:
    """Ids of its secrets, after those that have ended are gone. Never commits."""
    await connection.execute(_FORGET_OLD, {"webhook": webhook, "at": at})
    cursor = await connection.execute(_SECRETS, (webhook,))
    return [row["id"] for row in await cursor.fetchall()]


async def add_secret(
    connection: AsyncConnection[DictRow],
    webhook: int,
    id_: str,
    sealed: Sealed,
    *,
    at: datetime,
    until: datetime,
) -> None:
    """Put a secret in force; the one before it signs ``until`` then. Never commits."""
    await connection.execute(_LIMIT_OLD, {"webhook": webhook, "until": until})
    values = {"webhook": webhook, "id": id_, **sealed._asdict(), "at": at}
    await connection.execute(_PUT_IN_FORCE, values)

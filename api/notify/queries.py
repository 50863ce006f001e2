"""SQL of contacts, hours and notifications, for the routes beside."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

_CONTACT: Final = """
SELECT staff_id, email, phone, duties, changed_at, changed_by FROM staff_contact
WHERE staff_id = %s"""
_SAVE_CONTACT: Final = """
INSERT INTO staff_contact AS c (staff_id, email, phone, duties, changed_at, changed_by)
SELECT s.id, %(email)s, %(phone)s, %(duties)s, %(at)s, %(by)s FROM staff s WHERE s.id = %(id)s
ON CONFLICT (staff_id) DO UPDATE
SET email = EXCLUDED.email, phone = EXCLUDED.phone, duties = EXCLUDED.duties,
    changed_at = EXCLUDED.changed_at, changed_by = EXCLUDED.changed_by
WHERE (c.email, c.phone, c.duties) IS DISTINCT FROM
      (EXCLUDED.email, EXCLUDED.phone, EXCLUDED.duties)"""
_FORGET_CONTACT: Final = "DELETE FROM staff_contact WHERE staff_id = %s"
_HOURS: Final = """
SELECT quiet_from, quiet_until, shifts, changed_at, changed_by FROM duty_hours
WHERE kind = %s AND id = %s"""
_SAVE_HOURS: Final[Mapping[str, str]] = {
    kind: f"""
INSERT INTO duty_hours AS h (kind, id, quiet_from, quiet_until, shifts, changed_at, changed_by)
SELECT '{kind}', p.id, %(quiet_from)s, %(quiet_until)s, %(shifts)s, %(at)s, %(by)s
FROM {kind} p WHERE p.id = %(id)s
ON CONFLICT (kind, id) DO UPDATE
SET quiet_from = EXCLUDED.quiet_from, quiet_until = EXCLUDED.quiet_until,
    shifts = EXCLUDED.shifts, changed_at = EXCLUDED.changed_at, changed_by = EXCLUDED.changed_by
WHERE (h.quiet_from, h.quiet_until, h.shifts) IS DISTINCT FROM
      (EXCLUDED.quiet_from, EXCLUDED.quiet_until, EXCLUDED.shifts)"""  # noqa: S608 - our own words
    for kind in ("centre", "team")
}
_NOTIFICATIONS: Final = """
SELECT n.round, n.step, n.rung, n.at, n.held, n.staff_id, n.message_id, m.channel, m.kind,
       m.status, coalesce((
           SELECT jsonb_agg(jsonb_build_object('number', t.number, 'begun_at', t.begun_at,
               'ended_at', t.ended_at, 'problem', t.problem) ORDER BY t.number)
           FROM message_attempt t WHERE t.message_id = n.message_id), '[]') AS attempts
FROM notification n LEFT JOIN message m ON m.id = n.message_id
WHERE n.alert_id = %s ORDER BY n.number DESC LIMIT %s"""
NOTIFICATIONS_MAX: Final = 500  # The newest are kept in view.


async def fetch_contact(connection: AsyncConnection[DictRow], staff_id: str) -> DictRow | None:
    """One contact; None: there is none, or it may not be seen."""
    return await (await connection.execute(_CONTACT, (staff_id,))).fetchone()


async def save_contact(
    connection: AsyncConnection[DictRow],
    staff_id: str,
    content: Mapping[str, Any],
    *,
    by: str,
    at: datetime,
) -> None:
    """Write one contact of somebody who is on the register; the same again changes nothing."""
    await connection.execute(_SAVE_CONTACT, {**content, "id": staff_id, "by": by, "at": at})


async def forget_contact(connection: AsyncConnection[DictRow], staff_id: str) -> bool:
    """Addresses go at once; nothing keeps them. False: there were none to be seen."""
    return (await connection.execute(_FORGET_CONTACT, (staff_id,))).rowcount > 0


async def fetch_hours(connection: AsyncConnection[DictRow], kind: str, id_: str) -> DictRow | None:
    """The hours of one place; None: it has none of its own."""
    return await (await connection.execute(_HOURS, (kind, id_))).fetchone()


async def save_hours(
    connection: AsyncConnection[DictRow],
    place: tuple[str, str],
    content: Mapping[str, Any],
    *,
    by: str,
    at: datetime,
) -> None:
    """Write the hours of one place; the same again changes nothing."""
    kind, id_ = place
    values = {**content, "id": id_, "by": by, "at": at}
    await connection.execute(_SAVE_HOURS[kind].encode(), values)


async def list_notifications(connection: AsyncConnection[DictRow], alert_id: UUID) -> list[DictRow]:
    """Who was to be told about one alert, in order: the last ``NOTIFICATIONS_MAX``."""
    cursor = await connection.execute(_NOTIFICATIONS, (alert_id, NOTIFICATIONS_MAX))
    return (await cursor.fetchall())[::-1]

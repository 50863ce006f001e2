"""Whom the messages of a round have reached, alert by alert. Reads only.

Who has a message that is sent or waits is not told again. Only who has one that was taken has been
told: one that was dropped told nobody, and one that was refused makes its recipient as good as
absent, until their contact is written anew or some time has passed: longer after each refusal.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from psycopg.rows import dict_row

from ingest.db.connections import Connection

_STATES: Final = """
SELECT n.alert_id, n.staff_id, bool_or(m.status = 'sent') AS sent,
       bool_or(m.status = 'waiting') AS waits,
       bool_or(m.status = 'waiting' AND NOT EXISTS (
           SELECT FROM message_attempt p
           WHERE p.message_id = m.id AND p.problem IS NOT NULL)) AS is_fresh,
       count(*) FILTER (WHERE m.status = 'failed'
                          AND m.made_at >= coalesce(c.changed_at, m.made_at)) AS refusals,
       max(m.made_at) FILTER (WHERE m.status = 'failed'
                                AND m.made_at >= coalesce(c.changed_at, m.made_at)) AS refused_at
FROM notification n JOIN message m ON m.id = n.message_id
JOIN alert_attention t ON t.alert_id = n.alert_id AND t.round = n.round
LEFT JOIN staff_contact c ON c.staff_id = n.staff_id
WHERE n.alert_id = ANY(%(alerts)s)
GROUP BY n.alert_id, n.staff_id"""


@dataclass(frozen=True, slots=True)
class Reached:
    """What has become of the messages about one alert, by ``staff_id``."""

    addressed: set[str] = field(default_factory=set)  # Sent, or waits: not told again.
    sent: set[str] = field(default_factory=set)
    hoped: set[str] = field(default_factory=set)  # Waits, and no attempt has failed yet.
    lost: set[str] = field(default_factory=set)  # All that was sent to them was refused lately.

    def add(self, row: Mapping[str, Any], *, refused_lately: bool) -> None:
        """Put one person where they belong."""
        who = row["staff_id"]
        for has, where in (
            (row["sent"] or row["waits"], self.addressed),
            (row["sent"], self.sent),
            (row["is_fresh"], self.hoped),
            (refused_lately and not row["sent"] and not row["waits"], self.lost),
        ):
            if has:
                where.add(who)


async def fetch_reached(
    connection: Connection,
    alerts: Sequence[UUID],
    *,
    now: datetime,
    pause: Callable[[int], timedelta],
) -> dict[UUID, Reached]:
    """Of the running round of each alert; one without messages is absent.

    Args:
        connection: The notifier's.
        alerts: Ids.
        now: The clock.
        pause: For how long nobody tries again whom so many messages of this round were refused for.
    """
    found: dict[UUID, Reached] = {}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_STATES, {"alerts": list(alerts)})
        for row in await cursor.fetchall():
            refused = row["refusals"] > 0 and row["refused_at"] > now - pause(row["refusals"])
            found.setdefault(row["alert_id"], Reached()).add(row, refused_lately=refused)
    return found

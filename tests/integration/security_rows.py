"""What else there is about everybody of ``security_world.py``: one row each in every other table.

Whom each principal may see is written down there by hand, and which centres and teams here.
"""

from datetime import date
from typing import Final

from api.auth.principal import Principal
from ingest.db.connections import Connection
from tests.integration.security_world import (
    ALL_RESIDENTS,
    CENTRE_OF_TEAM,
    EVERYTHING,
    MEASURED_AT,
    NOW,
    SEEN,
    id_of,
)

CLOSED: Final = "2025"
IDENTIFIERS: Final = "urn:example:his"
CENTRES: Final = frozenset(CENTRE_OF_TEAM.values())
# Centres that are one's own, whose places and figures one has to do with.
CENTRES_OF: Final[dict[str, frozenset[str]]] = {
    "admin of north": frozenset({"north"}),
    "doctor of s1, admin of north": frozenset({"north"}),
    "contract system of south": frozenset({"south"}),
    "contract system": CENTRES,
    "supervisor of north": frozenset({"north"}),
    "supervisor": CENTRES,
}
# Teams that are one's own, by themselves or by their centre.
TEAMS_OF: Final[dict[str, frozenset[str]]] = {
    "doctor of n1": frozenset({"n1"}),
    "doctor who names a centre": frozenset({"n1"}),
    "leader of n1 and s1": frozenset({"n1", "s1"}),
    "admin of north": frozenset({"n1", "n2"}),
    "doctor of s1, admin of north": frozenset({"n1", "n2", "s1"}),
    "contract system of south": frozenset({"s1"}),
    "contract system": frozenset(CENTRE_OF_TEAM),
    "supervisor of north": frozenset({"n1", "n2"}),
    "supervisor": frozenset(CENTRE_OF_TEAM),
}
MERGES: Final = (
    *(("anna", "ben"), ("ben", "carl"), ("carl", "anna")),
    *(("stub-n", "anna"), ("stub-s", "carl")),
)

_OF_CENTRES: Final = (
    "INSERT INTO staff VALUES (%(staff)s, %(centre)s, 'doctor', NULL, '2026-01-01')",
    "INSERT INTO staff_contact VALUES (%(staff)s, 'x@example.org', NULL, '{doctor}', %(at)s, 'x')",
    "INSERT INTO duty_hours VALUES ('centre', %(centre)s, '18:00', '09:00', '{}', %(at)s, 'x')",
    "INSERT INTO indicator_closing VALUES (%(centre)s, %(period)s, 'x', %(at)s)",
)
_OF_TEAMS: Final = (
    "INSERT INTO staff_team VALUES (%(staff)s, %(team)s)",
    "INSERT INTO duty_hours VALUES ('team', %(team)s, '18:00', '09:00', '{}', %(at)s, 'x')",
    """
INSERT INTO indicator_closed VALUES (%(centre)s, %(period)s, %(team)s, 'signing.all', 1, 1, 1)""",
)
_OF_RESIDENTS: Final = (
    "INSERT INTO indicator_year (resident_id, condition, year) VALUES (%(name)s, 'diabetes', 2025)",
    "INSERT INTO health_check VALUES (%(name)s, %(day)s, 'x', %(at)s)",
    "INSERT INTO contract_turn VALUES (%(record)s, 1, %(name)s, %(contract)s, 'closure', %(at)s)",
)
_OF_ALERTS: Final = (
    """
INSERT INTO message VALUES (%(message)s, 'page', %(staff)s, 'email', '{}', %(at)s, 'sent', 1)""",
    "INSERT INTO message_attempt VALUES (%(message)s, 1, %(at)s, %(at)s)",
    """
INSERT INTO notification (alert_id, round, step, rung, held, at, staff_id, message_id)
VALUES (%(alert)s, 1, 1, 'doctor', false, %(at)s, %(staff)s, %(message)s)""",
    """
INSERT INTO observation_identifier
VALUES (%(staff)s, %(system)s, 'obs-' || %(name)s, %(reading)s, %(reading)s, %(at)s)""",
)
_MERGE: Final = """
INSERT INTO resident_merge (resident_id, into_id, reason, author, merged_at, unmerged_at,
    unmerged_by) VALUES (%s, %s, 'x', 'x', %s, %s, 'x')"""
_WEBHOOK: Final = """
WITH made AS (
    INSERT INTO webhook (owner, id, url, description, enabled, reach, created_at, changed_at, after)
    VALUES (%(owner)s, %(id)s, 'https://hooks.example.org/x', 'x', false, '{}', %(at)s, %(at)s, 0)
    RETURNING number)
INSERT INTO webhook_secret SELECT number, 'of ' || %(id)s, NULL, 'x', %(at)s FROM made"""
_AUDITED: Final = "SELECT audit_write(%s, 'x', 'read', 'x', %s, NULL)"


def webhook_of(who: Principal) -> str:
    """As an owner calls the one webhook that they have."""
    return f"hook-{who.subject}"


async def build_rows(writer: Connection) -> None:
    """Fill the tables that ``build_world`` leaves empty; whose team anybody has stays."""
    async with writer.transaction():  # Figures come with their closing.
        await _build_places(writer)
    for resident in sorted(ALL_RESIDENTS):
        values = {
            "name": resident,
            "record": id_of("record", resident),
            "contract": f"contract-{resident}",
            "day": date(2026, 3, 1),
            "at": NOW,
        }
        for statement in _OF_RESIDENTS:
            await writer.execute(statement.encode(), values)
    for name in sorted(EVERYTHING):
        ids = {kind: id_of(kind, name) for kind in ("alert", "message", "reading")}
        staff = f"staff-{MEASURED_AT[name]}"
        values = {**ids, "name": name, "staff": staff, "system": IDENTIFIERS, "at": NOW}
        for statement in _OF_ALERTS:
            await writer.execute(statement.encode(), values)
    for gone, survivor in MERGES:
        await writer.execute(_MERGE, (gone, survivor, NOW, NOW))
    for who, *_ in SEEN.values():
        values = {"owner": who.subject, "id": webhook_of(who), "at": NOW}
        await writer.execute(_WEBHOOK, values)
    await writer.execute(_AUDITED, (NOW, sorted(ALL_RESIDENTS)))


async def _build_places(writer: Connection) -> None:
    for centre in sorted(CENTRES):
        values = {"centre": centre, "staff": f"staff-{centre}", "period": CLOSED, "at": NOW}
        for statement in _OF_CENTRES:
            await writer.execute(statement.encode(), values)
        for team in sorted(team for team, of in CENTRE_OF_TEAM.items() if of == centre):
            for statement in _OF_TEAMS:
                await writer.execute(statement.encode(), {**values, "team": team})

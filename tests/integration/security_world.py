"""Two centres, three teams, and everything there is about five residents, for the tests beside.

Whom each principal may see is written down here by hand, not computed by what is tested.
"""

from datetime import UTC, date, datetime
from typing import Final
from uuid import UUID, uuid5

from psycopg.types.json import Jsonb

from api.auth.permissions import Role
from api.auth.principal import Kind, Principal
from ingest.db.connections import Connection

NOW: Final = datetime(2026, 3, 16, 16, 30, tzinfo=UTC)
TEAM_OF: Final = {"anna": "n1", "ben": "n2", "carl": "s1", "stub-n": None, "stub-s": None}
CENTRE_OF_TEAM: Final = {"n1": "north", "n2": "north", "s1": "south"}
MEASURED_AT: Final = {
    "anna": "north",
    "ben": "north",
    "carl": "south",
    "stub-n": "north",
    "stub-s": "south",
    "": "north",  # Unclaimed.
}
_NAMESPACE: Final = UUID("5f1fa600-7375-5966-616e-000000000000")

INSERT_READING: Final = """
INSERT INTO {table} (id, partition_at, content_hash, kind, resident_id, centre_id, gateway_id,
    device_id, stored_record, captured_at, clock_synchronised, received_at, arrived_at,
    effective_at, time_suspect, setting, status, glucose, unit)
VALUES (%(id)s, %(at)s, 1, 'glucose', %(resident)s, %(centre)s, 'gw', 'meter', false, %(at)s,
    true, %(at)s, %(at)s, %(at)s, false, 'office', '{{}}', 7.00, 'mmol/L')"""
INSERT_ALERT: Final = """
INSERT INTO alert (id, resident_id, centre_id, condition, code, severity, status, anchor_id,
    effective_at, raised_at, page, late, observed, threshold, source, profile, profile_version,
    raised_by, updated_at, anchor_kind, explanation)
VALUES (%(id)s, %(resident)s, %(centre)s, 'diabetes', 'GLU_HIGH', 'warn', 'active', %(id)s,
    %(at)s, %(at)s, false, false, '9.87 mmol/L', 'x', 'x', 'wuzhou', '1', 'ingest', %(at)s,
    'reading', '{"en": "9.87 mmol/L is above", "zh": "9.87 mmol/L", "record": {}}')"""
OBSERVED: Final = "9.87 mmol/L"
"""What every alert of this world saw: not for who sees no measured values."""
INSERT_CASE: Final = """
INSERT INTO resident_case (resident_id, condition, state, consecutive_unsatisfied, profile,
    profile_version, updated_at) VALUES (%(resident)s, 'diabetes', 'x', 0, 'wuzhou', '1', %(at)s)"""


REGISTER: Final = (
    "INSERT INTO registry_entry SELECT 'resident', id, 1 FROM resident WHERE team_id IS NOT NULL",
    "INSERT INTO registry_entry SELECT 'contract', id, 1 FROM contract WHERE id NOT LIKE '%%b-_'",
    """
INSERT INTO registry_change (kind, id, version, resident_id, author, at, content)
SELECT 'resident', id, 1, id, 'x', %(at)s, jsonb_build_object('team_id', team_id,
    'birth_date', NULL, 'sex', NULL, 'enrolled_on', NULL, 'personal', NULL,
    'conditions', '[]'::jsonb)
FROM resident WHERE team_id IS NOT NULL""",
    """
INSERT INTO registry_change (kind, id, version, resident_id, author, at, content)
SELECT 'contract', id, 1, resident_id, 'x', %(at)s, jsonb_build_object(
    'resident_id', resident_id, 'package_id', package_id, 'signed_on', NULL, 'since', since,
    'until', until, 'follows', NULL, 'followed_as', NULL, 'ended_on', NULL, 'end_reason', NULL,
    'referral_hospitals', '[]'::jsonb)
FROM contract WHERE id NOT LIKE '%%b-_'""",
    """
INSERT INTO resident_key (resident_id, key_id, wrapped, made_at)
SELECT id, 'k', 'x', %(at)s FROM resident""",
    "INSERT INTO resident_sealed (resident_id, generation) SELECT id, 1 FROM resident",
    "INSERT INTO contract_due (resident_id, due_at) SELECT id, %(at)s FROM resident",
)


def id_of(kind: str, resident: str) -> UUID:
    """The id of what this world holds of a kind about a resident."""
    return uuid5(_NAMESPACE, f"{kind}/{resident}")


async def build_world(writer: Connection) -> None:
    """Fill a fresh database."""
    await writer.execute("INSERT INTO centre VALUES ('north', 'N'), ('south', 'S')")
    await writer.execute("INSERT INTO package VALUES ('basic', 'Basic')")
    for team, centre in CENTRE_OF_TEAM.items():
        await writer.execute("INSERT INTO team VALUES (%s, %s, %s)", (team, centre, team))
    for resident, of_team in TEAM_OF.items():
        await writer.execute(
            "INSERT INTO resident (id, team_id, created_at) VALUES (%s, %s, %s)",
            (resident, of_team, NOW),
        )
    for resident in TEAM_OF:
        await _build_about(writer, resident)
    for statement in REGISTER:
        await writer.execute(statement, {"at": NOW})
    for name, centre in MEASURED_AT.items():
        values = {
            "resident": name or None,
            "centre": centre,
            "at": NOW,
            "id": id_of("reading", name),
        }
        await writer.execute(INSERT_READING.format(table="reading"), values)
        values["id"] = id_of("held", name)
        await writer.execute(INSERT_READING.format(table="reading_held"), values)
        values["id"] = id_of("alert", name)
        await writer.execute(INSERT_ALERT, values)
        await writer.execute(
            "INSERT INTO alert_attention (alert_id, opened_at) VALUES (%(id)s, %(at)s)", values
        )
        await writer.execute(
            "INSERT INTO alert_history (alert_id, what, at, author) "
            "VALUES (%(id)s, 'reopened', %(at)s, 'judge')",
            values,
        )
        payload = {"resident_id": name or None, "centre_id": centre, "about": name}
        payload["observed"] = OBSERVED
        await writer.execute(
            "INSERT INTO outbox (number, kind, payload, created_at) "
            "SELECT coalesce(max(number), 0) + 1, 'alert.raised', %s, %s FROM outbox",
            (Jsonb(payload), NOW),
        )
        await writer.execute(
            "INSERT INTO amendment (id, kind, reading_id, changes, author, received_at) "
            "VALUES (%s, 'retraction', %s, '{}', 'x', %s)",
            (id_of("amendment", name), id_of("reading", name), NOW),
        )


async def _build_about(writer: Connection, resident: str) -> None:
    values = {"resident": resident, "at": NOW, "id": id_of("record", resident)}
    await writer.execute(INSERT_CASE, values)
    await writer.execute(
        "INSERT INTO case_transition (resident_id, condition, from_state, to_state, at, profile, "
        "profile_version, author) VALUES (%(resident)s, 'diabetes', 'none', 'x', %(at)s, 'wuzhou',"
        " '1', 'judge')",
        values,
    )
    await writer.execute(
        "INSERT INTO record (id, resident_id, kind, at, received_at, mode, findings, author) "
        "VALUES (%(id)s, %(resident)s, 'visit', %(at)s, %(at)s, 'clinic', '{}', 'x')",
        values,
    )
    await writer.execute(
        "INSERT INTO resident_condition VALUES (%s, 'diabetes', %s)", (resident, date(2026, 1, 1))
    )
    await writer.execute(
        "INSERT INTO contract VALUES (%s, %s, 'basic', %s)",
        (f"contract-{resident}", resident, date(2026, 1, 1)),
    )


def a_principal(
    *roles: Role, teams: str = "", centres: str = "", kind: Kind = "person"
) -> Principal:
    """Somebody with these roles; teams and centres divided by blanks."""
    return Principal(
        subject=f"{'-'.join(roles) or 'nobody'}-{teams}-{centres}".replace(" ", "-"),
        kind=kind,
        roles=frozenset(roles),
        team_ids=frozenset(teams.split()),
        centre_ids=frozenset(centres.split()),
    )


ALL_RESIDENTS: Final = frozenset(TEAM_OF)
EVERYTHING: Final = ALL_RESIDENTS | {""}

# Principal, the residents it sees by their team, what else its centres were told and measured
# ("" is the unclaimed one), and whether it sees measured values and records.
SEEN: Final[dict[str, tuple[Principal, frozenset[str], frozenset[str], bool]]] = {
    "doctor of n1": (
        a_principal(Role.DOCTOR, teams="n1"),
        frozenset({"anna"}),
        frozenset(),
        True,
    ),
    "doctor who names a centre": (  # A doctor's centre opens nothing.
        a_principal(Role.DOCTOR, teams="n1", centres="north south"),
        frozenset({"anna"}),
        frozenset(),
        True,
    ),
    "leader of n1 and s1": (
        a_principal(Role.TEAM_LEADER, teams="n1 s1"),
        frozenset({"anna", "carl"}),
        frozenset(),
        True,
    ),
    "admin of north": (
        a_principal(Role.CENTRE_ADMIN, centres="north"),
        frozenset({"anna", "ben"}),
        frozenset({"stub-n", ""}),
        True,
    ),
    "doctor of s1, admin of north": (
        a_principal(Role.DOCTOR, Role.CENTRE_ADMIN, teams="s1", centres="north"),
        frozenset({"anna", "ben", "carl"}),
        frozenset({"stub-n", ""}),
        True,
    ),
    "contract system of south": (
        a_principal(Role.CONTRACT_SYSTEM, centres="south", kind="machine"),
        frozenset({"carl"}),
        frozenset({"stub-s"}),
        True,
    ),
    "contract system": (
        a_principal(Role.CONTRACT_SYSTEM, kind="machine"),
        ALL_RESIDENTS,
        EVERYTHING,
        True,
    ),
    "supervisor of north": (
        a_principal(Role.SUPERVISOR, centres="north"),
        frozenset({"anna", "ben"}),
        frozenset({"stub-n", ""}),
        False,
    ),
    "supervisor": (a_principal(Role.SUPERVISOR), ALL_RESIDENTS, EVERYTHING, False),
    "doctor without a team": (a_principal(Role.DOCTOR), frozenset(), frozenset(), True),
    "doctor of a team that is not": (
        a_principal(Role.DOCTOR, teams="n9"),
        frozenset(),
        frozenset(),
        True,
    ),
    "admin without a centre": (a_principal(Role.CENTRE_ADMIN), frozenset(), frozenset(), True),
    "ops": (a_principal(Role.OPS, centres="north"), frozenset(), frozenset(), False),
    "auditor": (
        a_principal(Role.AUDITOR, teams="n1", centres="north"),
        frozenset(),
        frozenset(),
        False,
    ),
    "nobody": (a_principal(teams="n1", centres="north"), frozenset(), frozenset(), False),
}

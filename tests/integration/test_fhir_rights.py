"""Promise: the role that stores what other systems send can do that, and nothing else."""

from typing import Final

import psycopg
import pytest
from psycopg import sql

from ingest.db.connections import Connection

ROLE: Final = "suifang_api_intake"
READS: Final = ("retention", "gateway", "team", "centre", "resident_condition")
ADDS: Final = (
    *("resident", "reading_key", "reading_held", "duplicate", "alert"),
    *("amendment", "due_context"),  # Late contexts, when a page replays what was held back.
)
ALLOWED: Final[dict[str, set[str]]] = {
    **{name: {"SELECT"} for name in READS},
    **{name: {"SELECT", "INSERT"} for name in ADDS},
    "reading": {"SELECT", "INSERT"},
    "quarantine": {"SELECT", "INSERT", "UPDATE"},
    "gateway_day": {"SELECT", "INSERT", "UPDATE"},
    "observation_identifier": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "due_mark": {"INSERT"},
    "outbox": {"INSERT"},
}
"""What ingest does for one reading; everything that is not here it may not."""
CALLED: Final = {"audit_write", "hold_readings"}
"""What it may call that has the owner's rights: the log of who wrote; what looks old is held."""
# It may file what a gateway says of its own readings, and nothing that a person says.
RETRACTION: Final = """
INSERT INTO amendment (id, kind, reading_id, device_id, changes, author, received_at)
VALUES (gen_random_uuid(), 'retraction', gen_random_uuid(), 'd', '{}', 'x', 'epoch')"""

# What an extension brings along is its own, and says nothing about anybody.
_TABLES: Final = """
SELECT c.relname, right_
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN unnest(%(rights)s::text[]) AS right_
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                  AND d.objid = c.oid AND d.deptype = 'e')
  AND (has_table_privilege(%(role)s, c.oid, right_)
       OR right_ IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
          AND has_any_column_privilege(%(role)s, c.oid, right_))"""
_FUNCTIONS: Final = """
SELECT p.proname
FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef
  AND p.prorettype <> 'trigger'::regtype
  AND has_function_privilege(%(role)s, p.oid, 'EXECUTE')"""
_RIGHTS: Final = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"]


async def test_the_role_that_stores_for_others_may_do_what_is_written_down_and_nothing_else(
    connection: Connection,
) -> None:
    cursor = await connection.execute(_TABLES.encode(), {"role": ROLE, "rights": _RIGHTS})
    found: dict[str, set[str]] = {}
    for table, right in await cursor.fetchall():
        found.setdefault(table, set()).add(right)

    assert found == ALLOWED


async def test_it_calls_with_the_rights_of_the_owner_only_what_is_written_down(
    connection: Connection,
) -> None:
    cursor = await connection.execute(_FUNCTIONS.encode(), {"role": ROLE})

    assert {name for (name,) in await cursor.fetchall()} == CALLED


async def test_it_is_nobody_elses_role_and_bypasses_no_policy(connection: Connection) -> None:
    cursor = await connection.execute(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb,"
        " (SELECT count(*) FROM pg_auth_members m WHERE m.member = r.oid)"
        " FROM pg_roles r WHERE rolname = %s",
        (ROLE,),
    )

    assert await cursor.fetchone() == (False, False, False, False, 0)


async def test_of_amendments_it_writes_what_a_gateway_says_only(connection: Connection) -> None:
    await connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(ROLE)))

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await connection.execute(RETRACTION)

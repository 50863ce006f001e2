"""The readable schema is the sum of the migrations; up, down and up again is the same."""

import re
from pathlib import Path
from threading import Timer

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from deploy.embedded.stack import Stack
from ingest.db import migrate, revisions
from tests.fix_db import Database

ROOT = Path(__file__).parents[2]
_CATALOGUE = {
    "columns": """
        SELECT table_name, column_name, ordinal_position, data_type, is_nullable, column_default,
               is_identity
        FROM information_schema.columns WHERE table_schema = 'public'""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "policies": """
        SELECT tablename, policyname, roles::text, cmd, qual, with_check FROM pg_policies
        WHERE schemaname = 'public'""",
    "secured": """
        SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')""",
    "triggers": """
        SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger
        WHERE NOT tgisinternal AND tgrelid::regclass::text NOT LIKE '\\_timescaledb%'""",
    "functions": """
        SELECT proname, prosecdef, proconfig::text, prosrc, proacl::text FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND proowner::regrole::text = current_user""",
    "grants": """
        SELECT table_name, grantee, privilege_type FROM information_schema.role_table_grants
        WHERE table_schema = 'public'
        UNION ALL
        SELECT table_name || '.' || column_name, grantee, privilege_type
        FROM information_schema.column_privileges WHERE table_schema = 'public'""",
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = 'public'",
    "hypertables": """
        SELECT hypertable_name, d.column_name, d.time_interval
        FROM timescaledb_information.hypertables JOIN timescaledb_information.dimensions d
        USING (hypertable_name)""",
}


def _catalogue(dsn: str) -> dict[str, list[tuple[object, ...]]]:
    with psycopg.connect(dsn) as connection:
        return {
            name: sorted(
                row
                for row in connection.execute(statement.encode()).fetchall()
                if "alembic_version" not in str(row)
            )
            for name, statement in _CATALOGUE.items()
        }


def test_the_readable_schema_is_the_sum_of_the_migrations(stack: Stack, database: Database) -> None:
    dsn = stack.create_database(f"{database.name}_s")
    try:
        with psycopg.connect(dsn) as connection:
            connection.execute((ROOT / "ingest/db/schema.sql").read_bytes())
        assert _catalogue(dsn) == _catalogue(database.dsn)
    finally:
        stack.drop_database(f"{database.name}_s")


def test_up_down_and_up_again_is_the_same(database: Database) -> None:
    before = _catalogue(database.dsn)
    assert before["hypertables"]

    migrate.downgrade(database.dsn, "base")
    assert not _catalogue(database.dsn)["columns"]
    assert migrate.current(database.dsn) is None
    migrate.upgrade(database.dsn)

    assert _catalogue(database.dsn) == before
    assert migrate.current(database.dsn) == revisions.newest()


def test_upgrading_twice_changes_nothing(database: Database) -> None:
    before = _catalogue(database.dsn)

    migrate.upgrade(database.dsn)

    assert _catalogue(database.dsn) == before


def test_a_migration_that_is_refused_a_lock_is_tried_again(database: Database) -> None:
    """Somebody's transaction ends sooner or later; what the migration had done is taken back."""
    migrate.downgrade(database.dsn, "0030")
    impatient = make_conninfo(database.dsn, options="-c lock_timeout=200")
    with psycopg.connect(database.dsn) as holder:
        holder.execute("LOCK TABLE resident IN ACCESS EXCLUSIVE MODE")
        ending = Timer(2, holder.rollback)
        ending.start()
        migrate.upgrade(impatient)
        ending.join()
    assert migrate.current(database.dsn) == revisions.newest()


@pytest.mark.parametrize("path", sorted((ROOT / "ingest/db/migrations/versions").glob("*[!n].sql")))
def test_a_migration_can_be_undone_and_is_named_in_the_changelog(path: Path) -> None:
    number = re.match(r"\d{4}", path.name)
    assert number
    assert path.with_name(path.name.split(".")[0] + ".down.sql").exists()
    assert number[0] in (ROOT / "CHANGELOG.md").read_text("utf-8")

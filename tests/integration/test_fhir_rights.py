"""Promise: the role that stores what other systems send can do that, and nothing else."""

import psycopg
import pytest
from psycopg import sql

from ingest.db.connections import connect
from tests.fix_db import Database as Fresh

# It may file what a gateway says of its own readings, and nothing that a person says.
RETRACTION = """
INSERT INTO amendment (id, kind, reading_id, device_id, changes, author, received_at)
VALUES (gen_random_uuid(), 'retraction', gen_random_uuid(), 'd', '{}', 'x', 'epoch')"""


async def test_the_role_that_stores_for_others_reads_no_name_no_key_and_no_audit_log(
    database: Fresh,
) -> None:
    async with await connect(database.dsn, application_name="test", autocommit=True) as other:
        await other.execute("SET ROLE suifang_api_intake")
        for table in (
            *("resident_key", "resident_sealed", "registry_change", "api_key", "audit_entry"),
            *("audit_handle", "contract", "record", "resident_case", "case_transition", "staff"),
            *("gateway_certificate", "enrolment_token", "visible_reading"),
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await other.execute(sql.SQL("SELECT FROM {}").format(sql.Identifier(table)))
        for statement in (
            "UPDATE reading SET systolic = 1",
            "DELETE FROM alert",
            "UPDATE resident SET team_id = 's1'",
            RETRACTION,
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await other.execute(statement.encode())

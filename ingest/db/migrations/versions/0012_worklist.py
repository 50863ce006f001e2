"""Severity of cases, and indexes for worklists by risk and by due day."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Run ``0012_worklist.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0012_worklist.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))

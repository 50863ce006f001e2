"""Marks of due work, a transaction in one row."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run ``0003_due_batches.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0003_due_batches.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))

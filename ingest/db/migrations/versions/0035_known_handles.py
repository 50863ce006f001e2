"""Entries of the audit log are written with handles that are known."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    """Run ``0035_known_handles.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0035_known_handles.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))

"""Alerts of which nobody could be told say so, and since when."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Run ``0023_untold.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0023_untold.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))

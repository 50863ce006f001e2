"""The open alerts of a team from an index of their own."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Run ``0024_active_alerts.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0024_active_alerts.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))

"""Retention: what outlives the chunks that are dropped."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run ``0004_retention.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0004_retention.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))

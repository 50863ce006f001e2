"""The first schema: people, readings, due work, cases, alerts, feed."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run ``0001_initial.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0001_initial.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))

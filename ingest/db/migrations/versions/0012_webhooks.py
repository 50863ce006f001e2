"""Webhooks; what is told beyond alerts and cases is for those who see measured values."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Run ``0012_webhooks.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0012_webhooks.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))

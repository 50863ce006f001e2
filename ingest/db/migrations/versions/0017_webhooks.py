"""Webhooks; what is told beyond alerts and cases is for those who see measured values."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Run ``0017_webhooks.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0017_webhooks.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))

"""What indicators count, per resident, condition and year; closed periods; health checks."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Run ``0013_indicators.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0013_indicators.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))

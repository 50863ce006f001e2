"""Back-tests work as a role that reads."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Run ``0028_backtests.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0028_backtests.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))

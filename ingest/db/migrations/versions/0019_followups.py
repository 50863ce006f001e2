"""Forms of visits, referrals, attempts to reach somebody, other days, withdrawals."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Run ``0019_followups.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0019_followups.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))

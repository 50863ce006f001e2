"""Row-level security: who asks sees their own, whatever the query forgot."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0008"
down_revision = "0009"


def upgrade() -> None:
    """Run ``0008_row_security.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0008_row_security.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))

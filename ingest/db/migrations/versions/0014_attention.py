"""What people do about an alert, and when the notifier looks at it again."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Run ``0014_attention.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0014_attention.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))

"""Who is to be told about alerts, when not, and every attempt to tell them."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Run ``0020_notify.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0020_notify.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))

"""What people record, correct and agree; anchors beyond readings."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run ``0002_records.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0002_records.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))

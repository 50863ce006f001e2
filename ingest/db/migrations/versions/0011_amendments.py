"""What was said of a reading can be taken back; a reading is seen by whom it belongs to now."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Run ``0011_amendments.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0011_amendments.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))

"""What became of a quarantined item: replayed, or dropped by somebody for a reason."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run ``0005_quarantine_resolution.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0005_quarantine_resolution.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))

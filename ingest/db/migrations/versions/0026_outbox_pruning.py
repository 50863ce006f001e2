"""Old events of the feed go; nobody skips what is gone."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Run ``0026_outbox_pruning.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0026_outbox_pruning.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))

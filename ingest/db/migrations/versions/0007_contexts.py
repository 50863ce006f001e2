"""Late contexts over the wire: who sent them, and which wait for the judge."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Run ``0007_contexts.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0007_contexts.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))

"""A seal of the audit log names the key that made it."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Run ``0033_named_seals.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0033_named_seals.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))
